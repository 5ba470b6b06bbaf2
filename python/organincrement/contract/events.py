"""events.jsonl: what a job reports, one line per event, tailed by any number of readers."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, ClassVar, Literal

from . import codec
from .clock import SteadyClock
from .errors import ContractError
from .files import BLOCK_BYTES, append_line, open_regular, truncate_half_line

MOST_PROBLEMS = 100  # of one file: a damaged one must not fill the memory of whoever watches it
_LINES_PER_LOOK = 16  # between two looks at the clock
_SEQ, _STEP, _HEAD_BYTES = b'{"seq": ', b'"type": "step", ', 120


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has: its number, gapless from 0, and its time in UTC."""

    seq: int
    t: str
    type: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """A process took the job up, with every `auto` resolved; `resumed_from` is a checkpoint's step or None."""

    type = "started"
    pid: int
    host: str
    device: str
    precision: str
    batch: int
    versions: dict[str, str]
    total_steps: int
    phases: tuple[str, ...]
    resumed_from: int | None


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """Progress, at most two a second; `data_wait` is the share of the step's time spent waiting for data, 0 to 1."""

    type = "step"
    phase: str
    step: int
    epoch: float
    losses: dict[str, float | None]
    total: float | None
    lr: float
    seconds_per_step: float
    eta_s: float | None
    data_wait: float
    ram_bytes: int
    gpu_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Validated(Event):
    """Dice per organ against the labels, and per old organ against the teacher; `best`: better than all before."""

    type = "validated"
    step: int
    dice: dict[str, float | None]
    agreement: dict[str, float | None]
    best: bool


@dataclass(frozen=True, kw_only=True)
class Checkpointed(Event):
    """A checkpoint is whole on disk; `file` is relative to the job folder."""

    type = "checkpointed"
    step: int
    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something the user should know; the job goes on."""

    type = "warned"
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Paused(Event):
    """The job wrote a checkpoint and its process ends."""

    type = "paused"
    step: int


@dataclass(frozen=True, kw_only=True)
class Cancelled(Event):
    """The job was given up."""

    type = "cancelled"
    step: int


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The student is whole; `package` is relative to the job folder."""

    type = "finished"
    package: str
    metrics: dict[str, Any]
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The job ended with an error."""

    type = "failed"
    code: Literal["out_of_memory", "disk_full", "bad_input", "diverged", "internal"]
    message: str
    what_to_do: str


EVENT_TYPES: dict[str, type[Event]] = {
    cls.type: cls for cls in (Started, Step, Validated, Checkpointed, Warned, Paused, Cancelled, Finished, Failed)
}


class EventWriter:
    """Appends events; opening it cuts off a half-written last line and goes on with the next number.

    Times never go back from one event to the next, whatever the computer's clock does.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        last = truncate_half_line(self.path)
        before = None if last is None else _decode(last, f"{self.path} last line")
        self._next_seq = 0 if before is None else before.seq + 1
        self._clock = SteadyClock(None if before is None else before.t)

    def write(self, type: str, **fields: Any) -> Event:
        """Append one event; raises ContractError for an unknown type or field, OSError (nothing written) when full."""
        if type not in EVENT_TYPES:
            raise ContractError(f"{self.path}: no event type {type!r}; there are {', '.join(EVENT_TYPES)}")
        values = codec.to_json({**fields, "seq": self._next_seq, "t": self._clock(), "type": type})
        event = codec.from_json(EVENT_TYPES[type], values, where=f"{self.path}: {type}")
        append_line(self.path, codec.dumps(event, indent=None))
        self._next_seq += 1
        return event


class EventTail:
    """Reads events as they are appended: each `poll` reads what is new and leaves a half-written line for later.

    problems: gaps in `seq` and lines that are no event, the first MOST_PROBLEMS of them. behind: whether the last
    `poll` ran out of time before it had read all.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self.behind = False
        self.offset = 0  # bytes read so far
        self._next_seq = 0
        self._line = 0

    def poll(self, seconds: float | None = None, wanted: Callable[[], bool] | None = None) -> list[Event]:
        """The events since the last call.

        Args: seconds: return after about so long, however much is left. wanted: asked at each step event; one that is
            not wanted is passed over without a look at its figures, unless it is the last before another event.
        """
        self.behind = False
        if not self.path.exists():
            return []
        end_s = None if seconds is None else time.monotonic() + seconds
        events: list[Event] = []
        passed: bytes | None = None
        with open_regular(self.path) as file:
            for count, line in enumerate(whole_lines(file, self.offset)):
                if end_s is not None and count % _LINES_PER_LOOK == 0 and count and time.monotonic() > end_s:
                    self.behind = True
                    break
                self.offset += len(line) + 1
                self._line += 1
                seq = _seq_of_step(line) if wanted is not None else None
                if seq is not None and wanted is not None and not wanted():
                    self._note_gap(seq)
                    passed = line
                    continue
                if passed is not None and seq is None:
                    events += self._events(passed, is_counted=True)
                passed = None
                events += self._events(line)
        return events if passed is None else events + self._events(passed, is_counted=True)

    def _events(self, line: bytes, *, is_counted: bool = False) -> list[Event]:
        """The line's event, none where it is damaged. Args: is_counted: its number is known already."""
        try:
            event = _decode(line, f"{self.path} line {self._line}")
        except ContractError as error:
            self._note(str(error))
            return []
        if not is_counted:
            self._note_gap(event.seq)
        return [event]

    def _note_gap(self, seq: int) -> None:
        if seq != self._next_seq:
            gap = f"seq goes from {self._next_seq - 1} to {seq}; events are missing"
            self._note(f"{self.path} line {self._line}: {gap}, copy the job folder again if it is a copy")
        self._next_seq = seq + 1

    def _note(self, problem: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def whole_lines(file: BufferedReader, offset: int) -> Iterator[bytes]:
    """The whole lines of a file from a place on, without their ends, read in blocks."""
    file.seek(offset)
    begun: list[bytes] = []  # of a line whose end is not read yet
    while block := file.read(BLOCK_BYTES):
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]


def decode_event(line: bytes, where: str) -> Event:
    """The event that a line stands for; raises ContractError, which names `where`, when it is none."""
    return _decode(line, where)


def _seq_of_step(line: bytes) -> int | None:
    """The number of a step event, as `EventWriter` writes it, without reading the rest; None for any other line."""
    if not line.startswith(_SEQ) or line.find(_STEP, len(_SEQ), _HEAD_BYTES) < 0 or not line.endswith(b"}"):
        return None
    digits = line[len(_SEQ) : line.find(b",")]
    return int(digits) if digits.isdigit() else None


def read_events(path: Path | str, problems: list[str] | None = None) -> list[Event]:
    """All events that count. Problems are appended to `problems`; without that list, the first raises ContractError."""
    tail = EventTail(path)
    events = without_void(tail.poll())
    if problems is None and tail.problems:
        raise ContractError(tail.problems[0])
    if problems is not None:
        problems += tail.problems
    return events


def without_void(events: Iterable[Event]) -> list[Event]:
    """The events that count: a resumed job repeats the steps after its checkpoint, so their first events are void."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, Started):
            kept = [earlier for earlier in kept if not is_void(earlier, event)]
        kept.append(event)
    return kept


def is_void(event: Event, started: Started) -> bool:
    """True when a later `started` makes this event void; a start from nothing voids every step."""
    return getattr(event, "step", -1) > (-1 if started.resumed_from is None else started.resumed_from)


def _decode(line: bytes, where: str) -> Event:
    data = codec.parse(line, where=where)
    name = data.get("type") if isinstance(data, dict) else None
    if name not in EVENT_TYPES:
        raise ContractError(f"{where}: type: {name!r} is no event type; update OrganIncrement")
    return codec.from_json(EVENT_TYPES[name], data, where=where)
