"""Dice overlap and surface distances in mm of two binary masks.

A surface voxel is a foreground voxel with a face neighbour (6 in 3-D, 4 in 2-D) that is background or outside the
array. Distances run between voxel centres. d_ab: from every surface voxel of a to the nearest one of b.
Nothing in either mask: nan, there is nothing to measure. In one only: Dice 0 and distances inf.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import cKDTree

from organincrement.evaluation.errors import EvaluationError

Mask = NDArray[np.bool_]
Distances = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SurfaceDistances:
    """Distances in mm from each surface voxel of a to the surface of b, and back."""

    a_to_b_mm: Distances
    b_to_a_mm: Distances

    @property
    def undefined(self) -> float | None:
        """nan when both surfaces are empty, inf when one is, None when the distances can be summarised."""
        empty = (self.a_to_b_mm.size == 0, self.b_to_a_mm.size == 0)
        if all(empty):
            return float("nan")
        return float("inf") if any(empty) else None


@dataclass(frozen=True, kw_only=True)
class Measures:
    """What two masks have in common: Dice in 0..1, distances in mm."""

    dice: float
    hausdorff_mm: float
    hd95_mm: float
    assd_mm: float


def dice(a: Mask, b: Mask) -> float:
    """2|a∩b| / (|a| + |b|) of two boolean masks of one shape; nan when both are empty.

    Raises: EvaluationError when shapes differ or a mask is not boolean.
    """
    _check(a, b)
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else float("nan")


def surface_distances_mm(a: Mask, b: Mask, spacing_mm: Sequence[float]) -> SurfaceDistances:
    """Distances between the surfaces of two masks, exact to rounding.

    Args: a, b boolean, one shape, any number of axes. spacing_mm: voxel size along each array axis.
    Returns: one distance per surface voxel; inf for all when the other mask is empty.
    Raises: EvaluationError on differing shapes, masks that are not boolean, or a spacing that does not fit.
    """
    _check(a, b, spacing_mm)
    points_a, points_b = _surface_mm(a, spacing_mm), _surface_mm(b, spacing_mm)
    return SurfaceDistances(a_to_b_mm=_nearest_mm(points_a, points_b), b_to_a_mm=_nearest_mm(points_b, points_a))


def hausdorff_mm(a: Mask, b: Mask, spacing_mm: Sequence[float]) -> float:
    """Largest surface distance of both directions, in mm; see surface_distances_mm for arguments and errors."""
    return _hausdorff(surface_distances_mm(a, b, spacing_mm))


def hd95_mm(a: Mask, b: Mask, spacing_mm: Sequence[float]) -> float:
    """Larger of the two directed 95th percentiles (linear interpolation), in mm.

    MedPy-based published figures pool both directions before taking the percentile, and come out smaller.
    """
    return _hd95(surface_distances_mm(a, b, spacing_mm))


def assd_mm(a: Mask, b: Mask, spacing_mm: Sequence[float]) -> float:
    """Average symmetric surface distance (Σd_ab + Σd_ba) / (n_a + n_b), in mm."""
    return _assd(surface_distances_mm(a, b, spacing_mm))


def measure(a: Mask, b: Mask, spacing_mm: Sequence[float]) -> Measures:
    """All measures of two masks from one pass over their surfaces; arguments and errors as surface_distances_mm."""
    overlap, distances = dice(a, b), surface_distances_mm(a, b, spacing_mm)
    return Measures(
        dice=overlap, hausdorff_mm=_hausdorff(distances), hd95_mm=_hd95(distances), assd_mm=_assd(distances)
    )


def _hausdorff(distances: SurfaceDistances) -> float:
    if distances.undefined is not None:
        return distances.undefined
    return float(max(distances.a_to_b_mm.max(), distances.b_to_a_mm.max()))


def _hd95(distances: SurfaceDistances) -> float:
    if distances.undefined is not None:
        return distances.undefined
    return float(max(np.percentile(distances.a_to_b_mm, 95), np.percentile(distances.b_to_a_mm, 95)))


def _assd(distances: SurfaceDistances) -> float:
    if distances.undefined is not None:
        return distances.undefined
    return float(np.concatenate([distances.a_to_b_mm, distances.b_to_a_mm]).mean())


def _surface_mm(mask: Mask, spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    """Centres of the surface voxels in mm, (n, axes)."""
    boxes = find_objects(mask.view(np.uint8))
    if not boxes:
        return np.empty((0, mask.ndim))
    # Outside the tight box there is only background or the end of the array: both count as outside the organ.
    crop = mask[boxes[0]]
    surface = crop & ~binary_erosion(crop, border_value=0)
    first = np.array([side.start for side in boxes[0]])
    return (np.argwhere(surface) + first) * np.asarray(spacing_mm, dtype=np.float64)


def _nearest_mm(points: NDArray[np.float64], targets: NDArray[np.float64]) -> Distances:
    """Distance of each point to the nearest target; a tree needs memory for surfaces only, a distance map for the box
    around both masks, which one stray voxel blows up to the whole scan."""
    if not len(targets):
        return np.full(len(points), np.inf)
    return np.asarray(cKDTree(targets).query(points)[0], dtype=np.float64)


def _check(a: Mask, b: Mask, spacing_mm: Sequence[float] | None = None) -> None:
    if a.shape != b.shape:
        raise EvaluationError(f"the masks have shapes {a.shape} and {b.shape}: resample one to the other's grid first")
    for mask in (a, b):
        if mask.dtype != np.bool_:
            raise EvaluationError(f"a mask holds {mask.dtype}, not booleans: compare the labels with one organ's value")
    if spacing_mm is None:
        return
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.shape != (a.ndim,) or not np.isfinite(spacing).all() or (spacing <= 0).any():
        raise EvaluationError(
            f"spacing {tuple(spacing_mm)} does not fit {a.ndim} array axes: give positive mm for each"
        )
