"""The case that is drawn, in the scene: its scan, one segment for each organ, and back out of the scene."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import slicer

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.labels import Organ
from OrganIncrementLib.Engine.Paths import isFolder, isThere
from OrganIncrementLib.Logics import ImageFile, ResultLoader, Terminology
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords
from OrganIncrementLib.Logics.CaseLabels import (
    IGNORED_ID,
    segmentIdOf,
    segmentMask,
    setSegmentMask,
)
from OrganIncrementLib.Logics.Grid import Grid, localGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.OtherOutlines import setAside
from OrganIncrementLib.Logics.VolumeExport import problemOf
from OrganIncrementLib.Translation import _

MARK = (
    "OrganIncrement.annotate"  # attribute of the nodes that were made here: which case, so that no others are removed
)


class OtherGridError(CaseError):
    """The stored label lies on another grid than the scan; it can be resampled."""


def loadScan(path: Path, name: str):
    """Load a scan, a file or a folder of one DICOM series, under a name that tells nobody's. Raises: CaseError."""
    if not isThere(path):
        raise CaseError(_("The scan {file} is missing: copy it, or the whole dataset, again.").format(file=path.name))
    try:
        return _loadSeries(path, name) if isFolder(path) else ResultLoader.loadImage(path, name)
    except LogicError as error:
        raise CaseError(_("The scan {file} cannot be shown: {reason}").format(file=path.name, reason=error)) from error


def _loadSeries(folder: Path, name: str):
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    try:
        node = (
            slicer.util.loadVolume(str(files[0]), {"name": name, "show": False, "singleFile": False}) if files else None
        )
    except RuntimeError:
        node = None
    problem = problemOf(node) if node is not None else _("load it in Slicer's DICOM module.")
    if problem:
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)
        raise LogicError(problem)
    return node


def openCase(folder: DatasetFolder, case: Case, *, resample: bool = False):
    """Load a case. Returns: volume node, segmentation node with a segment for each organ of the dataset.

    Raises: OtherGridError where the label lies on another grid, unless `resample`; CaseError otherwise.
    """
    with inWords(folder.path):
        image, label = folder.image_path(case), folder.label_path(case) if case.label is not None else None
    volume = loadScan(image, case.id)
    volume.SetAttribute(MARK, case.id)
    segmentation = None
    try:
        segmentation = newSegmentation(volume, folder.manifest.organs, _("{case} label").format(case=case.id))
        segmentation.SetAttribute(MARK, case.id)
        if label is not None:
            with inWords(label):
                _loadLabel(label, folder, volume, segmentation, resample)
    except BaseException:
        removeNodes(volume, segmentation)
        raise
    showScan(volume)
    setAside(segmentation)
    return volume, segmentation


def newSegmentation(volumeNode, organs: Sequence[Organ], name: str):
    """A segmentation on the scan's grid, with an empty segment for each organ: its name, colour and terminology."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    for organ in organs:
        addOrgan(node, organ)
    return node


def addOrgan(segmentationNode, organ: Organ) -> str:
    """Give an organ its segment, where it has none. Returns: the segment's id."""
    found = segmentIdOf(segmentationNode, organ)
    if found:
        return found
    segmentId = segmentationNode.GetSegmentation().AddEmptySegment(organ.id, organ.name)
    Terminology.apply(segmentationNode.GetSegmentation().GetSegment(segmentId), organ)
    return segmentId


def removeNodes(*nodes) -> None:
    """Take nodes that were made here out of the scene; others stay."""
    for node in nodes:
        if node is not None and node.GetScene() is not None and node.GetAttribute(MARK) is not None:
            slicer.mrmlScene.RemoveNode(node)


def copySegment(source, segmentId: str, volumeNode, segmentationNode, organ: Organ) -> int:
    """Make a segment of any segmentation the organ's label on the scan's grid. Returns: how many voxels it has."""
    mask_KJI = segmentMask(source, segmentId, volumeNode)
    setSegmentMask(segmentationNode, addOrgan(segmentationNode, organ), mask_KJI, volumeNode)
    return int(mask_KJI.sum())


def resampleSegments(segmentationNode, volumeNode) -> None:
    """Put every segment onto the scan's grid, where it lies now, and end the segmentation's own transform."""
    segmentation = segmentationNode.GetSegmentation()
    ids = list(segmentation.GetSegmentIDs())
    masks = [segmentMask(segmentationNode, segmentId, volumeNode) for segmentId in ids]
    segmentationNode.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    for segmentId, mask_KJI in zip(ids, masks, strict=True):
        setSegmentMask(segmentationNode, segmentId, mask_KJI, volumeNode)


def _loadLabel(path: Path, folder: DatasetFolder, volume, segmentation, resample: bool) -> None:
    label, grid = ImageFile.read(path), localGrid(volume)
    difference = label.grid.difference(grid)
    if difference and not resample:
        text = _("The label {file} lies on another grid than its scan ({difference}).")
        raise OtherGridError(text.format(file=path.name, difference=difference))
    label_KJI = _resampled(label, grid) if difference else label.array_KJI
    strange = sorted({int(value) for value in np.unique(label_KJI)} - {0} - folder.label_values)
    if strange:
        text = _("The label {file} holds the value {value}, which stands for no organ of the dataset.")
        raise CaseError(text.format(file=path.name, value=strange[0]))
    for value, organ in enumerate(folder.manifest.organs, 1):
        mask_KJI = label_KJI == value
        if mask_KJI.any():
            setSegmentMask(segmentation, segmentIdOf(segmentation, organ), mask_KJI, volume)
    ignored_KJI = label_KJI == folder.manifest.ignore_value
    if ignored_KJI.any():
        segmentation.GetSegmentation().AddEmptySegment(IGNORED_ID, _("not looked at"), (0.6, 0.6, 0.6))
        setSegmentMask(segmentation, IGNORED_ID, ignored_KJI, volume)


def _resampled(label: ImageFile.Image, grid: Grid) -> np.ndarray:
    """The label on another grid, by nearest neighbour: each voxel takes the label of where it lies."""
    toLabel = np.linalg.inv(label.grid.ijkToRas) @ grid.ijkToRas
    result_KJI = np.zeros(grid.shape_KJI, label.array_KJI.dtype)
    j, i = (index.ravel() for index in np.mgrid[: grid.shape_KJI[1], : grid.shape_KJI[2]])
    size = np.array(label.grid.shape_KJI[::-1])
    for k, slice_JI in enumerate(result_KJI):
        points = toLabel[:3, :3] @ np.stack([i, j, np.full(i.size, k)]) + toLabel[:3, 3:]
        nearest = np.rint(points).astype(np.int64)
        inside = ((nearest >= 0) & (nearest < size[:, None])).all(axis=0)
        x, y, z = nearest[:, inside]
        slice_JI.reshape(-1)[inside] = label.array_KJI[z, y, x]
    return result_KJI


def showScan(volume) -> None:
    """Show a scan in the slice views, alone."""
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None, fit=True)
