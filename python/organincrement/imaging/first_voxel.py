"""Resampling from the first voxel's centre on, at exactly the new spacing, as MONAI's Spacing and its inverse do it.

Where a place lies half-way between two voxels, torch's own arithmetic decides, as it does in MONAI.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch.nn import functional

Steps = tuple[float, ...] | None


def shape_from_first_voxel(
    shape_DHW: Sequence[int], spacing_mm: Sequence[float], target_mm: Sequence[float]
) -> tuple[int, int, int]:
    """The shape (D, H, W) at `target_mm`, from the first voxel's centre to about the last one's."""
    depth, height, width = (
        round((n - 1) * old / new + 1) for n, old, new in zip(shape_DHW, spacing_mm, target_mm, strict=True)
    )
    return depth, height, width


def resample_from_first_voxel(
    array_DHW: np.ndarray, shape_DHW: Sequence[int], kind: Literal["linear", "nearest", "cubic"], steps: Sequence[float]
) -> np.ndarray:
    """Another number of voxels, so many old ones apart along each axis; beyond the last, that goes on.

    Returns: for nearest the type and values of the array, for linear float32. Raises: ValueError for a cubic.
    """
    if kind == "cubic":
        raise ValueError("'cubic' is no interpolation from the first voxel on; use linear or nearest")
    result = np.ascontiguousarray(array_DHW, dtype=array_DHW.dtype if kind == "nearest" else np.float32)
    for axis, (new, step) in enumerate(zip(shape_DHW, steps, strict=True)):
        old = result.shape[axis]
        if step == 1 and new == old:
            continue
        if kind == "nearest":
            result = result.take(nearest_from_first(old, new, step), axis)
            continue
        places = places_from_first(old, new, step)
        low = np.floor(places).astype(np.intp)
        share = (places - low).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(result.ndim)])
        near, far = result.take(low, axis), result.take(np.minimum(low + 1, old - 1), axis)
        result = near + share * (far - near)
    return result.copy() if result is array_DHW else result


def places_from_first(old: int, new: int, step: float) -> np.ndarray:
    """Where `new` voxels lie among `old` ones, the first on the first and so many old ones apart; not beyond the last.

    Returns: float64.
    """
    places: np.ndarray = np.clip(np.arange(new) * step, 0, old - 1)
    return places


def nearest_from_first(old: int, new: int, step: float) -> np.ndarray:
    """The old voxel that each of those places is nearest to."""
    of_old, of_new = (np.array([[2 / n, 1 / n - 1], [0, 1]]) for n in (old, new))  # from voxels to -1 … 1
    scale, shift = (of_old @ np.diag([step, 1.0]) @ np.linalg.inv(of_new))[0]
    theta = torch.eye(3, 4, dtype=torch.float64)[None]
    theta[0, 2, 2], theta[0, 2, 3] = float(scale), float(shift)
    grid = functional.affine_grid(theta, [1, 1, new, 1, 1], align_corners=False)
    ramp = torch.arange(old, dtype=torch.float64).reshape(1, 1, old, 1, 1)
    taken = functional.grid_sample(ramp, grid, mode="nearest", padding_mode="border", align_corners=False)
    indices: np.ndarray = taken.flatten().numpy().astype(np.intp)
    return indices
