"""Segments as arrays on a scan's grid, and arrays as segments."""

import hashlib
from collections.abc import Sequence

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Organ
from OrganIncrementLib.Logics import Terminology
from OrganIncrementLib.Logics.Grid import Grid, toArray, toMatrix, transformToWorld
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _

LABELMAP = "Binary labelmap"
LATTICE_TOLERANCE_VOXELS = 1e-3
STATUS_TAG = "Segmentation.Status"


class OtherGridError(LogicError):
    """A segment's voxels are not those of the scan; resampling it to the scan is a way out."""


def addSegments(segmentationNode, label_KJI: np.ndarray, ijkToRas: np.ndarray, organs: Sequence[Organ]) -> None:
    """Add a segment for each organ, also for those without voxels; value = position + 1.

    All share one labelmap, as Slicer's own reader makes it: little memory, and no voxel can belong to two.
    """
    image = orientedImage(label_KJI, ijkToRas)
    for value, organ in enumerate(organs, 1):
        addSegment(segmentationNode, organ, image, value)


def addSegment(segmentationNode, organ: Organ, image, value: int) -> None:
    """Add one segment, with the organ's id, whose voxels have this value in the image."""
    segment = slicer.vtkSegment()
    Terminology.apply(segment, organ)
    segment.SetTag(STATUS_TAG, "completed")
    segment.SetLabelValue(value)
    segment.AddRepresentation(LABELMAP, image)
    segmentationNode.GetSegmentation().AddSegment(segment, organ.id)


def orientedImage(label_KJI: np.ndarray, ijkToRas: np.ndarray):
    """A labelmap as segments hold it; the array is copied."""
    image = slicer.vtkOrientedImageData()
    depth, height, width = label_KJI.shape
    image.SetExtent(0, width - 1, 0, height - 1, 0, depth - 1)
    image.SetGeometryFromImageToWorldMatrix(toMatrix(ijkToRas))
    kind = vtk.VTK_UNSIGNED_CHAR if label_KJI.dtype.itemsize == 1 else vtk.VTK_UNSIGNED_SHORT
    scalars = numpy_to_vtk(np.ascontiguousarray(label_KJI).ravel(), deep=True, array_type=kind)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def organsOf(segmentationNode) -> dict[str, Organ]:
    """The organ that each segment is, by segment id; segments whose name says nothing are left out."""
    segmentation = segmentationNode.GetSegmentation()
    found = {}
    for segmentId in segmentIds(segmentationNode):
        try:
            found[segmentId] = Terminology.organOf(segmentation.GetSegment(segmentId))
        except ContractError:
            continue
    return found


def segmentIds(segmentationNode) -> tuple[str, ...]:
    """The ids of all segments, in their order."""
    segmentation = segmentationNode.GetSegmentation()
    return tuple(segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments()))


def segmentIdOf(segmentationNode, organ: Organ) -> str:
    """The segment that is an organ: by id, by what the segment is, by name; empty where there is none."""
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetSegment(organ.id) is not None:
        return organ.id
    same = [segmentId for segmentId, other in organsOf(segmentationNode).items() if other.same_as(organ)]
    wanted = organ.name.casefold()
    names = [one for one in segmentIds(segmentationNode) if segmentation.GetSegment(one).GetName().casefold() == wanted]
    return next(iter((*same, *names)), "")


def maskOf(segmentationNode, segmentId: str, grid: Grid, *, resample: bool = False) -> np.ndarray:
    """One segment's voxels on a grid in the world (K, J, I); transforms of the segmentation count.

    Raises: OtherGridError when the segment's voxels are not those of the grid, unless `resample`: then the nearest
    voxel is taken; LogicError under a non-linear transform, or for a surface that cannot be made into voxels.
    """
    segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
    labelmap = segment.GetRepresentation(LABELMAP)
    mask_KJI = np.zeros(grid.shape_KJI, bool)
    if labelmap is None:
        labelmap = _converted(segmentationNode, segmentId, grid, resample)
    cropped_KJI, first_ijk = _voxels(labelmap, segment.GetLabelValue())
    if not cropped_KJI.size:
        return mask_KJI
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    toGrid = np.linalg.inv(grid.ijkToRas) @ transformToWorld(segmentationNode) @ toArray(matrix)
    shift = _latticeShift(toGrid, grid)
    if shift is not None:
        _paste(mask_KJI, cropped_KJI, first_ijk + shift)
    elif resample:
        _sample(mask_KJI, cropped_KJI, first_ijk, np.linalg.inv(toGrid))
    else:
        raise OtherGridError(
            _("The segment {segment} is not on the grid of the scan: resample it to the scan.").format(
                segment=segment.GetName()
            )
        )
    return mask_KJI


def _voxels(labelmap, value: int) -> tuple[np.ndarray, np.ndarray]:
    """The tight box of a segment's voxels, and its first index (i, j, k)."""
    nothing = np.zeros((0, 0, 0), bool), np.zeros(3, int)
    scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
    extent = labelmap.GetExtent() if labelmap is not None else (0, -1, 0, -1, 0, -1)
    if scalars is None or any(extent[axis] > extent[axis + 1] for axis in (0, 2, 4)):
        return nothing
    shape_KJI = (extent[5] - extent[4] + 1, extent[3] - extent[2] + 1, extent[1] - extent[0] + 1)
    mask_KJI = vtk_to_numpy(scalars).reshape(shape_KJI) == value
    box = boxOf(mask_KJI)
    if box is None:
        return nothing
    first = np.array([extent[0] + box[2].start, extent[2] + box[1].start, extent[4] + box[0].start])
    return mask_KJI[box], first


def voxelsDigest(segmentationNode) -> str:
    """By what all segments' voxels are known again, also when Slicer has merged labelmaps, as saving a scene does."""
    found = hashlib.sha256()
    for segmentId in segmentIds(segmentationNode):
        segment = segmentationNode.GetSegmentation().GetSegment(segmentId)
        cropped_KJI, first_ijk = _voxels(segment.GetRepresentation(LABELMAP), segment.GetLabelValue())
        found.update(f"{segmentId} {cropped_KJI.shape} {first_ijk.tolist()} ".encode())
        found.update(np.packbits(cropped_KJI).tobytes())
    return found.hexdigest()


def boxOf(mask: np.ndarray) -> tuple[slice, ...] | None:
    """The smallest box around what is true; None where nothing is."""
    box = []
    for axis in range(mask.ndim):
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not found.size:
            return None
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    return tuple(box)


def _latticeShift(toGrid: np.ndarray, grid: Grid) -> np.ndarray | None:
    """The whole number of voxels (i, j, k) between two lattices; None when they are not one lattice."""
    shift = np.rint(toGrid[:3, 3])
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)]).T
    corners = corners * np.array([*grid.shape_KJI[::-1], 1])[:, None]
    same = np.eye(4)
    same[:3, 3] = shift
    apart = np.linalg.norm(((toGrid - same) @ corners)[:3], axis=0).max()
    return shift.astype(int) if apart <= LATTICE_TOLERANCE_VOXELS else None


def _paste(mask_KJI: np.ndarray, cropped_KJI: np.ndarray, first_ijk: np.ndarray) -> None:
    first, size = first_ijk[::-1], np.array(cropped_KJI.shape)
    low, high = np.maximum(first, 0), np.minimum(first + size, mask_KJI.shape)
    if (low >= high).any():
        return
    target = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    source = tuple(slice(int(a), int(b)) for a, b in zip(low - first, high - first, strict=True))
    mask_KJI[target] = cropped_KJI[source]


def _sample(mask_KJI: np.ndarray, cropped_KJI: np.ndarray, first_ijk: np.ndarray, fromGrid: np.ndarray) -> None:
    """Take the nearest voxel, slice by slice, so that no array of positions of the whole scan is made."""
    depth, height, width = mask_KJI.shape
    j, i = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    plane = fromGrid[:3, 0, None, None] * i + fromGrid[:3, 1, None, None] * j + fromGrid[:3, 3, None, None]
    size = np.array(cropped_KJI.shape[::-1])[:, None, None]
    for k in range(depth):
        index = np.floor(plane + fromGrid[:3, 2, None, None] * k + 0.5).astype(int) - first_ijk[:, None, None]
        inside = ((index >= 0) & (index < size)).all(axis=0)
        if inside.any():
            x, y, z = index[:, inside]
            mask_KJI[k][inside] = cropped_KJI[z, y, x]


def _converted(segmentationNode, segmentId: str, grid: Grid, resample: bool):
    """A labelmap made of a segment that is a surface or contours, on the scan's grid."""
    source = segmentationNode.GetSegmentation()
    segment = source.GetSegment(segmentId)
    if not [name for name in ("Closed surface", "Planar contour") if segment.GetRepresentation(name) is not None]:
        return None
    if not resample:
        raise OtherGridError(
            _("The segment {segment} is a surface, not voxels of the scan: resample it to the scan.").format(
                segment=segment.GetName()
            )
        )
    copy = slicer.vtkSegmentation()
    setSource = getattr(copy, "SetSourceRepresentationName", None) or copy.SetMasterRepresentationName
    setSource("Closed surface" if segment.GetRepresentation("Closed surface") is not None else "Planar contour")
    local = np.linalg.inv(transformToWorld(segmentationNode)) @ grid.ijkToRas
    copy.CopySegmentFromSegmentation(source, segmentId)
    copy.SetConversionParameter("Reference image geometry", geometryText(Grid(grid.shape_KJI, local)))
    if not copy.CreateRepresentation(LABELMAP):
        raise LogicError(
            _(
                "The segment {segment} cannot be made into voxels: convert it to a binary labelmap in Segmentations."
            ).format(segment=segment.GetName())
        )
    converted = copy.GetSegment(segmentId)
    labelmap = slicer.vtkOrientedImageData()
    labelmap.DeepCopy(converted.GetRepresentation(LABELMAP))
    scalars = vtk_to_numpy(labelmap.GetPointData().GetScalars())
    scalars[:] = np.where(scalars == converted.GetLabelValue(), segment.GetLabelValue(), 0)
    return labelmap


def geometryText(grid: Grid) -> str:
    """A grid as Slicer's conversions write it: the matrix by rows, then the extent."""
    depth, height, width = grid.shape_KJI
    numbers = [*(repr(float(value)) for value in grid.ijkToRas.ravel()), 0, width - 1, 0, height - 1, 0, depth - 1]
    return ";".join(map(str, numbers)) + ";"
