"""Resampling to another number of voxels over the same extent (edges stay, voxel centres move), unless told otherwise.

The half-pixel convention of scikit-image and nnU-Net. Interpolation is scipy's; because it acts on each axis by itself
and is linear, it is applied as one matrix per axis, many times faster on whole scans than `scipy.ndimage.zoom`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from scipy import ndimage

from organincrement.imaging.first_voxel import Steps, resample_from_first_voxel
from organincrement.imaging.volume import Volume

Kind = Literal["linear", "cubic", "nearest"]
ORDER = {"linear": 1, "cubic": 3}


def resample(
    array_DHW: np.ndarray,
    shape_DHW: Sequence[int],
    *,
    kind: Kind,
    antialias: bool = True,
    within_input: bool = False,
    corners: bool = False,
    steps: Steps = None,
) -> np.ndarray:
    """Resample to another shape; beyond the edge the outermost voxel goes on.

    array_DHW: any scalar type; three axes, or any number with a matching `shape_DHW`. kind: nearest keeps the type and
    every value (labels); linear and cubic (B-spline) give float32. antialias: before an axis shrinks by a factor f,
    smooth along it with a Gaussian of sigma (f - 1) / 2 voxels, as scikit-image; not for nearest. within_input: no
    value beyond the lowest and highest of the input, where a cubic overshoots. corners: the centres of the outermost
    voxels stay, not the edges of the grid. steps: nor do these, but the first voxel's centre, and the new voxels lie so
    many old ones apart along each axis; without smoothing, and not by a cubic.
    Raises ValueError for another number of axes, a size below one, or an unknown kind.
    """
    if len(shape_DHW) != array_DHW.ndim or min(shape_DHW) < 1:
        raise ValueError(f"cannot resample {array_DHW.shape} voxels to {tuple(shape_DHW)}")
    if steps is not None:
        return resample_from_first_voxel(array_DHW, shape_DHW, kind, steps)
    if kind == "nearest":
        return _nearest(array_DHW, shape_DHW, corner_slices if corners else _nearest_indices)
    if kind not in ORDER:
        raise ValueError(f"{kind!r} is no interpolation; use linear, cubic or nearest")
    result = np.ascontiguousarray(array_DHW, dtype=np.float32)
    # Shrinking axes first: every later step has less to do.
    for axis in sorted(range(result.ndim), key=lambda axis: shape_DHW[axis] / array_DHW.shape[axis]):
        if shape_DHW[axis] != result.shape[axis]:
            matrix = _matrix(result.shape[axis], int(shape_DHW[axis]), ORDER[kind], antialias, not corners)
            result = _apply(matrix, result, axis)
    if within_input and result.shape != array_DHW.shape:
        np.clip(result, array_DHW.min(), array_DHW.max(), out=result)
    return result.copy() if result is array_DHW else result


def resample_apart(
    array_DHW: np.ndarray, shape_DHW: Sequence[int], axis: int, *, kind: Kind, within_input: bool
) -> np.ndarray:
    """Resample slice by slice across one axis, then take the nearest slice along it; nothing is smoothed."""
    if tuple(shape_DHW) == array_DHW.shape:
        return resample(array_DHW, shape_DHW, kind=kind)
    in_plane = [size for other, size in enumerate(shape_DHW) if other != axis]
    result_DHW = np.empty(shape_DHW, np.float32)
    taken = nearest_slices(array_DHW.shape[axis], shape_DHW[axis])
    for index in np.unique(taken):
        plane = resample(
            np.take(array_DHW, index, axis), in_plane, kind=kind, antialias=False, within_input=within_input
        )
        np.moveaxis(result_DHW, axis, 0)[taken == index] = plane
    return result_DHW


def nearest_slices(old: int, new: int) -> np.ndarray:
    """Which of the old slices each new one takes, by scipy's arithmetic of a coordinate map of order 0."""
    places = np.clip(old / new * (np.arange(new) + 0.5) - 0.5, 0, old - 1)
    return np.minimum(np.floor(places + 0.5).astype(np.intp), old - 1)


def corner_slices(old: int, new: int) -> np.ndarray:
    """Which of the old slices each new one takes where the first and the last stay, by scipy's zoom of order 0."""
    places = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 1.0)
    return np.minimum(np.floor(places + 0.5).astype(np.intp), old - 1)


def axis_apart(spacing_mm: Sequence[float], target_mm: Sequence[float], above: float | None) -> int | None:
    """The axis across which a grid is resampled slice by slice, None where there is none.

    Args: above: the coarsest spacing, of the first grid or else of the second, is more than so many times the finest;
        where two axes are the coarsest, none is apart.
    """
    for spacing in (spacing_mm, target_mm):
        if above is not None and max(spacing) / min(spacing) > above:
            coarsest = [axis for axis, mm in enumerate(spacing) if mm == max(spacing)]
            return coarsest[0] if len(coarsest) == 1 else None
    return None


def resample_masks(labels_DHW: np.ndarray, shape_DHW: Sequence[int], axis: int | None) -> np.ndarray:
    """Labels as nnU-Net resamples them: the value, the highest of several, whose mask is at least a half there, else 0.

    Args: axis: across which slices are taken apart, as in `resample_apart`; None: none.
    """
    if tuple(shape_DHW) == labels_DHW.shape:
        return labels_DHW.copy()
    result_DHW = np.zeros(shape_DHW, labels_DHW.dtype)
    for value in np.unique(labels_DHW):
        mask = (labels_DHW == value).astype(np.float32)
        if axis is None:
            share = resample(mask, shape_DHW, kind="linear", antialias=False)
        else:
            share = resample_apart(mask, shape_DHW, axis, kind="linear", within_input=False)
        # a hair less: a half is 0.49999997 here and there
        result_DHW[share >= np.float32(0.5 - 1e-6)] = value
    return result_DHW


def shape_at_spacing(
    shape_DHW: Sequence[int], spacing_mm: Sequence[float], target_mm: Sequence[float], *, ratio_first: bool = False
) -> tuple[int, int, int]:
    """The shape (D, H, W) whose voxels come nearest to `target_mm` over the same extent; at least one voxel an axis.

    Args: ratio_first: divide the spacings before anything, as nnU-Net: where two sizes are equally near, it can decide.
    """
    sizes = (
        max(1, round(old / new * n if ratio_first else n * old / new))
        for n, old, new in zip(shape_DHW, spacing_mm, target_mm, strict=True)
    )
    depth, height, width = sizes
    return depth, height, width


def resample_volume(volume: Volume, shape_DHW: tuple[int, int, int], *, kind: Kind, antialias: bool = True) -> Volume:
    """`resample` with the grid that goes with it: same extent, new spacing, origin at the new first voxel's centre."""
    array_DHW = resample(volume.array_DHW, shape_DHW, kind=kind, antialias=antialias)
    factors = [old / new for old, new in zip(volume.shape_DHW, shape_DHW, strict=True)]
    depth_mm, height_mm, width_mm = (mm * factor for mm, factor in zip(volume.spacing_mm, factors, strict=True))
    first_index_xyz = np.array([(factor - 1) / 2 for factor in factors[::-1]])
    x, y, z = volume.affine[:3, :3] @ first_index_xyz + volume.affine[:3, 3]
    return Volume(array_DHW, (depth_mm, height_mm, width_mm), (x, y, z), volume.direction)


def onto_grid(volume: Volume, like: Volume, *, kind: Literal["linear", "nearest"], outside: float = 0) -> Volume:
    """A volume looked up on the grid of another, wherever both lie; voxels of `like` outside `volume` get `outside`."""
    import SimpleITK as sitk

    interpolator = sitk.sitkNearestNeighbor if kind == "nearest" else sitk.sitkLinear
    moved = sitk.Resample(
        volume.to_sitk(),
        like.shape_DHW[::-1],
        sitk.Transform(),
        interpolator,
        like.origin_mm,
        like.spacing_mm[::-1],
        like.direction.ravel().tolist(),
        float(outside),
    )
    return like.with_array(sitk.GetArrayFromImage(moved))


def _nearest(array_DHW: np.ndarray, shape_DHW: Sequence[int], taken: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Args: taken: from an axis' old and new size to the old voxel that each new one takes."""
    for axis, size in enumerate(shape_DHW):
        if size != array_DHW.shape[axis]:
            array_DHW = array_DHW.take(taken(array_DHW.shape[axis], size), axis)
    return np.ascontiguousarray(array_DHW)


def _nearest_indices(old: int, new: int) -> np.ndarray:
    """floor((i + 1/2) old / new), in whole numbers so that ties fall the same way everywhere."""
    return (2 * np.arange(new) + 1) * old // (2 * new)


def _apply(matrix: np.ndarray, array: np.ndarray, axis: int) -> np.ndarray:
    """Multiply along one axis, always as one large product: many small ones cost far more than they compute."""
    if axis == array.ndim - 1:
        return (array.reshape(-1, array.shape[axis]) @ matrix.T).reshape(*array.shape[:-1], len(matrix))
    return np.ascontiguousarray(np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis))


@functools.lru_cache(maxsize=64)
def _matrix(old: int, new: int, order: int, antialias: bool, edges: bool) -> np.ndarray:
    """The (new, old) float32 matrix of scipy's 1-D smoothing and zoom: its columns are the images of unit impulses."""
    impulses = np.eye(old)
    if antialias and new < old:
        impulses = ndimage.gaussian_filter1d(impulses, (old / new - 1) / 2, axis=1, mode="nearest")
    columns = [ndimage.zoom(row, new / old, order=order, mode="nearest", grid_mode=edges) for row in impulses]
    matrix = np.stack(columns, axis=1).astype(np.float32)
    matrix.setflags(write=False)
    return matrix
