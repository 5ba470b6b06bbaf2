"""Uncertain regions: connected voxels that a reviewer should look at, the largest first."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import Region, Regions
from organincrement.imaging.volume import Volume

THRESHOLD_PERCENT = 30
_STEP_PERCENT = 10
_LARGEST_MM3 = 5000.0
_LEAST_MM3 = 50.0
_MOST_REGIONS = 200
_PART_VOXELS = 24 * 2**20
_FACE_AND_EDGE_NEIGHBOURS = ndimage.generate_binary_structure(3, 2)


def uncertain_regions(labels: Volume, uncertainty_DHW: np.ndarray, organs: LabelSpace) -> Regions:
    """Connected regions of at least 30 % uncertainty and 50 mm³, by volume.

    A region of more than 5 ml, such as the whole rim of an organ, is of no help: it is replaced by its more uncertain
    parts, at 40 %, 50 % and so on.

    Args: labels: the segmentation. uncertainty_DHW: per cent of log C, same grid.
    Returns: at most 200 regions; a region belongs to the organ that most of its voxels, or else its neighbours, have.
    """
    voxel_mm3 = float(np.prod(labels.spacing_mm))
    components = _components(uncertainty_DHW, voxel_mm3)
    sizes = np.bincount(components.ravel())[1:]
    boxes = ndimage.find_objects(components)
    largest = [int(i) for i in np.argsort(-sizes, kind="stable") if sizes[i] * voxel_mm3 >= _LEAST_MM3][:_MOST_REGIONS]
    found = (_region(labels, uncertainty_DHW, components, index, boxes[index], organs, voxel_mm3) for index in largest)
    return Regions(regions=tuple(region for region in found if region is not None))


def uncertain_regions_in_parts(labels: Volume, uncertainty_DHW: np.ndarray, organs: LabelSpace) -> Regions:
    """The same in a few hundred MiB, whatever the size of the scan: parts of it are searched one by one.

    A large scan is cut where the fewest voxels are uncertain; a region that lies across a cut becomes two.
    """
    found: list[Region] = []
    for part in _parts((uncertainty_DHW >= THRESHOLD_PERCENT).sum((1, 2)), labels.shape_DHW):
        x, y, z = labels.affine[:3, :3] @ (0, 0, part.start) + labels.affine[:3, 3]
        cut = Volume(labels.array_DHW[part], labels.spacing_mm, (x, y, z), labels.direction)
        found += uncertain_regions(cut, uncertainty_DHW[part], organs).regions
    return Regions(regions=tuple(sorted(found, key=lambda region: -region.volume_mm3)[:_MOST_REGIONS]))


def _parts(active_D: np.ndarray, shape_DHW: tuple[int, int, int]) -> Iterator[slice]:
    """Runs of slices of at most _PART_VOXELS, those at the ends without an uncertain voxel left out."""
    most = max(2, _PART_VOXELS // (shape_DHW[1] * shape_DHW[2]))
    found = np.flatnonzero(active_D)
    # a slice more at either end: what a region belongs to may only lie beside it
    start, stop = (max(0, int(found[0]) - 1), int(found[-1]) + 2) if found.size else (0, 0)
    while stop - start > most:
        half = most // 2
        cut = start + half + int(np.argmin(active_D[start + half : start + most]))
        yield slice(start, cut)
        start = cut
    if stop > start:
        yield slice(start, stop)


def _components(uncertainty_DHW: np.ndarray, voxel_mm3: float) -> np.ndarray:
    """Numbers of the regions, from 1; 0 elsewhere."""
    regions = np.zeros(uncertainty_DHW.shape, np.int32)
    threshold, active = THRESHOLD_PERCENT, uncertainty_DHW >= THRESHOLD_PERCENT
    while active.any():
        parts, count = ndimage.label(active, _FACE_AND_EDGE_NEIGHBOURS)
        threshold += _STEP_PERCENT
        higher = uncertainty_DHW >= threshold
        too_large = np.bincount(parts.ravel(), minlength=count + 1) * voxel_mm3 > _LARGEST_MM3
        # a region whose parts would all be too small to be shown stays whole, rather than be lost
        shown = _large_enough(active & higher, voxel_mm3)
        splits = too_large & (np.bincount(parts[shown], minlength=count + 1) > 0)
        splits[0] = False
        kept = active & ~splits[parts]
        regions[kept] = int(regions.max()) + parts[kept]
        active = splits[parts] & higher
    return regions


def _large_enough(mask: np.ndarray, voxel_mm3: float) -> np.ndarray:
    """The mask without its connected parts of less than 50 mm³."""
    parts, _ = ndimage.label(mask, _FACE_AND_EDGE_NEIGHBOURS)
    kept = np.bincount(parts.ravel()) * voxel_mm3 >= _LEAST_MM3
    kept[0] = False
    return kept[parts]


def _region(labels: Volume, uncertainty_DHW: np.ndarray, components: np.ndarray, index: int, box: tuple[slice, ...],
            organs: LabelSpace, voxel_mm3: float) -> Region | None:  # fmt: skip
    wider = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    mask = components[wider] == index + 1
    organ = _organ_of(mask, labels.array_DHW[wider])
    if organ == 0:
        return None  # no organ near it: nothing to correct
    positions = np.argwhere(mask) + [s.start for s in wider]
    corners = np.array([positions.min(0) - 0.5, positions.max(0) + 0.5])
    grid = np.stack(np.meshgrid(*corners.T, indexing="ij"), -1).reshape(-1, 3)
    ras_mm = _ras_mm(labels, grid)
    low, high = ras_mm.min(0), ras_mm.max(0)
    values = uncertainty_DHW[wider][mask]
    return Region(
        organ=organs.ids[organ - 1], center_ras_mm=_rounded(_ras_mm(labels, positions).mean(0)),
        bounds_ras_mm=_rounded(np.stack([low, high], 1).ravel()), volume_mm3=round(float(mask.sum() * voxel_mm3), 2),
        mean=round(float(values.mean()), 2), max=round(float(values.max()), 2),
    )  # fmt: skip


def _organ_of(mask: np.ndarray, labels: np.ndarray) -> int:
    for area in (mask, ndimage.binary_dilation(mask, _FACE_AND_EDGE_NEIGHBOURS)):
        inside = labels[area & (labels > 0)]
        if inside.size:
            return int(np.bincount(inside).argmax())
    return 0


def _ras_mm(volume: Volume, positions_DHW: np.ndarray) -> np.ndarray:
    lps = positions_DHW[:, ::-1] @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return lps * [-1.0, -1.0, 1.0]


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in values)
