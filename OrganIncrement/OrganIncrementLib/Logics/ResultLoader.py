"""What the engine wrote, as nodes of the scene that lie on their scan."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import slicer

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.labels import Organ
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import Region, Regions
from OrganIncrementLib.Engine.Words import oneLine
from OrganIncrementLib.Logics import ImageFile, Terminology
from OrganIncrementLib.Logics.CaseLabels import IGNORED_ID
from OrganIncrementLib.Logics.Grid import localGrid, toMatrix, worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentMasks import addSegment, addSegments, orientedImage
from OrganIncrementLib.Translation import _

IGNORED_COLOR = (128, 128, 128)
IGNORE_VALUE = 255


def loadSegmentation(caseFolder, referenceVolumeNode, name: str):
    """`segmentation.seg.nrrd` of a case as a new segmentation node, on the grid and under the transform of its scan.

    Each organ is a segment, with its id, name, colour and terminology. Saving the scene never writes into the case's
    folder. Raises: LogicError when the file is missing or damaged, or lies on another grid than the scan.
    """
    path = Path(caseFolder) / "segmentation.seg.nrrd"
    image = _readOn(path, referenceVolumeNode)
    organs = _organs(path, image.pairs)
    label_KJI = _asLabels(path, image.array_KJI)
    if label_KJI.max() > len(organs) or len({organ.id for organ in organs}) < len(organs):
        raise LogicError(_("{file} does not say what its segments are: segment the scan again.").format(file=path.name))
    return _segmentation(label_KJI, organs, referenceVolumeNode, name)


def loadUncertainty(caseFolder, referenceVolumeNode, name: str):
    """`uncertainty.nrrd` of a case (per cent, 0 certain) as a new scalar volume on its scan; errors as above."""
    image = _readOn(Path(caseFolder) / "uncertainty.nrrd", referenceVolumeNode)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.SetIJKToRASMatrix(toMatrix(localGrid(referenceVolumeNode).ijkToRas))
    slicer.util.updateVolumeFromArray(node, image.array_KJI)
    node.SetAndObserveTransformNodeID(referenceVolumeNode.GetTransformNodeID())
    return node


def loadRegions(caseFolder) -> tuple[Region, ...]:
    """The uncertain regions of a case, the largest first; none where the engine wrote no file of them.

    Raises: LogicError when the file is damaged.
    """
    path = Path(caseFolder) / "regions.json"
    if not path.exists():
        return ()
    try:
        return codec.read(Regions, path).regions
    except ContractError as error:
        raise LogicError(
            _("The uncertain regions cannot be read, segment the scan again: {reason}").format(
                reason=oneLine(error, path.parent)
            )
        ) from None


def loadLabel(labelPath, organs: Sequence[Organ], referenceVolumeNode, name: str = "", ignoreValue: int = IGNORE_VALUE):
    """A dataset's label file as a new segmentation node: value = position in `organs` + 1, every organ a segment.

    Voxels that nobody looked at (`ignoreValue`) become a grey segment of their own, with the id IGNORED_ID.
    Raises: LogicError when the file is missing or damaged, has other values, or lies on another grid than the scan.
    """
    path = Path(labelPath)
    array_KJI = _readOn(path, referenceVolumeNode).array_KJI
    label_KJI = _asLabels(path, array_KJI)
    unknown = [int(value) for value in np.unique(label_KJI) if value > len(organs) and value != ignoreValue]
    if unknown:
        raise LogicError(
            _(
                "{file} has the label values {values}, which stand for no organ of the dataset: correct the label."
            ).format(file=path.name, values=", ".join(map(str, unknown[:8])))
        )
    node = _segmentation(label_KJI, organs, referenceVolumeNode, name or path.name.partition(".")[0], ignoreValue)
    return node


def loadImage(imagePath, name: str = ""):
    """A scan's file as a new volume node, not shown yet. Raises: LogicError when it is missing or damaged."""
    path = Path(imagePath)
    if path.is_dir():
        raise LogicError(_("{file} is a folder: load a DICOM series in Slicer's DICOM module.").format(file=path.name))
    if not path.is_file():
        raise LogicError(_("{file} is not there: check the folder.").format(file=path.name))
    if ImageFile.isReadable(path):
        return _imageNode(path, name)
    try:
        node = slicer.util.loadVolume(
            str(path), {"show": False, "singleFile": True, "name": name or path.name.partition(".")[0]}
        )
        localGrid(node)
    except LogicError:
        slicer.mrmlScene.RemoveNode(node)
        raise
    except RuntimeError:
        raise LogicError(_("{file} is no image that Slicer reads: export it again.").format(file=path.name)) from None
    return node


def _imageNode(path: Path, name: str):
    image = ImageFile.read(path)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name or path.name.partition(".")[0])
    try:
        node.SetIJKToRASMatrix(toMatrix(image.grid.ijkToRas))
        slicer.util.updateVolumeFromArray(node, _shown(image.array_KJI))
        localGrid(node)
    except LogicError:
        slicer.mrmlScene.RemoveNode(node)
        raise
    node.CreateDefaultDisplayNodes()
    return node


def _shown(array_KJI: np.ndarray) -> np.ndarray:
    """In a type that Slicer's volumes hold: 64-bit whole numbers are not among them."""
    if array_KJI.dtype.kind not in "iu" or array_KJI.dtype.itemsize < 8:
        return array_KJI
    limits = np.iinfo(np.int32)
    fits = array_KJI.min() >= limits.min and array_KJI.max() <= limits.max
    return array_KJI.astype(np.int32 if fits else np.float64)


def _readOn(path: Path, referenceVolumeNode) -> ImageFile.Image:
    """Read a file and refuse it unless it lies on the scan, where the scan's transforms put it."""
    grid = worldGrid(referenceVolumeNode)
    image = ImageFile.read(path) if ImageFile.isReadable(path) else _readBySlicer(path)
    difference = image.grid.difference(grid)
    if difference:
        raise LogicError(
            _("{file} is not on the grid of {volume} ({difference}): choose the scan that it was made from.").format(
                file=path.name, volume=referenceVolumeNode.GetName(), difference=difference
            )
        )
    return image


def _readBySlicer(path: Path) -> ImageFile.Image:
    """Formats that only Slicer reads, such as .mha."""
    node = loadImage(path)
    try:
        return ImageFile.Image(slicer.util.arrayFromVolume(node).copy(), localGrid(node))
    finally:
        slicer.mrmlScene.RemoveNode(node)


def _segmentation(label_KJI, organs, referenceVolumeNode, name: str, ignoreValue: int | None = None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(referenceVolumeNode)
    node.SetAndObserveTransformNodeID(referenceVolumeNode.GetTransformNodeID())
    ijkToRas = localGrid(referenceVolumeNode).ijkToRas
    label_KJI = label_KJI.astype(np.uint8 if label_KJI.max(initial=0) < 256 else np.uint16, copy=False)
    if ignoreValue is not None and (label_KJI == ignoreValue).any():
        ignored = Organ(id=IGNORED_ID, name=_("Not looked at"), color=IGNORED_COLOR)
        addSegments(node, label_KJI, ijkToRas, organs)
        addSegment(node, ignored, orientedImage((label_KJI == ignoreValue).astype(np.uint8), ijkToRas), 1)
    else:
        addSegments(node, label_KJI, ijkToRas, organs)
    return node


def _organs(path: Path, pairs: dict[str, str]) -> list[Organ]:
    """The organs of a segmentation file, in the order of their values, as its keys tell."""
    found: dict[int, Organ] = {}
    for key in pairs:
        match = re.fullmatch(r"Segment(\d{1,5})_ID", key)
        if match:
            value, organ = _organ(path, pairs, f"Segment{match[1]}_")
            found[value] = organ
    if not found or sorted(found) != list(range(1, len(found) + 1)):
        raise LogicError(_("{file} does not say what its segments are: segment the scan again.").format(file=path.name))
    return [found[value] for value in sorted(found)]


def _organ(path: Path, pairs: dict[str, str], key: str) -> tuple[int, Organ]:
    try:
        color = tuple(round(float(part) * 255) for part in pairs[f"{key}Color"].split())
        if len(color) != 3:
            raise ValueError(color)
        tags = dict(tag.partition(":")[::2] for tag in pairs.get(f"{key}Tags", "").split("|") if tag)
        category, kind, modifier = Terminology.codesOf(tags.get(Terminology.ENTRY_TAG, ""))
        if kind is None:
            category, modifier = Terminology.withoutType(pairs[f"{key}ID"])
        name = pairs[f"{key}Name"]
        return int(pairs[f"{key}LabelValue"]), Organ(
            id=pairs[f"{key}ID"], name=name, color=color, category=category, type=kind, modifier=modifier,
            **_kindOf(name, pairs[f"{key}ID"]),
        )  # fmt: skip
    except (KeyError, ValueError, ContractError) as error:
        raise LogicError(
            _("{file} does not say what its segments are ({reason}): segment the scan again.").format(
                file=path.name, reason=error
            )
        ) from None


def _kindOf(name: str, organId: str) -> dict[str, str | None]:
    """Kind and host, which the file does not hold, by the terminology's rules for names."""
    for text in (organId, name):
        try:
            organ = organ_from_name(text)
        except ContractError:
            continue
        if organ.kind == "anomaly":
            return {"kind": organ.kind, "host": organ.host}
    return {}


def _asLabels(path: Path, array_KJI: np.ndarray) -> np.ndarray:
    low, high = array_KJI.min(), array_KJI.max()
    whole = array_KJI.dtype.kind in "iu" or bool(
        np.isfinite(array_KJI).all() and (array_KJI == np.rint(array_KJI)).all()
    )
    if not whole or low < 0 or high > np.iinfo(np.uint16).max:
        raise LogicError(
            _("{file} holds values that are no labels (whole numbers from 0): choose a label file.").format(
                file=path.name
            )
        )
    return array_KJI.astype(np.uint8 if high < 256 else np.uint16, copy=False)
