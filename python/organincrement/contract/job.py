"""A job folder: the plan, its flags, its process, its events, and the state that follows from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from . import codec
from .errors import ContractError
from .events import Event, EventTail, Failed, Started, Step, Validated, Warned, is_void
from .files import append_line, write_atomic
from .plan import Plan
from .process import ProcessRecord, claimed, is_alive, read_record

State = Literal[
    "created", "running", "pausing", "paused", "cancelling", "cancelled", "finished", "failed", "interrupted"
]
MOST_WARNINGS = 50  # the last ones: a job of days must not fill the memory of whoever watches it
CACHE = "cache"  # the folder with copies of patients' scans
STATE_EVENTS = ("started", "paused", "cancelled", "finished", "failed")


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """A job at one moment, for people and panels; None where nothing is known yet.

    `last_event` may be of any type; `failure`, `validated` and `progress` are the last of their kind that count.
    `warnings`: the last MOST_WARNINGS. `problems` lists gaps and damaged lines of the events, the first of them.
    """

    state: State
    step: int = 0
    started: Started | None = None
    progress: Step | None = None
    validated: Validated | None = None
    failure: Failed | None = None
    warnings: tuple[str, ...] = ()
    last_event: Event | None = None
    problems: tuple[str, ...] = ()

    @property
    def total_steps(self) -> int | None:
        """Steps that the job takes in all."""
        return self.started.total_steps if self.started else None

    @property
    def phase(self) -> str | None:
        """The training phase of the last step."""
        return self.progress.phase if self.progress else None

    @property
    def eta_s(self) -> float | None:
        """Seconds that the job still needs, by its last step."""
        return self.progress.eta_s if self.progress else None

    @property
    def losses(self) -> dict[str, float | None]:
        """Named loss terms of the last step."""
        return self.progress.losses if self.progress else {}

    @property
    def message(self) -> str:
        """Why the job failed and what to do, or else its last warning; empty when there is nothing to say."""
        if self.failure:
            return f"{self.failure.message.rstrip('.')}. {self.failure.what_to_do}"
        return self.warnings[-1] if self.warnings else ""


class JobFolder:
    """A job on disk; any number of readers, one writer (`claim_writer`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan_path = path / "plan.json"
        self.process_path = path / "process.json"
        self.starting_path = path / "starting.json"
        self.events_path = path / "events.jsonl"
        self.log_path = path / "process.log"
        self.reads_log = path / "reads.log"
        self.pause_path = path / "pause"
        self.cancel_path = path / "cancel"
        self.checkpoint_path = path / "checkpoint"
        self.student_path = path / "student"
        self.partial_student_path = path / "student.partial"
        self._tail = EventTail(self.events_path)
        self._seen = _Digest(status=JobStatus(state="created"))

    @classmethod
    def create(cls, path: Path | str, plan_bytes: bytes) -> "JobFolder":
        """Make a job from the bytes of its plan; raises ContractError when there is one already or the plan is none."""
        job = cls(Path(path))
        codec.loads(Plan, plan_bytes, where=str(job.plan_path))
        if job.plan_path.exists():
            raise ContractError(f"{path}: holds a job already; resume it or choose another folder")
        job.path.mkdir(parents=True, exist_ok=True)
        write_atomic(job.plan_path, plan_bytes)
        return job

    @classmethod
    def open(cls, path: Path | str) -> "JobFolder":
        """Open a job; raises ContractError when there is none."""
        job = cls(Path(path))
        if not job.plan_path.is_file():
            raise ContractError(f"{path}: holds no job (no plan.json); choose a folder that `train --job` made")
        return job

    def plan(self) -> Plan:
        """The plan."""
        return codec.read(Plan, self.plan_path)

    def request_pause(self) -> None:
        """Ask the writer to save a checkpoint and end."""
        self.pause_path.touch()

    def clear_pause(self) -> None:
        """Take the request to pause back, before a resume."""
        self.pause_path.unlink(missing_ok=True)

    def request_cancel(self) -> None:
        """Ask the writer to give the job up."""
        self.cancel_path.touch()

    @property
    def pause_requested(self) -> bool:
        """Whether a pause has been asked for."""
        return self.pause_path.exists()

    @property
    def cancel_requested(self) -> bool:
        """Whether a cancel has been asked for."""
        return self.cancel_path.exists()

    def log_read(self, case_id: str, sha256: str) -> None:
        """Record that a data file was opened."""
        append_line(self.reads_log, f"{case_id} {sha256}")

    def process(self) -> ProcessRecord | None:
        """The writer, living or not; None when no process holds the job."""
        return read_record(self.process_path)

    def starting(self) -> ProcessRecord | None:
        """The process that was started to be the writer, living or not; None where it has become that, or none was."""
        try:
            return read_record(self.starting_path)
        except ContractError:  # damaged: the process itself will claim the job, or not
            return None

    def status(self) -> JobStatus:
        """The job's state and progress; call it as often as you like, it reads only what is new.

        Of steps in a row only the last one's figures are looked at: a log of a job of days is read in a moment.
        """
        return self.news(wanted=lambda: False)[0]

    def news(
        self, seconds: float | None = None, wanted: Callable[[], bool] | None = None
    ) -> tuple[JobStatus, list[Event]]:
        """The status, and the events since the last call of this or `status`.

        Args: as of `EventTail.poll`. Where the time does not suffice, `is_behind` tells that the status is an old one.
        """
        # The process is asked first: an event that it writes just before its end must not be missed.
        record = self.process()
        alive = record is not None and is_alive(record)
        events = self._tail.poll(seconds, wanted)
        for event in events:
            self._seen = _with_event(self._seen, event)
        state = derive_state(
            self._seen.state_event, alive=alive, pause=self.pause_requested, cancel=self.cancel_requested
        )
        return replace(self._seen.status, state=state, problems=tuple(self._tail.problems)), events

    @property
    def is_behind(self) -> bool:
        """Whether the last `news` ran out of time before it had read all events."""
        return self._tail.behind

    @property
    def bytes_read(self) -> int:
        """How much of events.jsonl has been read."""
        return self._tail.offset


@contextmanager
def claim_writer(job: JobFolder) -> Iterator[ProcessRecord]:
    """Be the job's one writer for a `with` block; raises ContractError while another one lives."""
    with claimed(job.process_path) as record:
        with suppress(OSError):  # on Windows while somebody reads it; it names this process
            job.starting_path.unlink(missing_ok=True)
        yield record


def derive_state(state_event: str | None, *, alive: bool, pause: bool, cancel: bool) -> State:
    """The state of a job by the type of its last state event, its flags, and whether its process lives."""
    if state_event == "finished":
        return "finished"
    if state_event == "cancelled" or (cancel and not alive):
        return "cancelled"
    if state_event == "failed":
        return "failed"
    if cancel:
        return "cancelling"
    if state_event == "paused":
        return "paused"
    if state_event is None:
        return "created"
    if not alive:
        return "interrupted"
    return "pausing" if pause else "running"


@dataclass(frozen=True, kw_only=True)
class _Digest:
    """What is kept of the events read so far."""

    status: JobStatus
    state_event: str | None = None


def _with_event(seen: _Digest, event: Event) -> _Digest:
    """The digest after one more event."""
    status = replace(seen.status, last_event=event, step=getattr(event, "step", seen.status.step))
    match event:
        case Started():
            status = replace(
                status,
                started=event,
                step=event.resumed_from or 0,
                progress=None if status.progress and is_void(status.progress, event) else status.progress,
                validated=None if status.validated and is_void(status.validated, event) else status.validated,
                failure=None,
            )
        case Step():
            status = replace(status, progress=event)
        case Validated():
            status = replace(status, validated=event)
        case Warned():
            status = replace(status, warnings=(*status.warnings, event.message)[-MOST_WARNINGS:])
        case Failed():
            status = replace(status, failure=event)
    return _Digest(status=status, state_event=event.type if event.type in STATE_EVENTS else seen.state_event)
