"""Moving the cases of a dataset that was just imported into the dataset that is worked on."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.files import locked, sha256_file, write_atomic
from organincrement.contract.history import Status
from OrganIncrementLib.Logics import ImageFile
from OrganIncrementLib.Logics.CaseErrors import inWords
from OrganIncrementLib.Logics.CaseWriter import LOCK_WAIT_S, nextCaseId

PRIVATE_LIST = "names.private.csv"  # which case was which file; the engine writes it, no job or report reads it
STEPS: dict[str, tuple[Status, ...]] = {
    "draft": (),
    "submitted": ("submitted",),
    "approved": ("submitted", "approved"),
}


@dataclass
class Merged:
    """What became of the imported cases: ids in the dataset, and the ids that were scans of it already."""

    added: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)


def mergeDataset(
    source: DatasetFolder, target: DatasetFolder, organIds: Sequence[str], status: str, who: str
) -> Merged:
    """Move every case of `source` into `target`, under an id of its own, and take it to a status.

    organIds: what the organs of `source` are called in `target`, in the source's order; labels are numbered anew where
    that is another order. A scan that is in `target` already stays behind.
    Raises: CaseError, one sentence; the cases moved until then stay whole in `target`.
    """
    merged, names = Merged(), {}
    with inWords(target.path):
        for case in source.cases():
            existing = target.cases()
            if any(other.image_sha256 == case.image_sha256 for other in existing):
                merged.known.append(case.id)
                continue
            ids, groups = [other.id for other in existing], {other.group for other in existing}
            newId = case.id if case.id.casefold() not in {name.casefold() for name in ids} else nextCaseId(ids)
            called = dict(zip(source.label_space.ids, organIds, strict=True))
            group = _group(case, newId, groups, names)
            _moveCase(source, target, case, newId, group, called)
            for step in STEPS[status]:
                target.move(newId, step, who, "imported")
            merged.added.append(newId)
            names.setdefault("ids", {})[case.id] = newId
        _keepPrivateList(source.path, target.path, names.get("ids", {}))
    return merged


def _group(case: Case, newId: str, taken: set[str], names: dict) -> str:
    """The patient's number there: numbers that the import made up are made up anew, others mean the same patient."""
    if case.group == case.id:
        return newId
    known = names.setdefault("groups", {})
    if case.group not in known:
        madeUp = re.fullmatch(r"patient_\d+", case.group) and case.group in taken
        free = (f"patient_{number:04d}" for number in range(1, 10**6))
        used = taken | set(known.values())
        known[case.group] = next(name for name in free if name not in used) if madeUp else case.group
    return known[case.group]


def _moveCase(
    source: DatasetFolder, target: DatasetFolder, case: Case, newId: str, group: str, called: dict[str, str]
) -> None:
    image = target.path / "images" / (newId + _ending(case.image))
    label = target.path / "labels" / (newId + _ending(case.label or ".nrrd"))
    if tuple(called.values()) != target.label_space.ids[: len(called)]:
        label = label.with_name(f"{newId}.nii.gz")
        _renumber(source, target, case, called)
    with locked(target.lock_path, LOCK_WAIT_S):
        moved = _newCase(source, case, newId, group, image, label)
        target.save_case(replace(moved, annotated=tuple(called[organ] for organ in case.annotated)))
        # The case comes first: what is cut off between shows as a missing image, and not as a file of nobody.
        _labelFile(source, case).replace(label)
        source.image_path(case).replace(image)


def _newCase(source: DatasetFolder, case: Case, newId: str, group: str, image: Path, label: Path) -> Case:
    return replace(
        case, id=newId, group=group, status="draft", image=f"images/{image.name}", label=f"labels/{label.name}",
        label_sha256=sha256_file(_labelFile(source, case)),
    )  # fmt: skip


def _labelFile(source: DatasetFolder, case: Case) -> Path:
    renumbered = source.path / "labels" / _renumbered(case)
    return renumbered if renumbered.exists() else source.label_path(case)


def _renumber(source: DatasetFolder, target: DatasetFolder, case: Case, called: dict[str, str]) -> None:
    """Write the label with the target's values beside the source's."""
    image = ImageFile.read(source.label_path(case))
    label_KJI = image.array_KJI
    table = np.zeros(max(int(label_KJI.max()), source.manifest.ignore_value) + 1, np.uint16)
    table[source.manifest.ignore_value] = target.manifest.ignore_value
    for value, organ in enumerate(called.values(), 1):
        table[value] = target.label_space.index(organ)
    kind = np.uint8 if target.manifest.ignore_value < 256 else np.uint16
    ImageFile.write(source.path / "labels" / _renumbered(case), table[label_KJI].astype(kind), image.grid)


def _renumbered(case: Case) -> str:
    return f"{case.id}.renumbered.nii.gz"


def _keepPrivateList(source: Path, target: Path, newIds: dict[str, str]) -> None:
    """Add the imported files' names to the dataset's own list, under the new ids."""
    if not (source / PRIVATE_LIST).is_file() or not newIds:
        return
    rows = list(csv.reader((source / PRIVATE_LIST).read_text(encoding="utf-8").splitlines()))
    old = (target / PRIVATE_LIST).read_text(encoding="utf-8") if (target / PRIVATE_LIST).is_file() else ""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    if not old:
        writer.writerow(rows[0])
    writer.writerows([newIds[row[0]], *row[1:]] for row in rows[1:] if row and row[0] in newIds)
    write_atomic(target / PRIVATE_LIST, old + table.getvalue())
    (target / PRIVATE_LIST).chmod(0o600)


def _ending(name: str) -> str:
    lower = name.lower()
    return ".nii.gz" if lower.endswith(".nii.gz") else Path(name).suffix or ".nrrd"
