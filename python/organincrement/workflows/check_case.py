"""What can be wrong with one case: its files, their hashes, the label's grid and values, and what it says of them."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from organincrement.contract.dataset import Case
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import check_same_grid, label_counts, peek, read_labels, read_stored
from organincrement.workflows.dataset_books import Books
from organincrement.workflows.findings import Finding, from_text
from organincrement.workflows.same_scan import ScanPrint, scan_print

Part = Literal["image", "label"]
REMEDY = {
    "image": "restore it from a backup, or import the case again",
    "label": "restore it from a backup, or draw it again and submit the case",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckedCase:
    """What was found, and by what the scan can be known again (None when it could not be read)."""

    findings: list[Finding] = field(default_factory=list)
    scan: ScanPrint | None = None


@dataclass(frozen=True, kw_only=True)
class _View:
    """One case, and how its findings begin."""

    books: Books
    case: Case

    def finding(self, code: str, message: str, what_to_do: str, part: Part | None = None, kind: str = "problem"):
        return Finding(
            kind=kind, code=code, case=self.case.id, file=self.file(part), message=message, what_to_do=what_to_do
        )

    def error(self, code: str, error: Exception, part: Part) -> Finding:
        return from_text(
            error, folder=self.books.folder.path, code=code, case=self.case.id, file=self.file(part),
            otherwise=REMEDY[part],
        )  # fmt: skip

    def file(self, part: Part | None) -> str:
        name = getattr(self.case, part) if part else None
        return name or f"cases/{self.case.id}.json"


def check_case(books: Books, case: Case) -> CheckedCase:
    """Everything about one case; its image and label are read once each, one after the other."""
    view = _View(books=books, case=case)
    findings = list(_statements(view))
    image, damage = _intact(view, "image")
    findings += damage
    scan = None
    if image is not None:
        try:
            scan = scan_print(read_stored(image))
        except ImageError as error:
            findings.append(view.error("image", error, "image"))
            image = None
    if case.label is not None:
        label, damage = _intact(view, "label")
        findings += damage
        if label is not None:
            findings += _label_findings(view, label, image)
    return CheckedCase(findings=findings, scan=scan)


def file_state(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is written or replaced; None when there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns


def _statements(view: _View) -> Iterator[Finding]:
    """What the case file says, whatever the files hold."""
    case, space = view.case, view.books.folder.label_space
    if view.books.organs_known:
        for organ in sorted(set(case.annotated) - set(space.ids)):
            yield view.finding(
                "annotated", f"`annotated` lists {organ!r}, which dataset.json does not declare",
                "remove it there, or declare the organ",
            )  # fmt: skip
    if case.label is None and case.status != "draft":
        yield view.finding(
            "no-label", f"is {case.status} but has no label", "draw one, or set it back to draft"
        )  # fmt: skip


def _intact(view: _View, part: Part) -> tuple[Path | None, list[Finding]]:
    """The file if it can be opened, and what is wrong with it: missing, outside the folder, a link, or changed."""
    folder, case = view.books.folder, view.case
    try:
        path = folder.image_path(case) if part == "image" else folder.label_path(case)
        mode = path.stat().st_mode
    except ContractError as error:
        return None, [view.error("outside", error, part)]
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        message = f"the {part} is missing" if missing else f"the {part} cannot be read ({error.strerror})"
        return None, [view.finding("missing", message, REMEDY[part], part)]
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        return None, [view.finding("no-file", f"the {part} is {kind}", REMEDY[part], part)]
    if path.stat().st_size == 0:
        return None, [view.finding("empty", f"the {part} is empty (0 bytes)", REMEDY[part], part)]
    return path, [*_link(view, path, part), *_changed(view, path, part)]


def _link(view: _View, path: Path, part: Part) -> Iterator[Finding]:
    if path.is_symlink() and (part == "label" or view.case.image_source == "copy"):
        yield view.finding(
            "link", f"the {part} is a link to another file", "put the file itself here: a copy of the folder loses it",
            part, kind="note",
        )  # fmt: skip


def _changed(view: _View, path: Path, part: Part) -> Iterator[Finding]:
    case = view.case
    expected = case.image_sha256 if part == "image" else case.label_sha256
    remedy = "restore it, or import the case again" if part == "image" else "look at it and submit it again"
    try:
        actual = sha256_file(path)
        if actual != expected and expected is not None:
            message = f"the {part} has changed since its hash was recorded{_recorded_for(view, actual)}"
            yield view.finding("changed", message, remedy, part)
    except ContractError as error:
        yield view.error("unreadable", error, part)


def _recorded_for(view: _View, sha256: str) -> str:
    cases = [case.id for case in view.books.cases if sha256 in (case.image_sha256, case.label_sha256)]
    return f" (it is that of case {cases[0]} now)" if cases else ""


def _label_findings(view: _View, label: Path, image: Path | None) -> Iterator[Finding]:
    """The label's grid against the image's, its values against the declared ones, and against `annotated`."""
    allowed = view.books.folder.label_values if view.books.organs_known else None
    try:
        if image is not None:
            check_same_grid(label, peek(label), peek(image))
    except ImageError as error:
        yield view.error("grid", error, "label")
    try:
        counts = label_counts(read_labels(label, allowed=allowed).array_DHW)
    except ImageError as error:
        yield view.error("label", error, "label")
        return
    if view.books.organs_known:
        yield from _against_annotated(view, counts)


def _against_annotated(view: _View, counts: dict[int, int]) -> Iterator[Finding]:
    folder, annotated = view.books.folder, view.case.annotated
    if annotated and set(counts) == {folder.manifest.ignore_value}:
        yield view.finding(
            "ignored", "every voxel is marked as not looked at", "draw the label, or empty `annotated`", "label",
            kind="note",
        )  # fmt: skip
        return
    if not annotated and set(counts) <= {0, folder.manifest.ignore_value} and view.case.status != "draft":
        yield view.finding(
            "annotated", f"is {view.case.status}, but nothing is drawn and `annotated` lists no organ",
            "list the organs that were looked for", kind="note",
        )  # fmt: skip
    for value, organ in enumerate(folder.label_space.ids, 1):
        if value in counts and organ not in annotated:
            yield view.finding(
                "unlisted", f"has voxels of {organ}, which `annotated` does not list", "list or erase it", "label"
            )
        if value not in counts and organ in annotated:
            yield view.finding(
                "absent", f"has no voxel of {organ}", "right if it was looked for and is absent; else draw it", "label",
                kind="note",
            )  # fmt: skip
