"""What a dataset's history gives away: edited, lost, moved and added lines, and cases whose status it leaves open."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from . import codec
from .errors import ContractError
from .history import NEXT_STATUS, HistoryEntry, HistoryHead, head_path, lines_of, read_head, unended_line

RESTORE = "restore the file from a backup"
READS = 100  # of a history that is written to meanwhile: a writer syncs to the disk, so that a few are enough
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class HistoryFault:
    """One thing that is wrong (`problem`) or worth a look (`note`), in which file, and in which line (from 1)."""

    kind: Literal["problem", "note"] = "problem"
    file: str = "history.jsonl"
    line: int | None = None
    case: str | None = None
    text: str


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What dataset.json and the case files say: the organs' ids (None: not known), each case's status and label hash.

    `unread`: cases whose files could not be read.
    """

    statuses: Mapping[str, str]
    label_sha256: Mapping[str, str | None]
    unread: Collection[str] = ()
    organs: tuple[str, ...] | None = None


def history_faults(path: Path, recorded: Recorded) -> list[HistoryFault]:
    """All faults of a history, in the order of its lines, then those of its end, then those of the cases."""
    try:
        lines, head = _of_one_moment(path)
    except ContractError as error:
        return [HistoryFault(text=_reason(error, path))]
    faults: list[HistoryFault] = []
    lines += _unended(path, faults)
    if lines and lines[0].startswith(BYTE_ORDER_MARK):
        text = f"begins with a byte order mark, which an editor put there; save it as UTF-8 without one, or {RESTORE}"
        faults.append(HistoryFault(text=text))
        lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
    if lines and all(line.endswith(b"\r") for line in lines):
        text = f"has the line ends of Windows, which changes every line's hash; convert them back to LF, or {RESTORE}"
        faults.append(HistoryFault(text=text))
        lines = [line.removesuffix(b"\r") for line in lines]
    entries = list(_entries(path, lines, faults))
    faults += _chain_faults(lines, entries)
    reached: dict[str, str] = {}
    faults += _step_faults(entries, reached)
    faults.sort(key=lambda fault: fault.line or 0)
    faults += _end_faults(head_path(path).name, head, lines, recorded)
    faults += _case_faults(reached, recorded)
    return faults


def check_history(path: Path, statuses: Mapping[str, str]) -> list[str]:
    """Problems of a history, given every case's present status; an empty list when there are none."""
    faults = history_faults(path, Recorded(statuses=statuses, label_sha256={}))
    return [_line(path, fault) for fault in faults if fault.kind == "problem"]


def _line(path: Path, fault: HistoryFault) -> str:
    where = f"{path.with_name(fault.file)}{f' line {fault.line}' if fault.line else ''}"
    return f"{where}: {fault.text}"


def _of_one_moment(path: Path) -> tuple[list[bytes], HistoryHead | HistoryFault | None]:
    """The lines, and the head that they were read under: a colleague may record steps while they are being read.

    Whoever writes puts the line first and its head after it, so that under one head there is one line more at most.
    """
    head = _head(path)
    for _ in range(READS):
        lines = list(lines_of(path))
        before, head = head, _head(path)
        if head == before:
            break
    return lines, head


def _head(path: Path) -> HistoryHead | HistoryFault | None:
    """The head of a history, None where there is none; of one that is damaged, what is wrong with it."""
    try:
        return read_head(path)
    except ContractError as error:
        wrong = _reason(error, head_path(path)).rpartition("; ")[0]
        text = f"{wrong}; restore it from a backup, or delete it to trust the history as it is"
        return HistoryFault(file=head_path(path).name, text=text)


def _reason(error: ContractError, where: object) -> str:
    return str(error).removeprefix(f"{where}: ")


def _unended(path: Path, faults: list[HistoryFault]) -> list[bytes]:
    """A last line whose line end is gone, which is a fault of its own."""
    try:
        line = unended_line(path)
    except ContractError:  # A damaged head is a fault of the end.
        return []
    if line is None:
        return []
    text = f"its last line has lost its line end; put one line feed behind it, or {RESTORE}"
    faults.append(HistoryFault(text=text))
    return [line]


def _entries(
    path: Path, lines: Sequence[bytes], faults: list[HistoryFault]
) -> Iterator[tuple[int, HistoryEntry | None]]:
    """Each line with its number, None for a line that is no step, which is a fault."""
    for number, line in enumerate(lines, 1):
        where = f"{path} line {number}"
        try:
            yield number, codec.loads(HistoryEntry, line, where=where)
        except ContractError as error:
            faults.append(HistoryFault(line=number, text=_reason(error, where)))
            yield number, None


def _chain_faults(lines: Sequence[bytes], entries: Sequence[tuple[int, HistoryEntry | None]]) -> Iterator[HistoryFault]:
    previous: str | None = None
    last_seq = -1
    seen: dict[int, int] = {}
    for (number, entry), line in zip(entries, lines, strict=True):
        if entry is not None:
            if entry.previous_sha256 != previous or entry.seq != number - 1:
                text = f"does not follow from the line before; {RESTORE}"
                if entry.seq in seen:
                    text = f"does not follow from the line before, and repeats seq {entry.seq}; {RESTORE}"
                elif entry.seq > last_seq + 1:
                    text = f"does not follow from the line before: seq {last_seq + 1} is missing above it; {RESTORE}"
                yield HistoryFault(line=number, case=entry.case, text=text)
            seen.setdefault(entry.seq, number)
            last_seq = entry.seq
        previous = hashlib.sha256(line).hexdigest()


def _step_faults(entries: Sequence[tuple[int, HistoryEntry | None]], reached: dict[str, str]) -> Iterator[HistoryFault]:
    latest: datetime | None = None
    for number, entry in entries:
        if entry is None:
            continue
        if entry.from_ != reached.get(entry.case, "draft") or entry.to not in NEXT_STATUS[entry.from_]:
            text = f"case {entry.case} cannot go from {entry.from_} to {entry.to} here; {RESTORE}"
            yield HistoryFault(line=number, case=entry.case, text=text)
        reached[entry.case] = entry.to
        time = _time(entry.time)
        if time is None:
            yield HistoryFault(line=number, case=entry.case, text=f"{entry.time!r:.40} is no UTC time; {RESTORE}")
        elif latest is not None and time < latest:
            text = f"was recorded at {entry.time}, before a line above it; check the clocks of the computers in use"
            yield HistoryFault(kind="note", line=number, case=entry.case, text=text)
        latest = max((moment for moment in (time, latest) if moment), default=None)


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None


def _end_faults(
    name: str, head: HistoryHead | HistoryFault | None, lines: Sequence[bytes], recorded: Recorded
) -> Iterator[HistoryFault]:
    if isinstance(head, HistoryFault):
        yield head
        return
    if head is None:
        if lines:
            text = "is missing, so that lost or edited last lines are not seen; the next step recorded writes it"
            yield HistoryFault(kind="note", file=name, text=text)
        return
    yield from _head_faults(head, lines, name)
    if recorded.organs is not None and recorded.organs[: len(head.organs)] != head.organs:
        text = (
            f"its organs were {', '.join(head.organs)}, in this order, when cases were reviewed, so that labels mean "
        )
        text += f"others now; put them back and new ones behind, or delete {name} to accept the change"
        yield HistoryFault(file="dataset.json", text=text)
    for case, label in sorted(head.labels.items()):
        if recorded.statuses.get(case) == "approved" and recorded.label_sha256.get(case, label) != label:
            text = f"case {case} names another label than was approved; look at its label and submit it again"
            yield HistoryFault(file=f"cases/{case}.json", case=case, text=text)


def _head_faults(head: HistoryHead, lines: Sequence[bytes], name: str) -> Iterator[HistoryFault]:
    accept = f"{RESTORE}, or delete {name} to accept the history as it is"
    if not 0 <= head.lines <= len(lines):
        lost = head.lines - len(lines)
        yield HistoryFault(
            text=f"has {len(lines)} lines, but {name} counts {head.lines}: the last {lost} are gone; {accept}"
        )
    elif head.sha256 != (hashlib.sha256(lines[head.lines - 1]).hexdigest() if head.lines else None):
        yield HistoryFault(line=head.lines or None, text=f"is not the line that {name} knows: it was changed; {accept}")
    # One line more is what a process leaves that ended between the two writes; the next step mends it.
    elif len(lines) > head.lines + 1:
        more = len(lines) - head.lines
        text = f"has {more} lines that {name} does not know, written by hand or by another program; {accept}"
        yield HistoryFault(line=head.lines + 1, text=text)


def _case_faults(reached: Mapping[str, str], recorded: Recorded) -> Iterator[HistoryFault]:
    for case in sorted(reached.keys() - recorded.statuses.keys() - set(recorded.unread)):
        text = f"case {case} has a history but no file; restore cases/{case}.json from a backup"
        yield HistoryFault(case=case, text=text)
    for case, status in sorted(recorded.statuses.items()):
        end = reached.get(case, "draft")
        if status != end:
            text = f"case {case} is {status} but its history ends with {end}; review it again"
            yield HistoryFault(case=case, text=text)
