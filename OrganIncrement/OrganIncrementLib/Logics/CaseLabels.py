"""The open case as arrays: which segment is which organ, its voxels on the scan's grid, the label of all."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from organincrement.contract.labels import Organ
from OrganIncrementLib.Logics.Grid import Grid, localGrid, toArray, worldGrid
from OrganIncrementLib.Logics.SegmentMasks import LABELMAP, maskOf, segmentIdOf

IGNORED_ID = "organincrement_not_looked_at"  # the segment of voxels that carry the dataset's ignore value
MOST_DRIFT_VOXELS = 0.01  # Slicer keeps a labelmap's directions with fewer digits than a file


@dataclass(frozen=True)
class CaseArrays:
    """A scan and what is drawn on it; all arrays have the scan's grid.

    masks: organ id to voxels (K, J, I), only organs with a segment; ignored: voxels nobody has looked at, or None;
    strangers: names of segments with voxels that belong to no organ; offGrid: names of segments on another grid;
    beyond: names of segments that reach out of the scan.
    """

    image_KJI: np.ndarray
    grid: Grid
    masks: Mapping[str, np.ndarray]
    ignored_KJI: np.ndarray | None = None
    strangers: tuple[str, ...] = ()
    offGrid: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def voxel_mm3(self) -> float:
        """The volume of a voxel."""
        return float(np.prod(self.grid.spacing_mm))

    def drawn(self) -> tuple[str, ...]:
        """The ids of the organs that have voxels."""
        return tuple(organId for organId, mask in self.masks.items() if mask.any())


def readCase(volumeNode, segmentationNode, organs: Sequence[Organ]) -> CaseArrays:
    """Read the scan and every organ's voxels.

    Segments are found by the organ's id, by its codes, then by its name. Those on another grid, or that reach beyond
    the scan, are read as they lie on the scan. Raises: LogicError.
    """
    segmentation = segmentationNode.GetSegmentation()
    segmentOf = {organ.id: segmentIdOf(segmentationNode, organ) for organ in organs}
    known = {segmentId for segmentId in segmentOf.values() if segmentId} | {IGNORED_ID}
    strangers, offGrid, beyond = [], [], []
    for segmentId in segmentation.GetSegmentIDs():
        name = segmentation.GetSegment(segmentId).GetName()
        state = latticeState(volumeNode, segmentationNode, segmentId)
        if segmentId not in known and state != "empty":
            strangers.append(name)
        elif state == "other":
            offGrid.append(name)
        elif state == "beyond":
            beyond.append(name)
    read = {
        organId: segmentMask(segmentationNode, segmentId, volumeNode)
        for organId, segmentId in segmentOf.items()
        if segmentId
    }
    ignored = segmentMask(segmentationNode, IGNORED_ID, volumeNode) if segmentation.GetSegment(IGNORED_ID) else None
    return CaseArrays(
        image_KJI=slicer.util.arrayFromVolume(volumeNode), grid=worldGrid(volumeNode), masks=read, ignored_KJI=ignored,
        strangers=tuple(strangers), offGrid=tuple(offGrid), beyond=tuple(beyond),
    )  # fmt: skip


def segmentMask(segmentationNode, segmentId: str, volumeNode) -> np.ndarray:
    """One segment's voxels on the scan's grid (K, J, I), nearest neighbour; transforms of either node count.

    Raises: LogicError for a surface or contours that cannot be made into voxels.
    """
    return maskOf(segmentationNode, segmentId, worldGrid(volumeNode), resample=True)


def setSegmentMask(segmentationNode, segmentId: str, mask_KJI: np.ndarray, volumeNode) -> None:
    """Make a segment hold exactly these voxels of the scan's grid."""
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask_KJI.astype(np.uint8), segmentationNode, segmentId, volumeNode)


def labelArray(arrays: CaseArrays, organs: Sequence[Organ], ignoreValue: int) -> np.ndarray:
    """The dataset's label (K, J, I): position + 1, 0 background; a later organ wins where two overlap."""
    label_KJI = np.zeros(arrays.image_KJI.shape[:3], np.uint8 if ignoreValue < 256 else np.uint16)
    if arrays.ignored_KJI is not None:
        label_KJI[arrays.ignored_KJI] = ignoreValue
    for value, organ in enumerate(organs, 1):
        if organ.id in arrays.masks:
            label_KJI[arrays.masks[organ.id]] = value
    return label_KJI


def digest(label_KJI: np.ndarray) -> str:
    """By what a label is known again."""
    return hashlib.sha256(np.ascontiguousarray(label_KJI).data).hexdigest()


def editStamp(segmentationNode) -> int:
    """A number that grows with every stroke, and costs nothing to ask for."""
    segmentation = segmentationNode.GetSegmentation()
    stamps = [segmentation.GetNumberOfSegments()]
    for segmentId in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segmentId)
        labelmap = segment.GetRepresentation(LABELMAP)
        if labelmap is not None:
            scalars = labelmap.GetPointData().GetScalars()
            stamps += [labelmap.GetMTime(), scalars.GetMTime() if scalars is not None else 0]
    return max(stamps)


def latticeState(volumeNode, segmentationNode, segmentId: str) -> str:
    """Where a segment's voxels lie: same (on the scan's grid), beyond (out of the scan), other (grid), or empty."""
    segmentation = segmentationNode.GetSegmentation()
    segment = segmentation.GetSegment(segmentId)
    labelmap = segment.GetRepresentation(LABELMAP)
    if labelmap is None:
        return "empty" if segmentation.GetSourceRepresentationName() == LABELMAP else "other"
    voxels_KJI = _ownVoxels(labelmap, segment.GetLabelValue())
    if voxels_KJI is None or not voxels_KJI.any():
        return "empty"
    if segmentationNode.GetTransformNodeID() != volumeNode.GetTransformNodeID():
        return "other"
    size = np.array(volumeNode.GetImageData().GetDimensions())
    step = np.linalg.inv(localGrid(volumeNode).ijkToRas) @ _imageToWorld(labelmap)
    shift = np.rint(step[:3, 3])
    drift = np.abs(step[:3, :3] - np.eye(3)) @ size + np.abs(step[:3, 3] - shift)
    if drift.max() > MOST_DRIFT_VOXELS:
        return "other"
    offset = np.array(labelmap.GetExtent()[::2]) + shift
    low, high = _bounds(voxels_KJI)
    return "beyond" if (low + offset < 0).any() or (high + offset >= size).any() else "same"


def _ownVoxels(labelmap, labelValue: int) -> np.ndarray | None:
    """Where a label map, which several segments may share, holds one segment (K, J, I)."""
    scalars = labelmap.GetPointData().GetScalars()
    if scalars is None or scalars.GetNumberOfTuples() == 0:
        return None
    shape = tuple(reversed(labelmap.GetDimensions()))
    return vtk_to_numpy(scalars).reshape(shape) == labelValue


def _imageToWorld(labelmap) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    return toArray(matrix)


def _bounds(mask_KJI: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest index of the voxels along i, j, k."""
    low, high = [], []
    for axis in (2, 1, 0):
        others = tuple(other for other in range(3) if other != axis)
        present = np.flatnonzero(mask_KJI.any(axis=others))
        low.append(present[0])
        high.append(present[-1])
    return np.array(low), np.array(high)
