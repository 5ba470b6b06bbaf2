"""The merge itself, slab by slab: what is held of a scan is the result, and the places of the conflicts."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.imaging.volume import Volume
from organincrement.inference.conflicts import ConflictLog
from organincrement.inference.merging import Claim, Merger
from organincrement.workflows.merge_inputs import OpenedInput, Range, joined_organs

_SLAB_VOXELS = 4 * 2**20
_LEAST_CONFIDENCE = 0.005  # half a per cent: a claim of 100 % uncertainty is still a claim


class SlabMerge:
    """Merges inputs, the one that wins a tie first, on a grid."""

    def __init__(self, inputs: Sequence[OpenedInput], grid: Volume) -> None:
        self.organs, own = joined_organs(inputs)
        self.log = ConflictLog(self.organs)
        self._inputs, self._grid = inputs, grid
        self._tables = [_table(organs, self.organs) for organs in own]
        self._ranges = [_ranges(one, organs, self.organs) for one, organs in zip(inputs, own, strict=True)]
        ids = self.organs.ids
        hosts = (self.organs.index(organ.host) if organ.host in ids else 0 for organ in self.organs.organs)
        self._host_of = np.array([0, *hosts], np.int16)

    def run(
        self, between: Callable[[], None], working: Callable[[int, int], None]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Labels, and the winner's uncertainty in per cent, None where no input has a map; (D, H, W) each."""
        depth, height, width = self._grid.shape_DHW
        slices = max(1, _SLAB_VOXELS // (height * width))
        labels_DHW = np.zeros(self._grid.shape_DHW, np.uint8 if len(self.organs) < 256 else np.uint16)
        known = any(one.uncertainty for one in self._inputs)
        percent_DHW = np.zeros(self._grid.shape_DHW, np.uint8) if known else None
        readers = [
            zip(one.label_slabs(slices, self._grid), one.doubt_slabs(slices, self._grid), strict=True)
            for one in self._inputs
        ]
        # strict: after the last slab each reader is asked once more, which is when a file's end is checked
        for number, slabs in enumerate(zip(*readers, strict=True)):
            between()
            start = number * slices
            here = slice(start, start + slices)
            labels = [self._claimed(i, slab_DHW, start) for i, (slab_DHW, _) in enumerate(slabs)]
            doubts = [doubt_DHW for _, doubt_DHW in slabs]
            percent = None if percent_DHW is None else percent_DHW[here]
            if percent is not None:  # where nobody claims anything, the greatest doubt stands
                np.maximum.reduce([doubt for doubt in doubts if doubt is not None], out=percent)
            self._merge(labels, doubts, labels_DHW[here], percent, start * height * width)
            working(number + 1, -(-depth // slices))
        return labels_DHW, percent_DHW

    def _claimed(self, i: int, slab_DHW: np.ndarray, start: int) -> np.ndarray:
        """An input's labels in the joint numbers, int16, without those out of their range along the body."""
        labels_DHW = self._tables[i][slab_DHW]
        if not self._ranges[i]:
            return labels_DHW
        position_mm = self._height_mm(slab_DHW.shape, start)
        for label, (low_mm, high_mm) in self._ranges[i].items():
            labels_DHW[(labels_DHW == label) & ((position_mm < low_mm) | (position_mm > high_mm))] = 0
        return labels_DHW

    def _height_mm(self, shape_DHW: tuple[int, ...], start: int) -> np.ndarray:
        """S of each voxel of a slab."""
        x, y, z, origin = self._grid.affine[2]
        d, h, w = np.ogrid[start : start + shape_DHW[0], : shape_DHW[1], : shape_DHW[2]]
        return np.asarray(x * w + y * h + z * d + origin, np.float32)

    def _merge(
        self, labels: Sequence[np.ndarray], doubts: Sequence[np.ndarray | None], labels_DHW: np.ndarray,
        percent_DHW: np.ndarray | None, first: int,
    ) -> None:  # fmt: skip
        """Fill in the voxels that somebody claims. Args: first: flat index of the slab's first voxel."""
        places = np.flatnonzero(np.logical_or.reduce([one > 0 for one in labels]))
        if not places.size:
            return
        labels_IN = np.stack([one.ravel()[places] for one in labels])
        doubt_IN = np.stack([np.zeros(places.size, np.uint8) if d is None else d.ravel()[places] for d in doubts])
        confidence_IN = np.maximum(1 - doubt_IN.astype(np.float32) / 100, _LEAST_CONFIDENCE)
        confidence_IN[labels_IN == 0] = 0
        merger = Merger()
        for claim in zip(labels_IN, confidence_IN, doubt_IN, strict=True):
            merger.add(self._as_claim(*claim))
        won = merger.merged()
        winner_N = won.labels.numpy()
        labels_DHW.reshape(-1)[places] = winner_N
        if percent_DHW is not None:
            percent_DHW.reshape(-1)[places] = won.doubt.numpy()
        at = np.flatnonzero(((labels_IN > 0) & (labels_IN != winner_N)).any(0))
        self.log.add(places[at] + first, labels_IN[:, at], confidence_IN[:, at], winner_N[at])

    def _as_claim(self, labels_N: np.ndarray, confidence_N: np.ndarray, doubt_N: np.ndarray) -> Claim:
        hosts_N = self._host_of[labels_N]
        return Claim(
            labels=torch.from_numpy(labels_N), hosts=torch.from_numpy(hosts_N) if hosts_N.any() else None,
            confidence=torch.from_numpy(confidence_N), doubt=torch.from_numpy(doubt_N),
        )  # fmt: skip


def _table(organs: Mapping[int, Organ], joined: LabelSpace) -> np.ndarray:
    """Label value -> label of the joined organs."""
    table = np.zeros(max(organs) + 1, np.int16)
    for value, organ in organs.items():
        table[value] = joined.index(organ.id)
    return table


def _ranges(one: OpenedInput, organs: Mapping[int, Organ], joined: LabelSpace) -> dict[int, Range]:
    """Label of the joined organs -> where along the body it can lie, by what this input knows."""
    return {
        joined.index(organs[value].id): one.ranges_mm[own.id]
        for value, own in one.organs.items()
        if own.id in one.ranges_mm
    }
