"""How well two segmentations agree, organ by organ: the engine's Dice and HD95 with numpy and VTK alone.

Definitions: organincrement.evaluation.metrics. A surface voxel has a face neighbour that is background or outside the
scan; distances run between voxel centres; HD95 is the larger of the two directed 95th percentiles.
"""

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from OrganIncrementLib.Logics.Grid import worldGrid
from OrganIncrementLib.Logics.SegmentMasks import boxOf, maskOf, organsOf


def overlap(segmentationA, segmentationB, referenceVolume) -> dict[str, tuple[float | None, float | None]]:
    """Dice (0..1) and HD95 in mm of each organ that both segmentations have a segment for, by the organ's id in A.

    None is a measure without a value: both where the organ has no voxel in either; HD95 where it has none in one of
    them (Dice is 0 then). Raises: LogicError when a segmentation is not on the grid of the scan.
    """
    grid = worldGrid(referenceVolume)
    organsB = organsOf(segmentationB)
    found = {}
    for idA, organ in organsOf(segmentationA).items():
        idB = next((one for one, other in organsB.items() if other.same_as(organ)), None)
        if idB is not None:
            a_KJI, b_KJI = maskOf(segmentationA, idA, grid), maskOf(segmentationB, idB, grid)
            found[organ.id] = measured(a_KJI, b_KJI, grid.spacing_mm)
    return found


def measured(a_KJI: np.ndarray, b_KJI: np.ndarray, spacing_mm) -> tuple[float | None, float | None]:
    """Dice and HD95 in mm of two boolean masks; spacing along k, j, i."""
    boxes = [box for box in (boxOf(a_KJI), boxOf(b_KJI)) if box is not None]
    if not boxes:
        return None, None
    if len(boxes) == 1:
        return 0.0, None
    # Around both boxes there is only background, or the end of the scan: the same to a surface.
    around = tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(*boxes, strict=True))
    a, b = a_KJI[around], b_KJI[around]
    dice = 2.0 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))
    surfaceA, surfaceB = _surface(a), _surface(b)
    return dice, max(_p95_mm(surfaceA, surfaceB, spacing_mm), _p95_mm(surfaceB, surfaceA, spacing_mm))


def _surface(mask: np.ndarray) -> np.ndarray:
    inner = mask.copy()
    for axis in range(3):
        ahead = [slice(None)] * 3
        behind = [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        inner[tuple(behind)] &= mask[tuple(ahead)]
        inner[tuple(ahead)] &= mask[tuple(behind)]
        for end in (0, -1):
            edge = [slice(None)] * 3
            edge[axis] = end
            inner[tuple(edge)] = False
    return mask & ~inner


def _p95_mm(surface: np.ndarray, other: np.ndarray, spacing_mm) -> float:
    """The 95th percentile of the distances from one surface to the other; voxels on both are zero mm apart."""
    apart_mm = _nearest_mm(
        np.argwhere(surface & ~other) * np.array(spacing_mm), np.argwhere(other) * np.array(spacing_mm)
    )
    distances_mm = np.zeros(np.count_nonzero(surface))
    distances_mm[: len(apart_mm)] = apart_mm
    return float(np.percentile(distances_mm, 95))


def _nearest_mm(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """From each point the distance to the nearest target, exact to rounding."""
    if not len(points):
        return np.zeros(0)
    distances = vtk.vtkHausdorffDistancePointSetFilter()
    distances.SetTargetDistanceMethodToPointToPoint()
    for port, array in enumerate((points, targets)):
        distances.SetInputDataObject(port, _cloud(array))
    distances.Update()
    return vtk_to_numpy(distances.GetOutput(0).GetPointData().GetArray("Distance")).copy()


def _cloud(points: np.ndarray):
    cloud = vtk.vtkPolyData()
    held = vtk.vtkPoints()
    held.SetDataTypeToDouble()
    held.SetData(numpy_to_vtk(np.ascontiguousarray(points, dtype=np.float64), deep=True))
    cloud.SetPoints(held)
    return cloud
