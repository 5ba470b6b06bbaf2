"""Connected parts of a mask, with VTK: no package has to be installed for it."""

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy


def connectedParts(mask_KJI: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The parts of a mask that are connected through faces of voxels.

    Returns: regions (K, J, I), 0 outside and 1, 2, … from the largest part on; the parts' sizes in voxels.
    """
    if not mask_KJI.any():
        return np.zeros(mask_KJI.shape, np.int32), []
    flat = np.ascontiguousarray(mask_KJI, np.uint8).ravel()
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(mask_KJI.shape))
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True, array_type=vtk.VTK_UNSIGNED_CHAR))
    connect = vtk.vtkImageConnectivityFilter()
    connect.SetInputData(image)
    connect.SetScalarRange(1, 1)
    connect.SetExtractionModeToAllRegions()
    connect.SetLabelModeToSizeRank()
    connect.SetLabelScalarTypeToInt()
    connect.Update()
    regions_KJI = vtk_to_numpy(connect.GetOutput().GetPointData().GetScalars()).reshape(mask_KJI.shape).copy()
    sizes = connect.GetExtractedRegionSizes()
    return regions_KJI, [int(sizes.GetValue(index)) for index in range(connect.GetNumberOfExtractedRegions())]


def cropped(mask_KJI: np.ndarray) -> tuple[slice, slice, slice]:
    """The box around a mask's voxels; the mask must have some."""
    box = []
    for axis in range(3):
        present = np.flatnonzero(mask_KJI.any(axis=tuple(other for other in range(3) if other != axis)))
        box.append(slice(int(present[0]), int(present[-1]) + 1))
    return box[0], box[1], box[2]
