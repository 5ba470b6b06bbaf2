"""From a scan to the network's grid: the model's axes, normalised, resampled, cropped as its convention says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.model import Preprocessing
from organincrement.imaging.conventions import CONVENTIONS, Convention
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.header import Header
from organincrement.imaging.normalisation import inside, normalise
from organincrement.imaging.resampling import axis_apart, resample, resample_apart, resample_masks, shape_at_spacing
from organincrement.imaging.volume import Volume

Shape = tuple[int, int, int]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class NetworkGrid:
    """A scan as the network sees it, axes in the model's order.

    image_DHW: float32, what the windows cover, widened to the patch. offset: of its first voxel in the full grid
    (negative where it was widened beyond). full_shape: of the uncropped network grid. place: the part of the scan that
    this grid is of; output_shape: its shape. scan_shape: of the scan itself. apart: the axis along which the output
    takes the nearest slice.
    """

    image_DHW: np.ndarray
    offset: Shape
    full_shape: Shape
    output_shape: Shape
    place: Box
    scan_shape: Shape
    apart: int | None = None


def to_network_grid(image: Volume, preprocessing: Preprocessing, *, minimum_shape: Shape) -> NetworkGrid:
    """Prepare a scan for inference. Args: minimum_shape: the network's patch."""
    rules = CONVENTIONS[preprocessing.convention]
    scan = _on_grid(image, preprocessing, rules)
    full = scan.image_DHW
    low, high = tissue_box(full) if rules.region == "tissue" else (np.zeros(3, int), np.array(full.shape))
    short = [max(0, m - (b - a)) for m, a, b in zip(minimum_shape, low, high, strict=True)]
    start = [_slide(a - s // 2, a, b, s, n) for a, b, s, n in zip(low, high, short, full.shape, strict=True)]
    stop = [o + (b - a) + s for o, a, b, s in zip(start, low, high, short, strict=True)]
    pad = [(max(0, -o), max(0, e - n)) for o, e, n in zip(start, stop, full.shape, strict=True)]
    inside_grid = tuple(slice(max(0, o), min(e, n)) for o, e, n in zip(start, stop, full.shape, strict=True))
    beyond = float(full.min()) if rules.padding == "lowest" else 0.0
    widened = np.pad(full[inside_grid], pad, constant_values=beyond)
    return NetworkGrid(
        image_DHW=np.ascontiguousarray(widened), offset=tuple(start), full_shape=full.shape,  # type: ignore[arg-type]
        output_shape=tuple(s.stop - s.start for s in scan.place), place=scan.place, scan_shape=scan.shape,  # type: ignore[arg-type]
        apart=axis_apart(scan.target_mm, scan.spacing_mm, rules.separate_above),
    )  # fmt: skip


def _slide(start: int, low: int, high: int, short: int, size: int) -> int:
    """Widen into the scan where there is room, so that padding is the exception."""
    if high - low + short > size:
        return -((high - low + short - size) // 2)
    return min(max(start, 0), size - (high - low + short))


def preprocess_pair(image: Volume, labels: Volume, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Prepare a training case: image (float32) and labels (as stored) on the network's grid, cropped as for inference.

    Where that is to the tissue, a label outside of it, which is rare, is kept.
    """
    rules = CONVENTIONS[preprocessing.convention]
    scan = _on_grid(image, preprocessing, rules)
    full = scan.image_DHW
    turned = to_orientation(labels, preprocessing.orientation).array_DHW.transpose(preprocessing.axis_order)
    if rules.labels == "nearest":
        on_grid = resample(turned[scan.place], full.shape, kind="nearest")
    else:
        apart = axis_apart(scan.spacing_mm, scan.target_mm, rules.separate_above)
        on_grid = resample_masks(turned[scan.place], full.shape, apart)
    if rules.region != "tissue":
        return full, on_grid
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
    target_mm = _target_mm(spacing_mm, preprocessing)
    ratio_first = CONVENTIONS[preprocessing.convention].ratio_first
    return shape_at_spacing(shape, spacing_mm, target_mm, ratio_first=ratio_first)


def _target_mm(spacing_mm: Sequence[float], preprocessing: Preprocessing) -> tuple[float, ...]:
    kept, wanted = preprocessing.keep_axes, preprocessing.spacing_mm
    return tuple(spacing_mm[axis] if axis in kept else wanted[axis] for axis in range(3))


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
    """A part of a scan on the network's grid, normalised; `place`, `shape` of the scan and spacings: network axes."""

    image_DHW: np.ndarray
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
    apart = axis_apart(spacing_mm, target_mm, rules.separate_above)

    def moved(values_DHW: np.ndarray) -> np.ndarray:
        kind, within = preprocessing.image_resampling, rules.within_input
        if apart is None:
            return resample(values_DHW, shape, kind=kind, antialias=rules.antialias, within_input=within)
        return resample_apart(values_DHW, shape, apart, kind=kind, within_input=within)

    # what is 0 is no longer 0 once it is resampled
    mask = inside(part) if preprocessing.normalisation.masked else None
    if preprocessing.order == "normalise-then-resample":
        grid = moved(normalise(part, preprocessing.normalisation, mask))
    else:
        mask = None if mask is None else resample(mask, shape, kind="nearest")
        grid = normalise(moved(part), preprocessing.normalisation, mask)
    return _OnGrid(
        image_DHW=np.ascontiguousarray(grid, dtype=np.float32), place=place, shape=array.shape,  # type: ignore[arg-type]
        spacing_mm=spacing_mm, target_mm=target_mm,
    )  # fmt: skip
