"""What a scan tells by itself, before any model sees it: air, body, intensities, noise, size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from organincrement.imaging.volume import Volume

Triple = tuple[float, float, float]
AIR_HU = -500.0  # below: air outside and in the lungs; above: anything of the body
PERCENTILES = (0.5, 50.0, 99.5)
_SOFT_HU = (-200.0, 300.0)
_ALIKE = 0.35  # of the mean difference of any two voxels
_MOST_LAGS = 24


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """One scan's own figures. Axes D, H, W of the model's orientation.

    extent_mm: of the whole scan; body_mm: of the box around the body, None without one. body_ml: its volume.
    percentiles: 0.5, 50, 99.5 of the brighter part, as packages record them. air_share: of voxels that are air.
    roughness: mean step between neighbours in the body by the mean step between any two of its voxels: 1 for noise.
    stretch: how much further likeness reaches along D than within a slice, in octaves; 1 means twice as far.
    """

    spacing_mm: Triple
    extent_mm: Triple
    body_mm: Triple | None
    body_ml: float
    range: tuple[float, float]
    percentiles: Triple
    air_share: float
    roughness: float | None
    stretch: float | None


def body_mask(array_DHW: np.ndarray, *, ct: bool) -> np.ndarray:
    """The largest connected thing that is not air, hollows within a slice filled; all false where there is none.

    ct: air is below AIR_HU; otherwise, below a tenth of the way from the darkest value to the brighter half's median.
    """
    threshold = AIR_HU
    if not ct:
        lowest = float(array_DHW.min())
        brighter = array_DHW[array_DHW > array_DHW.mean()]
        threshold = lowest + 0.1 * (float(np.median(brighter)) - lowest) if brighter.size else lowest
    parts, count = ndimage.label(array_DHW > threshold)
    if count == 0:
        return np.zeros(array_DHW.shape, bool)
    body = parts == 1 + int(np.bincount(parts.ravel())[1:].argmax())
    return np.stack([ndimage.binary_fill_holes(slice_HW) for slice_HW in body])


def scan_facts(image: Volume, body_DHW: np.ndarray) -> ScanFacts:
    """Measure a scan in the model's orientation. Args: body_DHW: of the same shape, from `body_mask`."""
    array = image.array_DHW
    brighter = array[array > array.mean()]
    percentiles = np.percentile(brighter if brighter.size else array, PERCENTILES)
    return ScanFacts(
        spacing_mm=image.spacing_mm,
        extent_mm=_lengths(array.shape, image.spacing_mm),
        body_mm=_lengths(_box_shape(body_DHW), image.spacing_mm) if body_DHW.any() else None,
        body_ml=float(body_DHW.sum() * np.prod(image.spacing_mm) / 1000),
        range=(float(array.min()), float(array.max())),
        percentiles=(float(percentiles[0]), float(percentiles[1]), float(percentiles[2])),
        air_share=float((array < AIR_HU).mean()),
        roughness=_roughness(array, body_DHW),
        stretch=_stretch(array, body_DHW, image.spacing_mm),
    )


def _roughness(array_DHW: np.ndarray, body_DHW: np.ndarray) -> float | None:
    """The smallest over the three axes: thick slices make a scan rough along one of them, noise along all."""
    any_two = _difference_of_any_two(array_DHW[body_DHW])
    if any_two is None:
        return None
    steps = [_mean_difference(array_DHW, body_DHW, axis, 1) for axis in range(3)]
    known = [step / any_two for step in steps if step is not None]
    return min(known) if known else None


def _stretch(array_DHW: np.ndarray, body_DHW: np.ndarray, spacing_mm: Triple) -> float | None:
    """Octaves by which two voxels along D may lie further apart than within a slice and be as alike."""
    soft_DHW = np.clip(array_DHW, *_SOFT_HU)  # metal and air would drown the tissue
    any_two = _difference_of_any_two(soft_DHW[body_DHW])
    if any_two is None:
        return None
    reaches = [_reach_mm(soft_DHW, body_DHW, axis, spacing_mm[axis], _ALIKE * any_two) for axis in range(3)]
    along, across = reaches[0], [reach for reach in reaches[1:] if reach is not None]
    if along is None or not across:
        return None
    return float(np.log2(along) - np.mean(np.log2(across)))


def _reach_mm(array_DHW: np.ndarray, body_DHW: np.ndarray, axis: int, step_mm: float, limit: float) -> float | None:
    """The distance along an axis at which voxels of the body differ by `limit` on average; None if they never do."""
    before_mm, before = 0.0, 0.0
    for lag in range(1, _MOST_LAGS + 1):
        difference = _mean_difference(array_DHW, body_DHW, axis, lag)
        if difference is None:
            return None
        if difference >= limit:
            return before_mm + (lag * step_mm - before_mm) * (limit - before) / (difference - before)
        before_mm, before = lag * step_mm, difference
    return None


def _mean_difference(array_DHW: np.ndarray, body_DHW: np.ndarray, axis: int, lag: int) -> float | None:
    if array_DHW.shape[axis] <= lag:
        return None
    ahead = tuple(slice(lag, None) if a == axis else slice(None) for a in range(3))
    behind = tuple(slice(None, -lag) if a == axis else slice(None) for a in range(3))
    both = body_DHW[ahead] & body_DHW[behind]
    return float(np.abs(array_DHW[ahead] - array_DHW[behind])[both].mean()) if both.any() else None


def _difference_of_any_two(values: np.ndarray) -> float | None:
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    return float(np.abs(np.random.default_rng(0).permutation(values) - values).mean())


def _box_shape(mask_DHW: np.ndarray) -> tuple[int, ...]:
    box = ndimage.find_objects(mask_DHW.astype(np.uint8))[0]
    return tuple(part.stop - part.start for part in box)


def _lengths(shape: Sequence[int], spacing_mm: Triple) -> Triple:
    d, h, w = (float(n * mm) for n, mm in zip(shape, spacing_mm, strict=True))
    return d, h, w
