"""Showing one case of a dataset in the slice views: the scan, with its label as outlines."""

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from OrganIncrementLib.Logics import ResultLoader, SegmentationDisplay
from OrganIncrementLib.Logics.LogicError import LogicError

_CASE = "OrganIncrement.Case"


def openCase(folder: Path | str, caseId: str) -> str:
    """Show a case; one that is in the scene already is not loaded again.

    Returns: why it cannot be shown, in a sentence for people; "" where it is shown.
    """
    try:
        dataset = DatasetFolder.open(folder)
        case = dataset.case(caseId)
        image = _loaded(dataset, case, "image") or ResultLoader.loadImage(dataset.image_path(case), case.id)
        image.SetAttribute(_CASE, _key(dataset, case, "image"))
        slicer.util.setSliceViewerLayers(background=image, fit=True)
        _hideLabels()
        if case.label is not None:
            label = _loaded(dataset, case, "label") or _loadedLabel(dataset, case, image)
            SegmentationDisplay.showOutlines(label)
    except (ContractError, LogicError, OSError) as error:
        return _("The scan {case} cannot be shown. {reason}").format(case=caseId, reason=error)
    return ""


def _key(dataset: DatasetFolder, case: Case, kind: str) -> str:
    sha256 = case.image_sha256 if kind == "image" else case.label_sha256
    return f"{kind} {dataset.path.resolve()} {case.id} {sha256}"


def _loadedLabel(dataset: DatasetFolder, case: Case, image: Any) -> Any:
    manifest, name = dataset.manifest, _("{case} label").format(case=case.id)
    label = ResultLoader.loadLabel(dataset.label_path(case), manifest.organs, image, name, manifest.ignore_value)
    label.SetAttribute(_CASE, _key(dataset, case, "label"))
    return label


def _loaded(dataset: DatasetFolder, case: Case, kind: str) -> Any:
    """The node of the case that is in the scene, None where there is none, or its file has changed since."""
    wanted = _key(dataset, case, kind)
    className = "vtkMRMLScalarVolumeNode" if kind == "image" else "vtkMRMLSegmentationNode"
    return next((n for n in slicer.util.getNodesByClass(className) if n.GetAttribute(_CASE) == wanted), None)


def _hideLabels() -> None:
    """Hide the labels of other cases, which would lie over this one's scan."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node.GetAttribute(_CASE) and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(False)
