"""The review history of a dataset: an append-only chain of lines, each with the hash of the one before.

`history.head`, beside it, says how many lines there are, the hash of the last one, the order of the organs, and which
label each approval was given to: the chain alone shows no edit of its last line and no loss of its end. This finds
accidents and careless edits. It is not a signature: who may write the folder can write all of it anew.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from . import codec
from .errors import ContractError
from .files import append_line, last_line, open_regular, read_bytes, truncate_half_line, utc_now

Status = Literal["draft", "submitted", "approved", "flagged"]

# What may follow a status; a label that changes after its approval is submitted again.
NEXT_STATUS: dict[str, tuple[Status, ...]] = {
    "draft": ("submitted",),
    "submitted": ("approved", "flagged"),
    "approved": ("submitted",),
    "flagged": ("submitted",),
}


def steps_between(end: Status, to: Status) -> list[tuple[Status, Status]]:
    """The steps that lead from where a case's history ends to a status; none when it ends there."""
    if end == to:
        return []
    return [(end, to)] if to in NEXT_STATUS[end] else [(end, "submitted"), ("submitted", to)]


@dataclass(frozen=True, kw_only=True)
class HistoryEntry:
    """One step of one case; `previous_sha256` is of the line before without its line end, null in the first line."""

    seq: int
    time: str
    who: str
    case: str
    from_: Status
    to: Status
    comment: str
    previous_sha256: str | None


@dataclass(frozen=True, kw_only=True)
class HistoryHead:
    """How the history ends: its lines, and the SHA-256 of the last.

    organs: the dataset's organ ids in label order, which give the label values their meaning. labels: of each approved
    case the label's SHA-256.
    """

    schema: ClassVar[str] = "organincrement/history-head/1"
    lines: int
    sha256: str | None
    organs: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """What a step was taken on: the label that was looked at, and the organs (ids, in label order) of the dataset."""

    label_sha256: str | None = None
    organs: tuple[str, ...] = ()


def head_path(history: Path) -> Path:
    """Where the head of a history lies."""
    return history.with_suffix(".head")


def read_head(history: Path) -> HistoryHead | None:
    """The head of a history, None when there is none (older datasets); raises ContractError for a damaged one."""
    path = head_path(history)
    return codec.read(HistoryHead, path) if path.exists() or path.is_symlink() else None


def approved_label(history: Path, case: str) -> str | None:
    """The SHA-256 of the label with which a case was approved last, None where that is not known."""
    head = read_head(history)
    return head.labels.get(case) if head else None


def lines_of(path: Path) -> Iterator[bytes]:
    """The complete lines without their ends; a half-written last one is no line."""
    if path.exists() or path.is_symlink():
        yield from read_bytes(path, codec.MAX_JSON_BYTES).split(b"\n")[:-1]


def unended_line(path: Path) -> bytes | None:
    """The last line when nothing but its line end is gone, as the head shows; None for a half-written one."""
    if not (path.exists() or path.is_symlink()):
        return None
    with open_regular(path) as file:
        file.seek(last_line(path)[1])
        tail = file.read(codec.MAX_JSON_BYTES)
    head = read_head(path) if tail else None
    return tail if head is not None and head.sha256 == _sha256(tail) else None


def read_history(path: Path) -> list[HistoryEntry]:
    """All entries, oldest first, without a half-written last line; raises ContractError for a line that is none."""
    return [codec.loads(HistoryEntry, line, where=f"{path} line {i}") for i, line in enumerate(lines_of(path), 1)]


def append_entry(
    path: Path, *, who: str, case: str, from_: Status, to: Status, comment: str, pinned: Pinned
) -> HistoryEntry:
    """Append one step, and renew the head; the caller holds the lock.

    Raises ContractError when the history does not end as its head says: a new step would hide that lines are gone.
    """
    last = _last_line(path)
    head = read_head(path)
    _check_end(path, last, head)
    entry = HistoryEntry(
        seq=0 if last is None else _entry(path, last).seq + 1,
        time=utc_now(),
        who=who,
        case=case,
        from_=from_,
        to=to,
        comment=comment,
        previous_sha256=_sha256(last),
    )
    line = codec.dumps(entry, where=str(path), indent=None)
    append_line(path, line)
    _write_head(path, entry, line.encode(), head, pinned)
    return entry


def renew_head(path: Path, case: str, to: Status, pinned: Pinned) -> None:
    """Write the head for a history whose last step was recorded by a process that ended right after it."""
    last = _last_line(path)
    head = read_head(path)
    _check_end(path, last, head)
    if last is not None:
        entry = _entry(path, last)
        _write_head(path, replace(entry, case=case, to=to), last, head, pinned)


class LastSteps:
    """Every case's last step; a history that has grown is read from where it had ended, so that n steps cost n."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = 0
        self._last = b""
        self._steps: dict[str, tuple[Status, Status]] = {}

    def of(self, case: str) -> tuple[Status, Status] | None:
        """From and to of the case's last step, None when it has none; raises ContractError for a line that is none."""
        if not (self._path.exists() or self._path.is_symlink()):
            self._forget()
            return None
        with open_regular(self._path) as file:
            file.seek(max(0, self._end - len(self._last)))
            # The same line at the same place: what lies before it is what was read.
            if file.read(len(self._last)) != self._last:
                self._forget()
            file.seek(self._end)
            lines = file.read(codec.MAX_JSON_BYTES).split(b"\n")[:-1]
        for line in lines:
            entry = _entry(self._path, line)
            self._steps[entry.case] = (entry.from_, entry.to)
            self._last = line + b"\n"
            self._end += len(self._last)
        return self._steps.get(case)

    def _forget(self) -> None:
        self._end = 0
        self._last = b""
        self._steps.clear()


def _last_line(path: Path) -> bytes | None:
    if path.exists() or path.is_symlink():
        with open_regular(path):  # Opening a pipe to look for its last line would wait for ever.
            pass
    if unended_line(path) is not None:  # An editor took the line end away; the line is whole, and must not be lost.
        with path.open("ab") as file:
            file.write(b"\n")
    return truncate_half_line(path)


def _entry(path: Path, line: bytes) -> HistoryEntry:
    return codec.loads(HistoryEntry, line, where=f"{path} last line")


def _check_end(path: Path, last: bytes | None, head: HistoryHead | None) -> None:
    if head is None or head.sha256 == _sha256(last):
        return
    # A process may have ended between the line and the head: then the last line follows from the one the head names.
    if last is not None and (entry := _entry(path, last)).previous_sha256 == head.sha256 and entry.seq == head.lines:
        return
    raise ContractError(
        f"{path}: does not end as {head_path(path).name} says: lines were changed or are gone; run `dataset check`, "
        f"and restore the file from a backup"
    )


def _write_head(path: Path, entry: HistoryEntry, line: bytes, before: HistoryHead | None, pinned: Pinned) -> None:
    labels = dict(before.labels) if before else {}
    labels.pop(entry.case, None)
    if entry.to == "approved" and pinned.label_sha256 is not None:
        labels[entry.case] = pinned.label_sha256
    organs = before.organs if before else ()
    if pinned.organs[: len(organs)] == organs:  # Organs may be added; another order is not accepted by a step.
        organs = pinned.organs
    head = HistoryHead(lines=entry.seq + 1, sha256=_sha256(line), organs=organs, labels=labels)
    codec.write(head, head_path(path))


def _sha256(line: bytes | None) -> str | None:
    return None if line is None else hashlib.sha256(line).hexdigest()
