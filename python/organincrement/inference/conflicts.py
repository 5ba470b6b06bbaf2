"""Where several segmentations claim different organs of one voxel, and by which rule one of them won.

A conflict is a connected region of voxels in which the same organ won over the same other one by the same rule; a voxel
counts once for each organ that lost there, however many segmentations claimed it.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import MOST_CONFLICTS, Conflicts, MergeConflict, Point
from organincrement.imaging.volume import Volume

OVER_HOST = "anomaly-over-host"
CONFIDENCE = "confidence"
ORDER = "order"
RULES = (CONFIDENCE, ORDER, OVER_HOST)
_FACE_AND_EDGE_NEIGHBOURS = ndimage.generate_binary_structure(3, 2)
_MOST_BOX_VOXELS = 48 * 2**20  # beyond it a conflict is not taken apart into regions

Key = tuple[int, int, int]  # label that won, label that lost, position in RULES


class ConflictLog:
    """Collects the voxels of conflicts, slab by slab; their places are all that is kept."""

    def __init__(self, organs: LabelSpace) -> None:
        self._organs = organs
        hosts = (organs.index(o.host) if o.host in organs.ids else 0 for o in organs.organs)
        self._host_of = np.array([0, *hosts])
        self._places: dict[Key, list[NDArray[np.int64]]] = {}

    def add(self, places: NDArray[np.int64], labels_IN: NDArray, confidence_IN: NDArray, winner_N: NDArray) -> None:
        """Add voxels.

        Args: places: (N,) flat indices in the whole volume. labels_IN, confidence_IN: of each of I segmentations, 0 and
            0 where it claims nothing. winner_N: the label that won.
        """
        host_N = self._host_of[winner_N]
        own_N = np.where(labels_IN == winner_N, confidence_IN, 0).max(0)
        host_own_N = np.where((labels_IN == host_N) & (host_N > 0), confidence_IN, 0).max(0)
        for i, loser_N in enumerate(labels_IN):
            lost = (loser_N > 0) & (loser_N != winner_N)
            if i:
                lost &= ~(labels_IN[:i] == loser_N).any(0)  # the same organ, claimed by an earlier one as well
            if not lost.any():
                continue
            claims = np.where(labels_IN == loser_N, confidence_IN, 0).max(0)
            # a host's certainty defends what lies in it, but not from another anomaly of its own
            siblings = self._host_of[loser_N] == host_N
            highest_N = np.where(siblings, own_N, np.maximum(own_N, host_own_N))
            rule_N = np.where(highest_N > claims, 0, np.where(highest_N == claims, 1, 2))
            rule_N[host_N == loser_N] = 2
            self._file(places[lost], winner_N[lost], loser_N[lost], rule_N[lost])

    def _file(self, places: NDArray[np.int64], winner_N: NDArray, loser_N: NDArray, rule_N: NDArray) -> None:
        small = places.astype(np.int32) if places[-1] < 2**31 else places  # there may be millions
        base = 1 + len(self._organs)
        codes = (winner_N.astype(np.int64) * base + loser_N) * len(RULES) + rule_N
        for code in np.unique(codes).tolist():
            pair, rule = divmod(code, len(RULES))
            self._places.setdefault((*divmod(pair, base), rule), []).append(small[codes == code])

    def found(self, grid: Volume) -> list[MergeConflict]:
        """All conflicts, the largest first, on the grid of the whole volume; their voxels are then forgotten."""
        conflicts = []
        while self._places:
            key, parts = self._places.popitem()
            places = np.concatenate(parts)
            parts.clear()
            conflicts += [self._conflict(key, volume_mm3, centre) for volume_mm3, centre in _regions(places, grid)]
        return sorted(conflicts, key=lambda c: (-c.volume_mm3, c.a, c.b, c.center_ras_mm))

    def _conflict(self, key: Key, volume_mm3: float, centre: Point) -> MergeConflict:
        winner, loser, rule = key
        a, b = sorted((winner, loser))
        ids = ("", *self._organs.ids)
        return MergeConflict(
            a=ids[a], b=ids[b], volume_mm3=volume_mm3, center_ras_mm=centre, winner=ids[winner], rule=RULES[rule]
        )


def as_document(conflicts: Sequence[MergeConflict]) -> Conflicts:
    """conflicts.json: the largest MOST_CONFLICTS."""
    return Conflicts(conflicts=tuple(conflicts[:MOST_CONFLICTS]))


def _regions(places: NDArray[np.integer], grid: Volume) -> Iterator[tuple[float, Point]]:
    """Volume and centre of each connected region of these voxels."""
    _, height, width = grid.shape_DHW
    index_3N = np.empty((3, places.size), np.int32)
    index_3N[0], index_3N[1], index_3N[2] = places // (height * width), places // width % height, places % width
    numbers = _numbers(index_3N)
    sizes = np.bincount(numbers)
    sums = np.stack([np.bincount(numbers, axis) for axis in index_3N])
    voxel_mm3 = float(np.prod(grid.spacing_mm))
    for number in np.flatnonzero(sizes):
        centre_xyz = (sums[:, number] / sizes[number])[::-1]
        lps = grid.affine[:3, :3] @ centre_xyz + grid.affine[:3, 3]
        r, a, s = (round(float(value), 3) + 0.0 for value in lps * (-1, -1, 1))
        yield round(float(sizes[number] * voxel_mm3), 2), (r, a, s)


def _numbers(index_3N: NDArray[np.int32]) -> NDArray[np.int32]:
    """The number of the region that each voxel is in."""
    first, last = index_3N.min(1), index_3N.max(1)
    shape = tuple((last - first + 1).tolist())
    if math.prod(shape) > _MOST_BOX_VOXELS:
        return np.ones(index_3N.shape[1], np.int32)
    inside = tuple(index_3N - first[:, None])
    mask = np.zeros(shape, bool)
    mask[inside] = True
    return ndimage.label(mask, _FACE_AND_EDGE_NEIGHBOURS)[0][inside]
