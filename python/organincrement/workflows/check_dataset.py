"""Everything that can be wrong with a dataset folder, one line each, with what to do about it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file
from organincrement.contract.history import check_history
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import label_counts, peek, read_labels


@dataclass(frozen=True)
class Finding:
    """One line of a check; a problem has to be mended before training, a note is for the reader to judge."""

    kind: Literal["problem", "note"]
    case: str | None
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {f'case {self.case}: ' if self.case else ''}{self.message}"


def check(folder: DatasetFolder) -> list[Finding]:
    """All findings: problems first, then notes; empty when there is nothing to say. Nothing is changed."""
    cases, findings = _readable_cases(folder)
    findings += [_problem(None, line) for line in _history_lines(folder, cases)]
    for case in cases:
        findings += _case_findings(folder, case)
    findings += _same_scans(cases)
    findings += _strangers(folder, cases)
    if not cases:
        findings.append(_problem(None, f"{folder.path}: has no case that can be read; add images and labels"))
    return sorted(findings, key=lambda finding: finding.kind == "note")


def _problem(case: str | None, message: object) -> Finding:
    return Finding("problem", case, str(message))


def _readable_cases(folder: DatasetFolder) -> tuple[list[Case], list[Finding]]:
    """The cases whose files are sound; a broken one must not hide what is wrong with the others."""
    cases, findings = [], []
    for path in sorted((folder.path / "cases").glob("*.json")):
        if path.name.startswith("."):
            continue
        try:
            cases.append(folder.case(path.stem))
        except ContractError as error:
            findings.append(_problem(path.stem, error))
    return cases, findings


def _history_lines(folder: DatasetFolder, cases: Sequence[Case]) -> list[str]:
    try:
        return check_history(folder.history_path, {case.id: case.status for case in cases})
    except ContractError as error:
        return [str(error)]


def _case_findings(folder: DatasetFolder, case: Case) -> Iterator[Finding]:
    image, damage = _intact(folder, case, "image")
    if damage:
        yield damage
    if case.label is None:
        if case.status != "draft":
            yield _problem(case.id, f"is {case.status} but has no label; draw one or set it back to draft")
        return
    label, damage = _intact(folder, case, "label")
    if damage:
        yield damage
    if image is None or label is None:
        return
    try:
        counts = label_counts(read_labels(label, allowed=folder.label_values, like=peek(image)).array_DHW)
    except ImageError as error:
        yield _problem(case.id, error)
        return
    for value, organ in enumerate(folder.label_space.ids, 1):
        if value in counts and organ not in case.annotated:
            yield _problem(
                case.id, f"{label}: has voxels of {organ}, which `annotated` does not list; list or erase it"
            )
        if value not in counts and organ in case.annotated:
            yield Finding(
                "note", case.id, f"{label}: has no voxel of {organ}; right if it was looked for and is absent"
            )


def _intact(folder: DatasetFolder, case: Case, kind: Literal["image", "label"]) -> tuple[Path | None, Finding | None]:
    """The file if it can be opened, and what is wrong with it: missing, outside the folder, or changed."""
    try:
        path = folder.image_path(case) if kind == "image" else folder.label_path(case)
        if not path.is_file():
            return None, _problem(case.id, f"{path}: the {kind} is missing; restore it or remove the case")
        expected = case.image_sha256 if kind == "image" else case.label_sha256
        if expected is None or sha256_file(path) == expected:
            return path, None
    except (ContractError, OSError) as error:
        return None, _problem(case.id, error)
    remedy = "restore it, or import the case again" if kind == "image" else "look at it and submit it again"
    return path, _problem(case.id, f"{path}: the {kind} has changed since its hash was recorded; {remedy}")


def _same_scans(cases: Sequence[Case]) -> Iterator[Finding]:
    by_scan: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        by_scan[case.image_sha256].append(case)
    for same in by_scan.values():
        names = ", ".join(case.id for case in same)
        if len({case.group for case in same}) > 1:
            yield _problem(
                None, f"cases {names} are one scan in different groups; give them one group, or remove all but one"
            )
        elif len(same) > 1:
            yield Finding("note", None, f"cases {names} are one scan; remove all but one unless that is meant")


def _strangers(folder: DatasetFolder, cases: Sequence[Case]) -> Iterator[Finding]:
    known = {name for case in cases for name in (case.image, case.label)}
    for part in ("images", "labels"):
        for path in sorted((folder.path / part).glob("*")):
            if not path.name.startswith(".") and f"{part}/{path.name}" not in known:
                yield Finding("note", None, f"{path}: belongs to no case; remove it, or restore its file in cases/")
