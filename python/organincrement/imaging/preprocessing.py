"""From a scan to the network's grid: the model's axes, normalised, resampled, cropped as its convention says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.model import Preprocessing
from organincrement.imaging.conventions import CONVENTIONS, Convention
from organincrement.imaging.first_voxel import Steps, shape_from_first_voxel
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.header import Header
from organincrement.imaging.normalisation import inside, normalise
from organincrement.imaging.resampling import (
    axis_apart,
    resample,
    resample_apart,
    resample_masks,
    shape_at_spacing,
)
from organincrement.imaging.volume import Volume

Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class NetworkGrid:
    """A scan as the network sees it, axes in the model's order.

    image_DHW: float32, what the windows cover, padded to the patch. offset: of its first voxel in the full grid, which
    may lie before it. inside: the part of the full grid that it shows, where the network's answer counts; around it is
    background. full_shape: of the uncropped network grid. place: the part of the scan that
    this grid is of; output_shape: its shape. scan_shape: of the scan itself. apart: the axis along which the output
    takes the nearest slice. steps: how far the scan's voxels lie apart in those of this grid, the first on the first;
    None: the two have the same edges.
    """

    image_DHW: np.ndarray
    offset: Shape
    inside: Box
    full_shape: Shape
    output_shape: Shape
    place: Box
    scan_shape: Shape
    apart: int | None = None
    steps: Steps = None


def to_network_grid(image: Volume, preprocessing: Preprocessing, *, minimum_shape: Shape) -> NetworkGrid:
    """Prepare a scan for inference. Args: minimum_shape: the network's patch."""
    rules = CONVENTIONS[preprocessing.convention]
    scan = _on_grid(image, preprocessing, rules)
    full = scan.image_DHW
    low, high = tissue_box(full) if rules.region == "tissue" else _ends(scan.box)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    short = [max(0, m - (b - a)) for m, a, b in zip(minimum_shape, low, high, strict=True)]
    beyond = float(full.min()) if rules.padding == "lowest" else 0.0
    # in the middle, and nothing of the scan around it: so the training has it, which says nothing of what lies there
    padded = np.pad(full[box], [(s // 2, s - s // 2) for s in short], constant_values=beyond)
    back = (scan.spacing_mm, scan.target_mm) if rules.back_by_scan else (scan.target_mm, scan.spacing_mm)
    return NetworkGrid(
        image_DHW=np.ascontiguousarray(padded), inside=box, full_shape=full.shape,  # type: ignore[arg-type]
        offset=tuple(int(a) - s // 2 for a, s in zip(low, short, strict=True)),  # type: ignore[arg-type]
        output_shape=tuple(s.stop - s.start for s in scan.place), place=scan.place, scan_shape=scan.shape,  # type: ignore[arg-type]
        apart=axis_apart(*back, _separate_above(preprocessing, rules)),
        steps=_steps(scan.target_mm, scan.spacing_mm, rules),
    )  # fmt: skip


def _separate_above(preprocessing: Preprocessing, rules: Convention) -> float | None:
    if preprocessing.slice_by_slice == "rule":
        return rules.separate_above
    return 0.0 if preprocessing.slice_by_slice == "always" else None


def _ends(box: Box) -> tuple[np.ndarray, np.ndarray]:
    return np.array([s.start for s in box]), np.array([s.stop for s in box])


def preprocess_pair(image: Volume, labels: Volume, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Prepare a training case: image (float32) and labels (as stored) on the network's grid, cropped as for inference.

    Where that is to the tissue, a label outside of it, which is rare, is kept.
    """
    rules = CONVENTIONS[preprocessing.convention]
    scan = _on_grid(image, preprocessing, rules)
    full = scan.image_DHW
    turned = to_orientation(labels, preprocessing.orientation).array_DHW.transpose(preprocessing.axis_order)
    if rules.labels == "nearest":
        corners, steps = rules.alignment == "corners", _steps(scan.spacing_mm, scan.target_mm, rules)
        on_grid = resample(turned[scan.place], full.shape, kind="nearest", corners=corners, steps=steps)
    else:
        apart = axis_apart(scan.spacing_mm, scan.target_mm, _separate_above(preprocessing, rules))
        on_grid = resample_masks(turned[scan.place], full.shape, apart)
    if rules.region != "tissue":
        return full[scan.box], on_grid[scan.box]
    low, high = tissue_box(full)
    marked = np.argwhere(on_grid > 0)
    if len(marked):
        low, high = np.minimum(low, marked.min(0)), np.maximum(high, marked.max(0) + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return full[box], on_grid[box]


def canonical_grid(grid: Volume | Header, orientation: str = "LPS") -> tuple[Shape, tuple[float, float, float]]:
    """Shape and spacing_mm (D, H, W) that a scan has in canonical axes, from its header alone."""
    voxelless = np.broadcast_to(np.int8(0), grid.shape_DHW)
    turned = to_orientation(Volume(voxelless, grid.spacing_mm, grid.origin_mm, grid.direction), orientation)
    return turned.shape_DHW, turned.spacing_mm


def grid_shape(shape: Shape, spacing_mm: tuple[float, float, float], preprocessing: Preprocessing) -> Shape:
    """Shape on the network's grid (its axis order) of a scan with this shape and spacing in canonical axes."""
    order = preprocessing.axis_order
    return _shape_on_grid([shape[a] for a in order], [spacing_mm[a] for a in order], preprocessing)


def _shape_on_grid(shape: Sequence[int], spacing_mm: Sequence[float], preprocessing: Preprocessing) -> Shape:
    rules, target_mm = CONVENTIONS[preprocessing.convention], _target_mm(spacing_mm, preprocessing)
    if rules.alignment == "first-voxel":
        return shape_from_first_voxel(shape, spacing_mm, target_mm)
    return shape_at_spacing(shape, spacing_mm, target_mm, ratio_first=rules.ratio_first)


def _steps(from_mm: Sequence[float], to_mm: Sequence[float], rules: Convention) -> Steps:
    """How far voxels at the second spacing lie apart in those at the first, where the first voxels are aligned."""
    if rules.alignment != "first-voxel":
        return None
    return tuple(to / of for of, to in zip(from_mm, to_mm, strict=True))


def _target_mm(spacing_mm: Sequence[float], preprocessing: Preprocessing) -> tuple[float, ...]:
    kept, near_mm = preprocessing.keep_axes, CONVENTIONS[preprocessing.convention].snap_mm
    return tuple(
        own if axis in kept or abs(own - wanted) <= near_mm else wanted
        for axis, (own, wanted) in enumerate(zip(spacing_mm, preprocessing.spacing_mm, strict=True))
    )


def tissue_box(normalised_DHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and one-past-last voxel of what is not air; the whole grid where there is no air.

    Not air: brighter than the darkest value by 10 % of the range to the median of the brighter half.
    """
    lowest = float(normalised_DHW.min())
    bright = np.median(normalised_DHW[normalised_DHW > normalised_DHW.mean()]) if np.ptp(normalised_DHW) > 0 else lowest
    tissue = normalised_DHW > lowest + 0.1 * (float(bright) - lowest)
    if not tissue.any():
        return np.zeros(3, int), np.array(normalised_DHW.shape)
    spans = [np.flatnonzero(tissue.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return np.array([s[0] for s in spans]), np.array([s[-1] + 1 for s in spans])


def nonzero_box(array_DHW: np.ndarray) -> Box:
    """The smallest box that holds every value other than 0; the whole grid where there is none."""
    other = array_DHW != 0
    if not other.any():
        return tuple(slice(0, n) for n in array_DHW.shape)  # type: ignore[return-value]
    spans = (np.flatnonzero(other.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3))
    return tuple(slice(int(s[0]), int(s[-1]) + 1) for s in spans)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class _OnGrid:
    """A part of a scan on the network's grid, normalised; `place`, `shape` of the scan and spacings: network axes.

    box: what of the grid is normalised; around it is 0.
    """

    image_DHW: np.ndarray
    box: Box
    place: Box
    shape: Shape
    spacing_mm: tuple[float, ...]
    target_mm: tuple[float, ...]


def _on_grid(image: Volume, preprocessing: Preprocessing, rules: Convention) -> _OnGrid:
    turned = to_orientation(image, preprocessing.orientation)
    order = tuple(preprocessing.axis_order)
    array, spacing_mm = turned.array_DHW.transpose(order), tuple(turned.spacing_mm[axis] for axis in order)
    whole = tuple(slice(0, n) for n in array.shape)
    place = nonzero_box(array) if rules.region == "nonzero" else whole
    part = array[place]
    shape, target_mm = _shape_on_grid(part.shape, spacing_mm, preprocessing), _target_mm(spacing_mm, preprocessing)
    apart = axis_apart(spacing_mm, target_mm, _separate_above(preprocessing, rules))
    steps = _steps(spacing_mm, target_mm, rules)

    def moved(values_DHW: np.ndarray) -> np.ndarray:
        kind, within, corners = preprocessing.image_resampling, rules.within_input, rules.alignment == "corners"
        if apart is None:
            grid = resample(
                values_DHW, shape, kind=kind, antialias=rules.antialias, within_input=within, corners=corners,
                steps=steps,
            )  # fmt: skip
            return _cut_to_whole(grid) if rules.whole_numbers and shape != values_DHW.shape else grid
        return resample_apart(values_DHW, shape, apart, kind=kind, within_input=within)

    box = tuple(slice(0, n) for n in shape)
    # what is 0 is no longer 0 once it is resampled
    mask = inside(part) if preprocessing.normalisation.masked and rules.fills_holes else None
    if rules.region == "nonzero-on-grid":
        on_grid = moved(part)
        box, grid = nonzero_box(on_grid), np.zeros(shape, np.float32)
        grid[box] = normalise(on_grid[box], preprocessing.normalisation)
    elif preprocessing.order == "normalise-then-resample":
        grid = moved(_normalised(part, preprocessing, rules, mask))
    else:
        mask = None if mask is None else _mask_on_grid(mask, shape, apart, rules)
        grid = _normalised(moved(part), preprocessing, rules, mask)
    return _OnGrid(
        image_DHW=np.ascontiguousarray(grid, dtype=np.float32), box=box, place=place, shape=array.shape,  # type: ignore[arg-type]
        spacing_mm=spacing_mm, target_mm=target_mm,
    )  # fmt: skip


def _normalised(
    values_DHW: np.ndarray, preprocessing: Preprocessing, rules: Convention, mask_DHW: np.ndarray | None
) -> np.ndarray:
    if preprocessing.normalisation.masked and not rules.fills_holes:
        mask_DHW = values_DHW != 0
    return normalise(values_DHW, preprocessing.normalisation, mask_DHW)


def _mask_on_grid(mask_DHW: np.ndarray, shape: Shape, apart: int | None, rules: Convention) -> np.ndarray:
    if rules.labels == "nearest":
        return resample(mask_DHW, shape, kind="nearest")
    return resample_masks(mask_DHW.astype(np.uint8), shape, apart).astype(bool)


def _cut_to_whole(values_DHW: np.ndarray) -> np.ndarray:
    """Towards 0; a hair further out first: interpolated whole numbers lie beside themselves by their rounding."""
    whole: np.ndarray = np.trunc(values_DHW + np.copysign(np.float32(1e-3), values_DHW))
    return whole
