"""Brings a case of a dataset into the scene: scan, label as outlines, what a model said of it; takes it out again."""

from dataclasses import dataclass

import slicer

from organincrement.contract.dataset import Case
from organincrement.contract.errors import ContractError
from organincrement.contract.results import Region
from OrganIncrementLib.Logics import RegionWalk, ResultLoader, SegmentationDisplay
from OrganIncrementLib.Logics.CaseLabels import editStamp
from OrganIncrementLib.Logics.Grid import worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.ReviewDataset import ReviewDataset, ReviewError
from OrganIncrementLib.Logics.SegmentMasks import boxOf, maskOf, organsOf, voxelsDigest
from OrganIncrementLib.Translation import _

MARK = "OrganIncrement.review"  # attribute of the nodes that were brought here, so that no others are taken out


@dataclass(frozen=True, kw_only=True)
class CaseNodes:
    """The case's nodes; None for what there is not."""

    image: object = None
    label: object = None
    model: object = None
    uncertainty: object = None


@dataclass(frozen=True, kw_only=True)
class OpenedCase:
    """What a reviewer looks at, without nodes.

    labelSha256: of the label file as it was loaded. seenStatus: the case's status then. changed: the label is not the
    one that the last step was taken on. noLabel: why there is no label to decide on. warnings: whatever else to know.
    noModel, noUncertainty: why these are not shown. stamp, voxels: to see whether the label is edited in the scene.
    """

    id: str
    seenStatus: str
    labelSha256: str | None = None
    changed: bool = False
    isEmpty: bool = False
    noLabel: str = ""
    noModel: str = ""
    noUncertainty: str = ""
    warnings: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    stamp: int = 0
    voxels: str = ""


def loadCase(dataset: ReviewDataset, case: Case) -> tuple[OpenedCase, CaseNodes]:
    """Load a case; what of it cannot be shown is said in words. Raises: ReviewError where there is no scan to show."""
    image = _image(dataset, case)
    warnings: list[str] = []
    nodes = {"image": image}
    facts = {"id": case.id, "seenStatus": case.status}
    try:
        facts |= _label(dataset, case, image, nodes)
        facts |= _model(dataset, case, image, nodes, warnings)
    except BaseException:
        _mark(nodes, case)
        removeNodes(CaseNodes(**nodes))
        raise
    if facts.get("changed"):
        warnings.append(_changedText(case.status))
    if facts.get("isEmpty"):
        warnings.append(_("The label is empty: right only where none of its organs is in the scan."))
    _mark(nodes, case)
    return OpenedCase(**facts, warnings=tuple(warnings)), CaseNodes(**nodes)


def removeNodes(nodes: CaseNodes) -> None:
    """Take a case's nodes out of the scene; nodes that were not brought by `loadCase` stay."""
    for node in (nodes.model, nodes.label, nodes.uncertainty, nodes.image):
        if node is not None and node.GetScene() is not None and node.GetAttribute(MARK) is not None:
            slicer.mrmlScene.RemoveNode(node)


def centreOn(segmentation, image) -> None:
    """Move all views to the middle of the first organ that has voxels; an empty segmentation moves nothing."""
    grid = worldGrid(image)
    for segmentId in organsOf(segmentation):
        box = boxOf(maskOf(segmentation, segmentId, grid))
        if box is not None:
            middle_IJK = [(part.start + part.stop - 1) / 2 for part in reversed(box)]
            RegionWalk.centreViews((grid.ijkToRas @ [*middle_IJK, 1.0])[:3])
            return


def isEdited(opened: OpenedCase, label) -> bool:
    """Whether somebody drew in the label's node since it was loaded; the module itself never writes it back."""
    if label is None or not opened.stamp or editStamp(label) == opened.stamp:
        return False
    return voxelsDigest(label) != opened.voxels  # Slicer touches labelmaps too: when it saves a scene, it merges them


def _mark(nodes, case):
    for node in nodes.values():
        node.SetAttribute(MARK, case.id)


def _image(dataset, case):
    try:
        path = dataset.folder.image_path(case)
        if not path.is_file():
            raise ReviewError(
                _("The scan of case {case} is missing ({path}): copy it back, or choose another case.").format(
                    case=case.id, path=path
                )
            )
        return ResultLoader.loadImage(path)
    except (ContractError, LogicError) as error:
        text = _("The scan of case {case} cannot be shown: {reason}").format(case=case.id, reason=error)
        raise ReviewError(text) from error


def _label(dataset, case, image, nodes):
    """Load the label into `nodes`. Returns: what `OpenedCase` says of it."""
    if case.label is None:
        return {"noLabel": _("This case has no label yet: draw one in OrganAnnotate.")}
    try:
        sha256 = dataset.labelSha256(case)
        node = ResultLoader.loadLabel(
            dataset.folder.label_path(case), dataset.organs, image, ignoreValue=dataset.folder.manifest.ignore_value
        )
    except (ContractError, LogicError, ReviewError) as error:
        return {"noLabel": _("The label cannot be shown, and so not be approved: {reason}").format(reason=error)}
    nodes["label"] = node
    node.SetName(_("{case} label").format(case=case.id))
    SegmentationDisplay.showOutlines(node)
    return {
        "labelSha256": sha256,
        "changed": case.label_sha256 is not None and sha256 != case.label_sha256,
        "isEmpty": not _hasVoxels(node),
        "stamp": editStamp(node),
        "voxels": voxelsDigest(node),
    }


def _model(dataset, case, image, nodes, warnings):
    """Load what the chosen model left into `nodes`. Returns: what `OpenedCase` says of it."""
    results = dataset.results(case.id)
    if results.folder is None:
        return {"noModel": results.problem, "noUncertainty": results.problem}
    facts = {}
    try:
        nodes["model"] = ResultLoader.loadSegmentation(
            results.folder, image, _("{case} by the model").format(case=case.id)
        )
        SegmentationDisplay.showOutlines(nodes["model"])
    except (ContractError, LogicError) as error:
        facts["noModel"] = str(error)
        warnings.append(_("The model's segmentation cannot be shown: {reason}").format(reason=error))
    try:
        ours = {organ.id for organ in dataset.organs}  # what is under review comes first, the largest of each first
        facts["regions"] = tuple(
            sorted(ResultLoader.loadRegions(results.folder), key=lambda one: one.organ not in ours)
        )
        nodes["uncertainty"] = ResultLoader.loadUncertainty(
            results.folder, image, _("{case} uncertainty").format(case=case.id)
        )
    except (ContractError, LogicError) as error:
        facts["noUncertainty"] = str(error)
        warnings.append(_("The uncertainty cannot be shown: {reason}").format(reason=error))
    return facts


def _hasVoxels(segmentation):
    for segmentId in segmentation.GetSegmentation().GetSegmentIDs():
        labelmap = segmentation.GetSegmentation().GetSegment(segmentId).GetRepresentation("Binary labelmap")
        scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
        if scalars is not None and scalars.GetNumberOfTuples() and scalars.GetRange()[1] > 0:
            return True
    return False


def _changedText(status):
    if status == "approved":
        return _("The label was changed after it was approved: look at it, then approve it again or flag it.")
    if status == "flagged":
        return _("The label was changed after it was flagged: look at it as it is now.")
    return _("The label was changed after it was handed in: look at it as it is now.")
