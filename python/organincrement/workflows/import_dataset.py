"""Make a dataset folder of images and labels that somebody keeps in their own way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.history import Status
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.nifti_copy import copy_nifti
from organincrement.imaging.safe_read import check_same_grid, label_counts, peek, read_labels, read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.case_names import neutral, write_private_list
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.pairing import Pair, Source, find_pairs
from organincrement.workflows.whole_folder import built_beside

MOST_ORGANS = 254  # labels are uint8, and 255 marks voxels that nobody has looked at
STEPS: dict[Status, tuple[Status, ...]] = {
    "draft": (),
    "submitted": ("submitted",),
    "approved": ("submitted", "approved"),
    "flagged": ("submitted", "flagged"),
}


@dataclass(frozen=True, kw_only=True)
class LabelRules:
    """How a label file's values become the dataset's: `value_of` gives, in the order of `space`, the source values."""

    space: LabelSpace
    value_of: tuple[int, ...]
    ignore_other_labels: bool
    allow_empty: bool


def import_dataset(
    images: Path, labels: Path, organs: Mapping[str, int], out: Path, *,
    source: Source = "folders", name: str | None = None, modality: str = "CT",
    status: Status = "approved", who: str = "",
    ignore_other_labels: bool = False,
    allow_empty: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> DatasetFolder:  # fmt: skip
    """Check, copy and renumber images and labels into a new dataset folder.

    organs: organ name to its value in the label files, in the order wanted; the dataset's labels are 1, 2, ….
    source: see `find_pairs`. ignore_other_labels: values not in `organs` become background instead of an error.
    allow_empty: every organ was looked for in every case, so that one without voxels is absent; otherwise a case's
    `annotated` lists the organs that have voxels, and a case with none is refused. progress(done, total, case id).
    Names of files that may be people's become case_0001, …, and `names.private.csv` says which is which.
    Images keep their voxels and grid; header text, original paths and DICOM tags are left behind. Raises WorkflowError,
    ImageError or ContractError, one line each, and then leaves nothing behind.
    """
    if out.exists() or out.is_symlink():
        raise WorkflowError(f"{out}: exists already; choose another folder")
    rules = _rules(organs, ignore_other_labels, allow_empty)
    originals = find_pairs(images, labels, source)
    pairs, renamed = neutral(originals)
    report = progress or (lambda *step: None)
    for pair in pairs:
        check_same_grid(pair.label, peek(pair.label), peek(pair.image))
    manifest = Dataset(name=name or out.name, modality=modality, organs=rules.space.organs)
    with built_beside(out) as partial:
        folder = DatasetFolder.create(partial, manifest)
        for done, pair in enumerate(pairs):
            report(done, len(pairs), pair.id)
            _import_case(folder, pair, rules, status, who)
        _check_organs_occur(folder, rules, labels)
        if renamed:
            write_private_list(folder.path, pairs, originals)
    report(len(pairs), len(pairs), "")
    return DatasetFolder.open(out)


def _rules(organs: Mapping[str, int], ignore_other_labels: bool, allow_empty: bool) -> LabelRules:
    values = list(organs.values())
    if not organs or len(organs) > MOST_ORGANS:
        raise WorkflowError(f"{len(organs)} organs were asked for; name 1 to {MOST_ORGANS}, for example mandible=1")
    for organ, value in organs.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
            raise WorkflowError(f"organ {organ!r} has the label value {value!r}; give a whole number from 1 to 65535")
        if values.count(value) > 1:
            raise WorkflowError(f"label value {value} is given to two organs; each organ has its own")
    space = LabelSpace(tuple(organ_from_name(organ) for organ in organs))
    return LabelRules(
        space=space, value_of=tuple(values), ignore_other_labels=ignore_other_labels, allow_empty=allow_empty
    )


def _import_case(folder: DatasetFolder, pair: Pair, rules: LabelRules, status: Status, who: str) -> None:
    image_name, label_name = f"images/{pair.id}.nii.gz", f"labels/{pair.id}.nii.gz"
    volume = read_stored(pair.image)
    labels = read_labels(pair.label, allowed=None, like=volume)
    renumbered_DHW, annotated = _renumber(pair, labels, rules)
    store_image(pair.image, volume, folder.path / image_name)
    write_nifti(folder.path / label_name, volume.with_array(renumbered_DHW))
    folder.save_case(
        Case(
            id=pair.id,
            group=pair.group,
            image=image_name,
            label=label_name,
            annotated=annotated,
            image_sha256=sha256_file(folder.path / image_name),
            label_sha256=sha256_file(folder.path / label_name),
        )
    )
    for step in STEPS[status]:
        folder.move(pair.id, step, who, "imported")


def _renumber(pair: Pair, labels: Volume, rules: LabelRules) -> tuple[np.ndarray, tuple[str, ...]]:
    """The dataset's labels (uint8), and the ids of the organs that count as looked for."""
    counts = label_counts(labels.array_DHW)
    others = sorted(counts.keys() - set(rules.value_of) - {0})
    if others and not rules.ignore_other_labels:
        shown = ", ".join(map(str, others[:8])) + (" …" if len(others) > 8 else "")
        raise WorkflowError(
            f"{pair.label}: has label values {shown} that no organ was named for; "
            "name them, or give --ignore-other-labels"
        )
    present = tuple(organ for organ, value in zip(rules.space.ids, rules.value_of, strict=True) if counts.get(value, 0))
    if not present and not rules.allow_empty:
        raise WorkflowError(
            f"{pair.label}: has no voxel of {', '.join(rules.space.ids)}; "
            "draw the organ, or allow empty labels if it is absent"
        )
    table = np.zeros(max(*counts, *rules.value_of) + 1, np.uint8)
    table[list(rules.value_of)] = np.arange(1, len(rules.value_of) + 1)
    return table[labels.array_DHW], rules.space.ids if rules.allow_empty else present


def store_image(source: Path, volume: Volume, target: Path) -> None:
    """Copy an image to NIfTI, its voxels and grid equal, without free text. Args: volume: `source` as stored."""
    if source.name.lower().endswith((".nii", ".nii.gz")):
        copy_nifti(source, target)
        return
    array_DHW = volume.array_DHW
    whole = source.is_dir() and all(
        (np.abs(slice_HW) <= 32767).all() and (slice_HW == np.rint(slice_HW)).all() for slice_HW in array_DHW
    )
    # DICOM comes as float32; its HU are nearly always whole, and then take half the room.
    write_nifti(target, volume.with_array(array_DHW.astype(np.int16) if whole else array_DHW))
    difference = grid_difference(peek(target), volume)
    if difference:
        raise WorkflowError(f"{source}: cannot be kept exactly as NIfTI ({difference}); convert it to .nii.gz yourself")


def _check_organs_occur(folder: DatasetFolder, rules: LabelRules, labels: Path) -> None:
    found = {organ for case in folder.cases() for organ in case.annotated}
    for organ, value in zip(rules.space.ids, rules.value_of, strict=True):
        if organ not in found:
            raise WorkflowError(
                f"{labels}: no label file has the value {value} of {organ}; correct the value or leave it out"
            )
