"""Where voxels lie: size and matrix of a volume in the world, and whether two grids are the same."""

from dataclasses import dataclass

import numpy as np
import vtk

from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _

# The engine's limits (organincrement.imaging.header): what lies beyond, it would refuse.
TOLERANCE_VOXELS = 1e-3
SPACING_RANGE_MM = (1e-2, 100.0)
RIGHT_ANGLE_TOLERANCE = 1e-3
MAX_ORIGIN_MM = 1e6


@dataclass(frozen=True, eq=False)
class Grid:
    """shape_KJI: voxels along k, j, i; ijkToRas: 4 × 4, from voxel index (i, j, k, 1) to RAS in mm."""

    shape_KJI: tuple[int, int, int]
    ijkToRas: np.ndarray

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of the voxels along k, j, i."""
        i, j, k = (float(length) for length in np.linalg.norm(self.ijkToRas[:3, :3], axis=0))
        return k, j, i

    def difference(self, other: "Grid") -> str:
        """How two grids differ, in words; empty when no voxel lies further apart than a thousandth of a voxel."""
        if self.shape_KJI != other.shape_KJI:
            first, second = ("×".join(map(str, grid.shape_KJI[::-1])) for grid in (self, other))
            return _("{first} voxels against {second}").format(first=first, second=second)
        k, j, i = (size - 1 for size in self.shape_KJI)
        corners = np.array([[x, y, z, 1] for x in (0, i) for y in (0, j) for z in (0, k)]).T
        # The shift is affine in the position, so that its largest length is at a corner.
        apart_mm = np.linalg.norm((self.ijkToRas - other.ijkToRas)[:3] @ corners, axis=0).max()
        apart = apart_mm / min(*self.spacing_mm, *other.spacing_mm)
        if apart <= TOLERANCE_VOXELS:
            return ""
        return _("voxels lie up to {distance} mm apart").format(distance=f"{apart_mm:.3g}")


def toArray(matrix) -> np.ndarray:
    """A vtkMatrix4x4 as an array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def toMatrix(array) -> vtk.vtkMatrix4x4:
    """An array as a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(array[row][column]))
    return matrix


def localGrid(volumeNode) -> Grid:
    """A volume's grid without its parent transform. Raises: LogicError where it has none, or not a usable one."""
    name = _nameOf(volumeNode)
    image = volumeNode.GetImageData() if volumeNode is not None else None
    if image is None or min(image.GetDimensions()) < 1 or image.GetPointData().GetScalars() is None:
        raise LogicError(_("{volume} has no voxels: choose a volume with an image.").format(volume=name))
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    i, j, k = image.GetDimensions()
    grid = Grid((k, j, i), toArray(matrix))
    spacing_mm = [float(value) for value in volumeNode.GetSpacing()]
    _check(name, grid, spacing_mm)
    return grid


def worldGrid(volumeNode) -> Grid:
    """A volume's grid in the world, with its linear parent transforms; errors as `localGrid`, and non-linear ones."""
    local = localGrid(volumeNode)
    grid = Grid(local.shape_KJI, transformToWorld(volumeNode) @ local.ijkToRas)
    _check(_nameOf(volumeNode), grid, grid.spacing_mm)
    return grid


def transformToWorld(node) -> np.ndarray:
    """The 4 × 4 matrix of a node's parent transforms. Raises: LogicError when they are not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    matrix = vtk.vtkMatrix4x4()
    if not parent.IsTransformToWorldLinear() or not parent.GetMatrixTransformToWorld(matrix):
        raise LogicError(
            _(
                "{node} is under the non-linear transform {transform}: harden the transform or take the node out of it."
            ).format(node=_nameOf(node), transform=parent.GetName())
        )
    return toArray(matrix)


def _check(name: str, grid: Grid, spacing_mm) -> None:
    shown = ", ".join(f"{value:.4g}" for value in spacing_mm)
    low, high = SPACING_RANGE_MM
    if not np.isfinite(grid.ijkToRas).all() or not all(low <= value <= high for value in spacing_mm):
        raise LogicError(
            _(
                "{volume} has a voxel spacing of {spacing} mm, not {low} to {high}: correct its spacing in Volumes."
            ).format(volume=name, spacing=shown, low=f"{low:g}", high=f"{high:g}")
        )
    directions = grid.ijkToRas[:3, :3] / np.linalg.norm(grid.ijkToRas[:3, :3], axis=0)
    if np.abs(directions.T @ directions - np.eye(3)).max() > RIGHT_ANGLE_TOLERANCE:
        raise LogicError(
            _(
                "{volume} has axes that are not at right angles (sheared, or a tilted gantry): resample it first."
            ).format(volume=name)
        )
    if np.abs(grid.ijkToRas[:3, 3]).max() > MAX_ORIGIN_MM:
        raise LogicError(_("{volume} lies over a kilometre from the origin: centre it in Volumes.").format(volume=name))


def _nameOf(node) -> str:
    return (node.GetName() if node is not None else None) or _("The volume")
