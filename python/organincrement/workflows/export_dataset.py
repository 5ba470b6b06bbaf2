"""A dataset as a folder that other tools train on: nnU-Net's raw layout, or the Medical Segmentation Decathlon's."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.history import Status
from organincrement.imaging.safe_read import read_labels, read_stored
from organincrement.imaging.writing import write_nifti
from organincrement.models.formats.nnunet2_out import label_names
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.import_dataset import store_image
from organincrement.workflows.whole_folder import built_beside, check_free

Layout = Literal["nnunet", "decathlon"]
_IMAGES, _LABELS, _ENDING = "imagesTr", "labelsTr", ".nii.gz"
_IGNORE = "ignore"
_DESCRIPTION = "Written by OrganIncrement. Research use only."


@dataclass(frozen=True, kw_only=True)
class DatasetExport:
    """What to export, where to, and how. include: statuses of cases. progress(done, total, case id)."""

    dataset: Path
    out: Path
    layout: Layout
    include: Collection[Status] = ("approved",)
    progress: Callable[[int, int, str], None] = field(default=lambda *step: None)


@dataclass(frozen=True, kw_only=True)
class ExportedDataset:
    """A folder that is on disk now: its cases, their labels {name: value}, and what the user should know of it."""

    folder: Path
    cases: tuple[str, ...]
    labels: dict[str, int]
    notes: tuple[str, ...]


def export_dataset(request: DatasetExport) -> ExportedDataset:
    """Write images, labels and dataset.json; whole or not at all. Files are named by case, never by patient.

    Label values are 1, 2, … in the dataset's order; voxels that nobody has looked at get the value after the last.
    Raises: WorkflowError, ContractError or ImageError with one line; then `out` is as it was before.
    """
    check_free(request.out)
    if request.out.resolve().is_relative_to(request.dataset.resolve()):
        raise WorkflowError(f"{request.out}: lies in the dataset that is exported; give another place")
    dataset = DatasetFolder.open(request.dataset)
    every = dataset.cases()
    cases = [case for case in every if case.status in request.include and case.label is not None]
    if not cases:
        raise WorkflowError(f"{request.dataset}: has no case with a label that is {' or '.join(request.include)}")
    names = label_names(dataset.label_space)
    ignored = False
    with built_beside(request.out) as folder:
        for name in (_IMAGES, _LABELS):
            (folder / name).mkdir()
        for done, case in enumerate(cases):
            request.progress(done, len(cases), case.id)
            ignored |= _write_case(dataset, case, request.layout, folder)
        values = {name: value for value, name in enumerate((*names, _IGNORE) if ignored else names, 1)}
        partly = _partly_annotated(cases, dataset)
        described = _DESCRIPTIONS[request.layout](dataset.manifest, values, cases)
        if partly:
            described["partly_annotated"] = partly
        (folder / "dataset.json").write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    request.progress(len(cases), len(cases), "")
    return ExportedDataset(
        folder=request.out, cases=tuple(case.id for case in cases), labels=values,
        notes=_notes(request, len(every) - len(cases), partly, ignored),
    )  # fmt: skip


def _write_case(dataset: DatasetFolder, case: Case, layout: Layout, folder: Path) -> bool:
    """Write a case's two files. Returns: whether it has voxels that nobody has looked at."""
    image, label = dataset.image_path(case), dataset.label_path(case)
    for path, expected in ((image, case.image_sha256), (label, case.label_sha256)):
        if path.is_file() and expected is not None and sha256_file(path) != expected:
            raise WorkflowError(f"{path}: has changed since case {case.id} was handed in; submit the case again")
    volume = read_stored(image)
    labels = read_labels(label, allowed=dataset.label_values, like=volume)
    ignore = labels.array_DHW == dataset.manifest.ignore_value
    ignored = bool(ignore.any())
    last = 1 + len(dataset.label_space)
    kind = np.uint8 if last <= np.iinfo(np.uint8).max else np.uint16
    values_DHW = np.where(ignore, last, labels.array_DHW).astype(kind)
    channel = "_0000" if layout == "nnunet" else ""
    store_image(image, volume, folder / _IMAGES / f"{case.id}{channel}{_ENDING}")
    write_nifti(folder / _LABELS / f"{case.id}{_ENDING}", volume.with_array(values_DHW))
    return ignored


def _partly_annotated(cases: Sequence[Case], dataset: DatasetFolder) -> dict[str, list[str]]:
    """Of each case the organs that were not looked for, where there are any."""
    missing = {case.id: [organ for organ in dataset.label_space.ids if organ not in case.annotated] for case in cases}
    return {case_id: organs for case_id, organs in missing.items() if organs}


def _for_nnunet(dataset: Dataset, values: dict[str, int], cases: Sequence[Case]) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "description": _DESCRIPTION,
        "channel_names": {"0": dataset.modality},
        "labels": {"background": 0, **values},
        "numTraining": len(cases),
        "file_ending": _ENDING,
    }


def _for_decathlon(dataset: Dataset, values: dict[str, int], cases: Sequence[Case]) -> dict[str, Any]:
    files = [{"image": f"./{_IMAGES}/{case.id}{_ENDING}", "label": f"./{_LABELS}/{case.id}{_ENDING}"} for case in cases]
    return {
        "name": dataset.name,
        "description": _DESCRIPTION,
        "reference": "",
        "licence": "",
        "release": "",
        "tensorImageSize": "3D",
        "modality": {"0": dataset.modality},
        "labels": {"0": "background", **{str(value): name for name, value in values.items()}},
        "numTraining": len(cases),
        "numTest": 0,
        "training": files,
        "test": [],
    }


_DESCRIPTIONS: dict[Layout, Callable[[Dataset, dict[str, int], Sequence[Case]], dict[str, Any]]] = {
    "nnunet": _for_nnunet,
    "decathlon": _for_decathlon,
}


def _notes(request: DatasetExport, left_out: int, partly: dict[str, list[str]], ignored: bool) -> tuple[str, ...]:
    notes = []
    if left_out:
        notes.append(f"cases left out for want of a label or because not {' or '.join(request.include)}: {left_out}")
    if partly:
        organs = ", ".join(sorted({organ for organs in partly.values() for organ in organs}))
        notes.append(
            f"not every organ was looked for in {len(partly)} cases ({organs}): there it counts as background, which "
            "teaches a network wrongly; dataset.json lists them under partly_annotated"
        )
    if ignored and request.layout == "nnunet":
        notes.append(f"voxels that nobody has looked at are labelled '{_IGNORE}', which nnU-Net leaves out of training")
    elif ignored:
        notes.append(f"voxels that nobody has looked at are labelled '{_IGNORE}'; take it out of what is trained on")
    return tuple(notes)
