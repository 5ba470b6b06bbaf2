"""A dataset folder: dataset.json, one file per case, images, labels, and the history of reviews."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from . import codec
from .errors import ContractError
from .files import check_relative, locked, resolve_inside, sha256_file
from .history import (
    NEXT_STATUS,
    HistoryEntry,
    LastSteps,
    Pinned,
    Status,
    append_entry,
    approved_label,
    read_history,
    renew_head,
    steps_between,
)
from .history_check import check_history
from .labels import LabelSpace, Organ, check_id


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """What a dataset is about; `ignore_value` marks voxels nobody has looked at."""

    schema: ClassVar[str] = "organincrement/dataset/1"
    name: str
    modality: str
    organs: tuple[Organ, ...]
    ignore_value: int = 255

    def __post_init__(self) -> None:
        if not len(LabelSpace(self.organs)) < self.ignore_value <= 65535:
            raise ContractError(f"ignore_value {self.ignore_value} must lie above every label and below 65536")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One scan and its label, either of them relative to the dataset folder.

    `annotated`: organs that were looked for; any other organ is unknown here, never background. `group`: cases of one
    patient share it. `image_source`: a copy in the folder, or a reference that may lead out of it.
    """

    schema: ClassVar[str] = "organincrement/case/1"
    id: str
    group: str
    image: str
    image_source: Literal["copy", "reference"] = "copy"
    label: str | None = None
    annotated: tuple[str, ...] = ()
    status: Status = "draft"
    image_sha256: str
    label_sha256: str | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_id(self.id)
        check_relative(self.image, upwards=self.image_source == "reference")
        if self.label is not None:
            check_relative(self.label)
        if self.status == "approved" and (self.label is None or self.label_sha256 is None):
            raise ContractError(f"case {self.id} is approved without a label and its SHA-256; submit it again")


class DatasetFolder:
    """A dataset on disk; every change is atomic, and changes of status are recorded under a lock."""

    def __init__(self, path: Path, manifest: Dataset) -> None:
        self.path = path
        self.manifest = manifest
        self.label_space = LabelSpace(manifest.organs)
        self._last_steps = LastSteps(self.history_path)

    @classmethod
    def create(cls, path: Path | str, manifest: Dataset) -> "DatasetFolder":
        """Make a new, empty dataset; raises ContractError when there is one already."""
        path = Path(path)
        if (path / "dataset.json").exists():
            raise ContractError(f"{path}: is a dataset already; choose another folder")
        for name in ("cases", "images", "labels"):
            (path / name).mkdir(parents=True, exist_ok=True)
        codec.write(manifest, path / "dataset.json")
        return cls(path, manifest)

    @classmethod
    def open(cls, path: Path | str) -> "DatasetFolder":
        """Open a dataset; raises ContractError when it is none."""
        path = Path(path)
        return cls(path, codec.read(Dataset, path / "dataset.json"))

    def cases(self) -> list[Case]:
        """All cases, sorted by id."""
        files = (path for path in (self.path / "cases").glob("*.json") if not path.name.startswith("."))
        return [self.case(case_id) for case_id in sorted(path.stem for path in files)]

    def case(self, case_id: str) -> Case:
        """One case; raises ContractError when there is none of this id or its file contradicts the dataset."""
        path = self._case_file(case_id)
        case = codec.read(Case, path)
        if case.id != case_id:
            raise ContractError(f"{path}: id: the file of case {case_id!r} says {case.id!r}; rename one of them")
        self._check_annotated(case, str(path))
        return case

    def save_case(self, case: Case) -> None:
        """Write a case's file; a change of its status goes through `move`."""
        path = self._case_file(case.id)
        self._check_annotated(case, str(path))
        codec.write(case, path)

    def image_path(self, case: Case) -> Path:
        """Where the case's image lies; raises ContractError when a copy is not inside the folder."""
        return self._inside(case.image) if case.image_source == "copy" else self.path / case.image

    def label_path(self, case: Case) -> Path:
        """Where the case's label lies; raises ContractError when it has none."""
        if case.label is None:
            raise ContractError(f"{self._case_file(case.id)}: label: case {case.id} has no label; draw one first")
        return self._inside(case.label)

    @property
    def label_values(self) -> frozenset[int]:
        """What a label file of this dataset may hold besides 0: a value for each organ, and the ignore value."""
        return frozenset((*range(1, 1 + len(self.label_space)), self.manifest.ignore_value))

    def move(self, case_id: str, to_status: Status, who: str, comment: str, label_sha256: str | None = None) -> Case:
        """Change a case's status, record who did it and why, and pin the label's hash.

        `label_sha256` is the hash of the label that was looked at; the move is refused when the file is another by now.
        Raises ContractError for a step that the contract does not know, and for a case without a label.
        """
        with self.writing():
            case = self.case(case_id)
            if to_status not in NEXT_STATUS[case.status]:
                allowed = " or ".join(NEXT_STATUS[case.status])
                step = f"{case.status} to {to_status}"
                raise ContractError(f"{self.path}: {case_id} cannot go from {step}, but to {allowed}")
            actual = sha256_file(self.label_path(case))
            if label_sha256 not in (None, actual):
                raise ContractError(f"{self.label_path(case)}: has changed since it was looked at; look at it again")
            self._record(case, to_status, who, comment, actual)
            moved = replace(case, status=to_status, label_sha256=actual)
            self.save_case(moved)
            return moved

    def _record(self, case: Case, to: Status, who: str, comment: str, label_sha256: str) -> None:
        """Append the step; from where the history ends, should the case file say another status than that."""
        last = self._last_steps.of(case.id)
        steps = steps_between(last[1] if last else "draft", to)
        # No step is left when a process ended before it wrote the case, which names the same label; else one was lost.
        if not steps and to == "approved" and approved_label(self.history_path, case.id) not in (None, label_sha256):
            steps = [("approved", "submitted"), ("submitted", "approved")]
        pinned = Pinned(label_sha256=label_sha256, organs=self.label_space.ids)
        for from_, next_ in steps:
            found = "" if from_ == case.status else f" (the case's file said {case.status})"
            append_entry(
                self.history_path, who=who, case=case.id, from_=from_, to=next_, comment=comment + found, pinned=pinned
            )
        if not steps:
            renew_head(self.history_path, case.id, to, pinned)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the dataset's lock: for whoever changes files that belong together, such as a label and its case.

        `move` takes it by itself and cannot be called inside. Raises ContractError when another holds it for 10 s.
        """
        with locked(self.lock_path):
            yield

    def history(self) -> list[HistoryEntry]:
        """The recorded steps, oldest first; raises ContractError for a line that is not one."""
        return read_history(self.history_path)

    def check_history(self) -> list[str]:
        """What is wrong with the history: broken chain, unknown steps, and cases whose status it does not explain."""
        return check_history(self.history_path, {case.id: case.status for case in self.cases()})

    def check_files(self) -> list[str]:
        """What is wrong with the files: missing, outside the folder, or changed since their hash was recorded."""
        problems = []
        for case in self.cases():
            for kind, expected in (("image", case.image_sha256), ("label", case.label_sha256)):
                if kind == "label" and case.label is None:
                    continue
                try:
                    path = self.image_path(case) if kind == "image" else self.label_path(case)
                    if expected is not None and sha256_file(path) != expected:
                        remedy = "import the case again" if kind == "image" else "submit the case again"
                        problems.append(f"{path}: the {kind} of case {case.id} has changed; {remedy}")
                except ContractError as error:
                    problems.append(f"case {case.id}: {error}")
        return problems

    def sha256(self) -> str:
        """One hash over dataset.json and every case file, so over organs, ids, hashes and statuses."""
        parts = [codec.dumps(self.manifest), *(codec.dumps(case) for case in self.cases())]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    @property
    def history_path(self) -> Path:
        """Where the steps of the reviews are recorded."""
        return self.path / "history.jsonl"

    @property
    def lock_path(self) -> Path:
        """The file whose lock a writer holds; it stays there, and is free when nobody holds it."""
        return self.path / "history.lock"

    def _inside(self, relative: str) -> Path:
        try:
            return resolve_inside(self.path, relative)
        except (OSError, RuntimeError):
            raise ContractError(
                f"{self.path}: {relative!r} is a link that leads in a circle; put the file itself in its place"
            ) from None

    def _case_file(self, case_id: str) -> Path:
        check_id(case_id)
        return self.path / "cases" / f"{case_id}.json"

    def _check_annotated(self, case: Case, where: str) -> None:
        for organ_id in case.annotated:
            if organ_id not in self.label_space.ids:
                raise ContractError(f"{where}: annotated: dataset.json has no organ {organ_id!r}; remove it here")
