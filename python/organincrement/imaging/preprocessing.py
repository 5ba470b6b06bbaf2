"""From a scan to the network's grid: canonical axes, normalised, resampled, cropped to the tissue."""

from dataclasses import dataclass

import numpy as np

from organincrement.contract.model import Preprocessing
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.header import Header
from organincrement.imaging.normalisation import normalise
from organincrement.imaging.resampling import resample, shape_at_spacing
from organincrement.imaging.volume import Volume

Shape = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class NetworkGrid:
    """A scan as the network sees it, axes in the model's order.

    image_DHW: float32, cropped to the box of tissue, widened to the patch. offset: of its first voxel in the full grid
    (negative where it was widened beyond). full_shape: of the uncropped network grid. output_shape: of the scan itself.
    """

    image_DHW: np.ndarray
    offset: Shape
    full_shape: Shape
    output_shape: Shape


def to_network_grid(image: Volume, preprocessing: Preprocessing, *, minimum_shape: Shape) -> NetworkGrid:
    """Prepare a scan for inference. Args: minimum_shape: the network's patch."""
    full, output_shape = _normalised_on_grid(image, preprocessing)
    low, high = tissue_box(full)
    short = [max(0, m - (b - a)) for m, a, b in zip(minimum_shape, low, high, strict=True)]
    start = [_slide(a - s // 2, a, b, s, n) for a, b, s, n in zip(low, high, short, full.shape, strict=True)]
    stop = [o + (b - a) + s for o, a, b, s in zip(start, low, high, short, strict=True)]
    pad = [(max(0, -o), max(0, e - n)) for o, e, n in zip(start, stop, full.shape, strict=True)]
    inside = tuple(slice(max(0, o), min(e, n)) for o, e, n in zip(start, stop, full.shape, strict=True))
    widened = np.pad(full[inside], pad, constant_values=float(full.min()))
    return NetworkGrid(
        image_DHW=np.ascontiguousarray(widened), offset=tuple(start), full_shape=full.shape, output_shape=output_shape,  # type: ignore[arg-type]
    )  # fmt: skip


def _slide(start: int, low: int, high: int, short: int, size: int) -> int:
    """Widen into the scan where there is room, so that padding is the exception."""
    if high - low + short > size:
        return -((high - low + short - size) // 2)
    return min(max(start, 0), size - (high - low + short))


def preprocess_pair(image: Volume, labels: Volume, preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """Prepare a training case: image (float32) and labels (as stored) on the network's grid, cropped to the tissue."""
    full, _ = _normalised_on_grid(image, preprocessing)
    canonical = to_orientation(labels, preprocessing.orientation).array_DHW.transpose(preprocessing.axis_order)
    on_grid = resample(canonical, full.shape, kind="nearest")
    low, high = tissue_box(full)
    # a label outside the tissue is rare, and is kept
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
    return shape_at_spacing([shape[a] for a in order], [spacing_mm[a] for a in order], preprocessing.spacing_mm)


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


def _normalised_on_grid(image: Volume, preprocessing: Preprocessing) -> tuple[np.ndarray, Shape]:
    canonical = to_orientation(image, preprocessing.orientation)
    order = tuple(preprocessing.axis_order)
    array = canonical.array_DHW.transpose(order)
    shape = grid_shape(canonical.shape_DHW, canonical.spacing_mm, preprocessing)
    kind = preprocessing.image_resampling
    if preprocessing.order == "normalise-then-resample":
        grid = resample(normalise(array, preprocessing.normalisation), shape, kind=kind)
    else:
        grid = normalise(resample(array, shape, kind=kind), preprocessing.normalisation)
    return np.ascontiguousarray(grid, dtype=np.float32), array.shape
