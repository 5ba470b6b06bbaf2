"""Shapes of the phantom's anatomy as signed distances, and the canvas on which they are painted.

Points are x, y, z in mm: x to the patient's left, y to the back, z to the head. A signed distance is negative inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

Box = tuple[slice, slice, slice]
Points = tuple[np.ndarray, np.ndarray, np.ndarray]
Bounds = tuple[np.ndarray, np.ndarray]

_NOISE_REACH_MM = (140.0, 175.0, 210.0)  # half extent of D, H, W that noise covers, whatever the grid
_MARGIN_MM = 14.0  # the patient's warp and the surfaces' roughness may carry a shape this far out of its bounds


class Shape(Protocol):
    """Something with bounds and a signed distance."""

    def bounds(self) -> Bounds:
        """Lowest and highest x, y, z in mm."""
        ...

    def signed_distance(self, points: Points) -> np.ndarray:
        """Approximate distance to the surface in mm at x, y, z (arrays of one shape), negative inside."""
        ...


@dataclass(frozen=True, kw_only=True)
class SuperEllipsoid:
    """|x/a|^p + |y/b|^p + |z/c|^p = 1, turned by Euler angles; p = 2 is an ellipsoid, more is boxier."""

    center: ArrayLike
    radii: ArrayLike
    power: float = 2.0
    turn_deg: ArrayLike = (0.0, 0.0, 0.0)  # about x, y, z

    def bounds(self) -> Bounds:
        """Of the sphere-wise reach along each axis."""
        reach = np.abs(self._rotation()) @ np.asarray(self.radii, float)
        return np.asarray(self.center) - reach, np.asarray(self.center) + reach

    def signed_distance(self, points: Points) -> np.ndarray:
        """Distance along the ray from the centre, shortened where the surface is slanted to the ray."""
        offset = [p - np.float32(c) for p, c in zip(points, np.asarray(self.center), strict=True)]
        to_local = self._rotation().T
        scaled_power = np.zeros(points[0].shape, np.float32)
        slope_squared = np.zeros_like(scaled_power)
        for row, radius in zip(to_local, np.asarray(self.radii), strict=True):
            along = sum(np.float32(r) * o for r, o in zip(row, offset, strict=True))
            scaled = np.abs(along) / np.float32(radius)
            lower = scaled ** np.float32(self.power - 1)
            scaled_power += lower * scaled
            slope_squared += (lower / np.float32(radius)) ** 2
        g = scaled_power ** np.float32(1 / self.power)
        slope = np.sqrt(slope_squared) * np.maximum(g, 1e-3) ** np.float32(1 - self.power)
        return (g - 1) / np.maximum(slope, np.float32(1e-4))

    def _rotation(self) -> np.ndarray:
        return Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix()


@dataclass(frozen=True, kw_only=True)
class Tube:
    """A round tube through control points (n, 3) with a radius at each; `haustra` bulges it every 26 mm."""

    through: Sequence[ArrayLike]
    radii: ArrayLike
    haustra: float = 0.0
    _beads: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        through, radii = np.asarray(self.through, float), np.asarray(self.radii, float)
        length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(through, axis=0), axis=1))])
        at = np.linspace(0, length[-1], 1 + int(np.ceil(length[-1] / (0.35 * radii.mean()))))
        radius = np.interp(at, length, radii) * (1 + self.haustra * np.sin(2 * np.pi * at / 26))
        center = CubicSpline(length, through, bc_type="natural")(at)
        object.__setattr__(self, "_beads", (center.astype(np.float32), radius.astype(np.float32)))

    def bounds(self) -> Bounds:
        """Of all its beads."""
        center, radius = self._beads
        return (center - radius[:, None]).min(0), (center + radius[:, None]).max(0)

    def signed_distance(self, points: Points) -> np.ndarray:
        """To the nearest of the beads it is strung of."""
        x, y, z = points
        nearest = np.full(x.shape, np.inf, np.float32)
        for (cx, cy, cz), radius in zip(*self._beads, strict=True):
            np.minimum(nearest, np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - radius, out=nearest)
        return nearest


def smooth_union(a: np.ndarray, b: np.ndarray, blend_mm: float) -> np.ndarray:
    """Union of two signed distances whose seam is rounded over about `blend_mm`."""
    h = np.maximum(blend_mm - np.abs(a - b), 0) / blend_mm
    return np.minimum(a, b) - h * h * np.float32(blend_mm / 4)


def smooth_noise(rng: np.random.Generator, axes_mm: Sequence[np.ndarray], length_mm: float) -> np.ndarray:
    """Gaussian noise of unit variance, correlated over `length_mm`, on the grid that the axes span.

    The draw does not depend on the grid, so that a patient is the same on every one.

    Args: axes_mm: z_D, y_H, x_W, which stay within _NOISE_REACH_MM of zero.
    Returns: float32 of shape (len(axis) for each axis).
    """
    mixes = []
    for axis, reach_mm in zip(axes_mm, _NOISE_REACH_MM, strict=True):
        half = 1 + int(np.ceil(reach_mm / length_mm))
        nodes = np.arange(-half, half + 1) * length_mm
        weight = np.exp(-0.5 * ((axis[:, None] - nodes) / (0.7 * length_mm)) ** 2)
        mixes.append((weight / np.linalg.norm(weight, axis=1, keepdims=True)).astype(np.float32))
    noise = rng.standard_normal([mix.shape[1] for mix in mixes], dtype=np.float32)
    for mix in mixes:
        noise = np.moveaxis(np.tensordot(mix, noise, (1, 0)), 0, -1)
    return np.ascontiguousarray(noise)


class Canvas:
    """HU and labels on a grid, with the coordinates that the patient's warp gives each voxel."""

    def __init__(self, axes_mm: Sequence[np.ndarray], softness_mm: float, warp_mm: Sequence[np.ndarray]) -> None:
        """Args: axes_mm: z_D, y_H, x_W. softness_mm: width of partial volume. warp_mm: shifts of x, y, z, each DHW."""
        self.axes_mm = tuple(axis.astype(np.float32) for axis in axes_mm)
        z_D, y_H, x_W = self.axes_mm
        grids = (x_W[None, None, :], y_H[None, :, None], z_D[:, None, None])
        self.points: Points = tuple(grid + shift for grid, shift in zip(grids, warp_mm, strict=True))  # type: ignore[assignment]
        self.softness_mm = softness_mm
        self.shape = (len(z_D), len(y_H), len(x_W))
        self.hu_DHW = np.full(self.shape, -1000, np.float32)
        self.labels_DHW = np.zeros(self.shape, np.uint8)

    def box(self, bounds: Bounds) -> Box:
        """The part of the grid that holds the bounds (x, y, z in mm), with room for the warp."""
        low, high = (np.asarray(bound, float)[::-1] for bound in bounds)
        first = [np.searchsorted(axis, edge - _MARGIN_MM) for axis, edge in zip(self.axes_mm, low, strict=True)]
        last = [np.searchsorted(axis, edge + _MARGIN_MM) for axis, edge in zip(self.axes_mm, high, strict=True)]
        return tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))  # type: ignore[return-value]

    def points_in(self, box: Box) -> Points:
        """Warped x, y, z of the voxels of a box."""
        x, y, z = self.points
        return x[box], y[box], z[box]

    def distance(self, shape: Shape, box: Box) -> np.ndarray:
        """Signed distance of a shape at the voxels of a box."""
        return shape.signed_distance(self.points_in(box))

    def blend(self, box: Box, distance: np.ndarray, hu: np.ndarray | float, label: int | None = 0) -> None:
        """Lay a tissue over what is there; a voxel on its surface mixes both. `label` None keeps the labels."""
        cover = np.clip(np.float32(0.5) - distance / np.float32(self.softness_mm), 0, 1)
        here = self.hu_DHW[box]
        here += cover * (hu - here)
        if label is not None:
            self.labels_DHW[box][cover > 0.5] = label

    def paint(self, shape: Shape, hu: np.ndarray | float, label: int | None = 0) -> None:
        """`blend` a whole shape; `hu` may be an array over the whole grid."""
        box = self.box(shape.bounds())
        self.blend(box, self.distance(shape, box), hu[box] if isinstance(hu, np.ndarray) else hu, label)
