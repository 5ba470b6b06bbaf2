"""events.jsonl: what a job reports, one line per event, tailed by any number of readers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from . import codec
from .clock import SteadyClock
from .errors import ContractError
from .files import append_line, open_regular, truncate_half_line


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
    """Reads events as they are appended: each `poll` reads what is new and leaves a half-written line for later."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        self._offset = 0
        self._next_seq = 0
        self._line = 0

    def poll(self) -> list[Event]:
        """The events since the last call; gaps in `seq` and lines that are no event are added to `problems`."""
        if not self.path.exists():
            return []
        with open_regular(self.path) as file:
            file.seek(self._offset)
            lines = file.read().split(b"\n")[:-1]
        events = []
        for line in lines:
            self._offset += len(line) + 1
            self._line += 1
            try:
                event = _decode(line, f"{self.path} line {self._line}")
            except ContractError as error:
                self.problems.append(str(error))
                continue
            if event.seq != self._next_seq:
                gap = f"seq goes from {self._next_seq - 1} to {event.seq}; events are missing"
                self.problems.append(f"{self.path} line {self._line}: {gap}, copy the job folder again if it is a copy")
            self._next_seq = event.seq + 1
            events.append(event)
        return events


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
