"""Grids: comparing them, turning a volume to canonical axes and back, and looking up positions."""

from typing import Protocol

import numpy as np

from organincrement.contract.model import STORED
from organincrement.imaging.volume import Volume

GRID_TOLERANCE_VOXELS = 1e-3

# The letter towards which a positive LPS component points, and its opposite.
LETTERS = ("LR", "PA", "SI")


class Grid(Protocol):
    """What a Volume and a Header have in common."""

    @property
    def shape_DHW(self) -> tuple[int, int, int]:
        """Number of voxels along D, H, W."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of the voxels along D, H, W."""

    @property
    def affine(self) -> np.ndarray:
        """4×4 matrix from the index (x, y, z, 1) to LPS millimetres."""


def same_grid(a: Grid, b: Grid, tolerance_voxels: float = GRID_TOLERANCE_VOXELS) -> bool:
    """True when both have the same shape and no voxel lies further apart than the tolerance."""
    return grid_difference(a, b, tolerance_voxels) is None


def grid_difference(a: Grid, b: Grid, tolerance_voxels: float = GRID_TOLERANCE_VOXELS) -> str | None:
    """How two grids differ, in words (sizes as W×H×D), or None when they are the same."""
    if a.shape_DHW != b.shape_DHW:
        first, second = ("×".join(map(str, grid.shape_DHW[::-1])) for grid in (a, b))
        return f"{first} voxels against {second}"
    depth, height, width = (size - 1 for size in a.shape_DHW)
    corners = np.array([[x, y, z, 1] for x in (0, width) for y in (0, height) for z in (0, depth)]).T
    # The shift is affine in the position, so that its largest length is at a corner.
    apart = np.linalg.norm((a.affine - b.affine)[:3] @ corners, axis=0).max() / min(*a.spacing_mm, *b.spacing_mm)
    return None if apart <= tolerance_voxels else f"voxels lie up to {apart:.3g} voxels apart"


def orientation_code(volume: Volume) -> str:
    """Where the image axes x, y, z (W, H, D) point to, nearest first, for example 'LPS' or 'RAS'."""
    axes, signs = _nearest_axes(volume.direction)
    return "".join(LETTERS[axis][sign < 0] for axis, sign in zip(axes, signs, strict=True))


def to_orientation(volume: Volume, code: str = "LPS") -> Volume:
    """The same voxels at the same places with axes swapped and flipped so that x, y, z point as `code` says.

    Oblique volumes stay oblique: nothing is interpolated. The array is a view. `stored`: nothing is turned. Raises
    ValueError for an unknown code.
    """
    if code == STORED:
        return volume
    order, flips = _turn(volume.direction, code)
    array_DHW = _turned(volume.array_DHW, order, flips)
    spacing_xyz = np.array(volume.spacing_mm[::-1])
    size_xyz = np.array(volume.shape_DHW[::-1])
    first_index = np.zeros(3)
    direction = volume.direction[:, order].copy()
    for new, old in enumerate(order):
        if flips[new]:
            first_index[old] = size_xyz[old] - 1
            direction[:, new] *= -1
    origin = volume.affine[:3, :3] @ first_index + volume.affine[:3, 3]
    width_mm, height_mm, depth_mm = spacing_xyz[list(order)]
    return Volume(array_DHW, (depth_mm, height_mm, width_mm), (origin[0], origin[1], origin[2]), direction)


def like_original(array_DHW: np.ndarray, original: Volume, orientation: str = "LPS") -> np.ndarray:
    """Turn an array in the axes of `to_orientation(original, orientation)` back to the axes of `original`; a view.

    Raises ValueError when the shape is not that of the turned original.
    """
    if orientation == STORED:
        orientation = orientation_code(original)
    order, flips = _turn(original.direction, orientation)
    unflipped = np.flip(array_DHW, tuple(2 - new for new in range(3) if flips[new]))
    back = [0, 0, 0]
    for new, old in enumerate(order):
        back[2 - old] = 2 - new
    restored_DHW = unflipped.transpose(back)
    if restored_DHW.shape != original.shape_DHW:
        raise ValueError(f"turned back, {restored_DHW.shape} voxels do not fit the original's {original.shape_DHW}")
    return restored_DHW


def nearest_index(volume: Grid, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest voxel of each position.

    points_mm: (n, 3) L, P, S. Returns: (n, 3) indices d, h, w, clipped into the volume, and (n,) true where the
    position is inside, that is at most half a voxel beyond the outermost voxel centres.
    """
    index_xyz = (points_mm - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    index = index_xyz[:, ::-1]
    inside = ((index >= -0.5) & (index < np.array(volume.shape_DHW) - 0.5)).all(1)
    nearest = np.floor(np.where(np.isfinite(index), index, 0) + 0.5)
    return np.clip(nearest, 0, np.array(volume.shape_DHW) - 1).astype(np.intp), inside


def _nearest_axes(direction: np.ndarray) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """For each image axis the patient axis it is nearest to, each used once, best match first, and its sign."""
    strength = np.abs(direction).copy()
    axes = [0, 0, 0]
    for _ in range(3):
        patient, image = np.unravel_index(int(strength.argmax()), (3, 3))
        axes[image] = int(patient)
        strength[patient, :] = strength[:, image] = -1
    return tuple(axes), tuple(float(direction[axes[image], image]) for image in range(3))


def _turn(direction: np.ndarray, code: str) -> tuple[list[int], list[bool]]:
    """For each new image axis x, y, z: the old image axis it comes from, and whether that one is flipped."""
    wanted = [next((i for i, letters in enumerate(LETTERS) if letter in letters), None) for letter in code]
    if sorted(axis for axis in wanted if axis is not None) != [0, 1, 2] or len(wanted) != 3:
        raise ValueError(f"{code!r} is no orientation; write three letters such as LPS or RAS")
    axes, signs = _nearest_axes(direction)
    order = [axes.index(patient) for patient in wanted if patient is not None]
    flips = [(signs[old] < 0) != (letter == LETTERS[axes[old]][1]) for old, letter in zip(order, code, strict=True)]
    return order, flips


def _turned(array_DHW: np.ndarray, order: list[int], flips: list[bool]) -> np.ndarray:
    # Image axis i is array axis 2 - i.
    turned = array_DHW.transpose([2 - order[2], 2 - order[1], 2 - order[0]])
    return np.flip(turned, tuple(2 - new for new in range(3) if flips[new]))
