"""The review history of a dataset: an append-only chain of lines, each with the hash of the one before."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import codec
from .errors import ContractError
from .files import append_line, read_bytes, truncate_half_line, utc_now

Status = Literal["draft", "submitted", "approved", "flagged"]

# What may follow a status; a label that changes after its approval is submitted again.
NEXT_STATUS: dict[str, tuple[Status, ...]] = {
    "draft": ("submitted",),
    "submitted": ("approved", "flagged"),
    "approved": ("submitted",),
    "flagged": ("submitted",),
}


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


def read_history(path: Path) -> list[HistoryEntry]:
    """All entries, oldest first, without a half-written last line; raises ContractError for a line that is none."""
    return [codec.loads(HistoryEntry, line, where=f"{path} line {i}") for i, line in enumerate(_lines(path), 1)]


def append_entry(path: Path, *, who: str, case: str, from_: Status, to: Status, comment: str) -> HistoryEntry:
    """Append one step; the caller holds the lock."""
    last = truncate_half_line(path)
    entry = HistoryEntry(
        seq=0 if last is None else codec.loads(HistoryEntry, last, where=f"{path} last line").seq + 1,
        time=utc_now(),
        who=who,
        case=case,
        from_=from_,
        to=to,
        comment=comment,
        previous_sha256=None if last is None else hashlib.sha256(last).hexdigest(),
    )
    append_line(path, codec.dumps(entry, where=str(path), indent=None))
    return entry


def check_history(path: Path, statuses: Mapping[str, str]) -> list[str]:
    """Problems of a history, given every case's present status; an empty list when there are none."""
    problems = []
    reached: dict[str, str] = {}
    previous: str | None = None
    for number, line in enumerate(_lines(path), 1):
        where = f"{path} line {number}"
        try:
            entry = codec.loads(HistoryEntry, line, where=where)
        except ContractError as error:
            problems.append(str(error))
        else:
            if entry.seq != number - 1 or entry.previous_sha256 != previous:
                problems.append(f"{where}: does not follow from the line before; restore the file from a backup")
            if entry.from_ != reached.get(entry.case, "draft") or entry.to not in NEXT_STATUS[entry.from_]:
                step = f"from {entry.from_} to {entry.to}"
                problems.append(f"{where}: case {entry.case} cannot go {step} here; review it again")
            reached[entry.case] = entry.to
        previous = hashlib.sha256(line).hexdigest()
    for case in sorted(reached.keys() - statuses.keys()):
        problems.append(f"{path}: case {case} has a history but no file; restore cases/{case}.json from a backup")
    for case, status in sorted(statuses.items()):
        recorded = reached.get(case, "draft")
        if status != recorded:
            problems.append(f"{path}: case {case} is {status} but its history ends with {recorded}; review it again")
    return problems


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        yield from read_bytes(path, codec.MAX_JSON_BYTES).split(b"\n")[:-1]
