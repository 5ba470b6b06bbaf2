"""What a dataset folder says of itself, read as far as it can be read: dataset.json, the case files, the history.

Damage becomes a finding, and never hides what lies beside it.
"""

import contextlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import locked
from organincrement.contract.history_check import Recorded, history_faults
from organincrement.workflows.findings import Finding, from_text

UNKNOWN = Dataset(name="unknown", modality="CT", organs=())
PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Books:
    """The cases that can be read, the ids of those that cannot, and what is wrong with the files they are in.

    organs_known: False when dataset.json cannot be read, so that `folder` has no organs.
    """

    folder: DatasetFolder
    organs_known: bool
    cases: list[Case] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def read_books(path: Path) -> Books:
    """Read everything but images and labels at one moment: no writer that takes the lock is at work meanwhile.

    Nothing is changed. Raises ContractError when `path` holds neither a dataset.json nor a cases folder.
    """
    with _quiet(path) as is_quiet:
        books = _manifest(path)
        if not is_quiet:
            books.findings.append(
                Finding(
                    kind="note", code="busy", file="history.lock",
                    message=f"another program has been writing for {PATIENCE_S:g} s",
                    what_to_do="check again when it is done",
                )
            )  # fmt: skip
        _read_cases(books)
        _read_history(books)
    return books


@contextlib.contextmanager
def _quiet(path: Path) -> Iterator[bool]:
    """Hold the lock of writers if there is one; False when another does not let go. Never makes the file."""
    lock = path / "history.lock"
    with contextlib.ExitStack() as stack:
        quiet = True
        # A folder that may only be read has no writer here, and its lock cannot be opened.
        if lock.is_file() and os.access(lock, os.W_OK):
            try:
                stack.enter_context(locked(lock, PATIENCE_S))
            except (ContractError, OSError):
                quiet = False
        yield quiet


def _manifest(path: Path) -> Books:
    try:
        return Books(folder=DatasetFolder.open(path), organs_known=True)
    except ContractError as error:
        if not (path / "cases").is_dir() and not (path / "dataset.json").exists():
            raise
        damage = from_text(
            error, folder=path, code="manifest", file="dataset.json", otherwise="restore it from a backup"
        )
        return Books(folder=DatasetFolder(path, UNKNOWN), organs_known=False, findings=[damage])


def _read_cases(books: Books) -> None:
    cases = books.folder.path / "cases"
    if not cases.is_dir():
        books.findings.append(
            Finding(code="folder", file="cases", message="the folder is missing", what_to_do="copy the dataset again")
        )
        return
    by_name: dict[str, list[str]] = defaultdict(list)
    try:
        entries = sorted(os.scandir(cases), key=lambda entry: entry.name)
    except OSError as error:
        message, remedy = f"the folder cannot be listed ({error.strerror})", "ask its owner for the right to read it"
        books.findings.append(Finding(code="folder", file="cases", message=message, what_to_do=remedy))
        return
    for entry in entries:
        if entry.name.endswith(".json") and not entry.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):  # Gone since it was listed.
                case = _read_case(books, entry)
                if case is not None:
                    books.cases.append(case)
                by_name[entry.name.lower()].append(entry.name)
    for names in by_name.values():
        if len(names) > 1:
            books.findings.append(
                Finding(
                    code="names", file=f"cases/{names[0]}",
                    message=f"{' and '.join(names)} are one file on Windows and macOS",
                    what_to_do="give one of the cases another id",
                )
            )  # fmt: skip


def _read_case(books: Books, entry: os.DirEntry[str]) -> Case | None:
    """The case in a file of its name; None, and a finding, for any other file."""
    file, stem = f"cases/{entry.name}", entry.name.removesuffix(".json")
    mode = entry.stat(follow_symlinks=False)

    def refuse(code: str, message: str, what_to_do: str, case: str | None = stem) -> None:
        books.unread.add(stem)
        books.findings.append(Finding(code=code, case=case, file=file, message=message, what_to_do=what_to_do))

    if not stat.S_ISREG(mode.st_mode):
        kind = "a link" if entry.is_symlink() else "no regular file"
        return refuse("link", f"is {kind}", "put the case's own file in its place")
    if mode.st_size == 0:
        return refuse("empty", "is empty (0 bytes)", "restore it from a backup or import the case again")
    try:
        case = codec.read(Case, Path(entry.path))
    except ContractError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise FileNotFoundError(entry.path) from None
        books.unread.add(stem)
        books.findings.append(
            from_text(
                error, folder=books.folder.path, code="case-file", case=stem, file=file,
                otherwise="restore it from a backup or import the case again",
            )
        )  # fmt: skip
        return None
    if case.id == stem:
        return case
    books.unread.add(case.id)
    if (books.folder.path / "cases" / f"{case.id}.json").exists():
        return refuse(
            "copy", f"is a second file of case {case.id}: somebody edited it elsewhere, or copied it",
            f"compare it with cases/{case.id}.json, keep what is right there, and delete this one", case.id,
        )  # fmt: skip
    return refuse("copy", f"says that it is case {case.id}", f"rename it to {case.id}.json", case.id)


def _read_history(books: Books) -> None:
    recorded = Recorded(
        statuses={case.id: case.status for case in books.cases},
        label_sha256={case.id: case.label_sha256 for case in books.cases},
        unread=books.unread,
        organs=books.folder.label_space.ids if books.organs_known else None,
    )
    path = books.folder.history_path
    moved = [case.id for case in books.cases if case.status != "draft"]
    if moved and not path.exists():
        books.findings.append(
            Finding(
                code="history", file=path.name, message=f"is missing, but {len(moved)} cases have been submitted",
                what_to_do="restore it from a backup, or review the cases again",
            )
        )  # fmt: skip
    for fault in history_faults(path, recorded):
        books.findings.append(
            from_text(
                fault.text, folder=books.folder.path, kind=fault.kind, code="history", case=fault.case,
                file=fault.file, line=fault.line, otherwise="restore the file from a backup",
            )
        )  # fmt: skip
