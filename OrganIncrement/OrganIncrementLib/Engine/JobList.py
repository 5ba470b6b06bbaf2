"""The jobs in a folder, each in a line: read from the two ends of its events, whatever lies between."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from organincrement.contract.codec import parse
from organincrement.contract.errors import ContractError
from organincrement.contract.events import Event, Failed, Started, Step, Warned, decode_event
from organincrement.contract.job import STATE_EVENTS, JobFolder, derive_state
from organincrement.contract.process import is_alive
from OrganIncrementLib.Engine.Paths import isFile
from OrganIncrementLib.Engine.Words import oneLine

_TYPE, _HEAD_BYTES = re.compile(rb'"type": "(\w+)"'), 120
_END_BYTES = 64 * 1024
_BEGINNING_BYTES = 16 * 1024


@dataclass(frozen=True)
class JobSummary:
    """One job for a table. state: as the contract's, or `unreadable`. message: why it failed, or its last warning.

    started: time of its first event, ISO 8601 in UTC, "" before. totalSteps and eta_s: None where not known.
    """

    path: Path
    name: str
    state: str
    method: str = ""
    message: str = ""
    step: int = 0
    totalSteps: int | None = None
    eta_s: float | None = None
    started: str = ""


class JobList:
    """The jobs below a folder, newest first; a job that did not change is not read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._known: dict[Path, tuple[object, JobSummary]] = {}

    def poll(self) -> list[JobSummary]:
        """All jobs as of now; empty where the folder is not there or cannot be read."""
        known: dict[Path, tuple[object, JobSummary]] = {}
        for path in jobFoldersIn(self.folder):
            signature = _signature(path)
            before = self._known.get(path)
            if before is not None and before[0] == signature:
                known[path] = (signature, refreshed(before[1]))
            else:
                known[path] = (signature, summaryOf(path))
        self._known = known
        jobs = [summary for _signature_, summary in known.values()]
        return sorted(jobs, key=lambda job: (job.started or "~", job.name), reverse=True)


def jobFoldersIn(folder: Path) -> list[Path]:
    """The folders of jobs in a folder, by name; none where it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if isFile(path / "plan.json"))
    except (OSError, ValueError):
        return []


def summaryOf(path: Path) -> JobSummary:
    """One job; a damaged one is `unreadable`, and its message says why. Nothing is raised."""
    try:
        return _summary(path)
    except (ContractError, OSError, ValueError) as error:
        return JobSummary(path=path, name=path.name, state="unreadable", message=oneLine(error, path))


def refreshed(summary: JobSummary) -> JobSummary:
    """The same job, whose files say the same: only its process may have ended without a word."""
    if summary.state not in ("running", "pausing", "cancelling"):
        return summary
    try:
        record = JobFolder(summary.path).process()
        if record is not None and is_alive(record):
            return summary
    except (ContractError, OSError):
        return summary
    return replace(summary, state="cancelled" if summary.state == "cancelling" else "interrupted")


def _summary(path: Path) -> JobSummary:
    job = JobFolder(path)
    plan = job.plan()
    record = job.process()
    alive = record is not None and is_alive(record)  # asked before its last words are read
    last = _lastOfEach(job.events_path)
    state = next((event for event in last.values() if event.type in STATE_EVENTS), None)
    newest = last.get("step")
    return JobSummary(
        path=path,
        name=path.name,
        state=derive_state(
            state.type if state else ("started" if last else None),
            alive=alive, pause=job.pause_requested, cancel=job.cancel_requested,
        ),
        method=plan.method,
        message=_message(state, last.get("warned")),
        step=max((_stepOf(event) for event in last.values()), default=0),
        totalSteps=plan.training.steps,
        eta_s=newest.eta_s if isinstance(newest, Step) else None,
        started=_firstTime(job.events_path),
    )  # fmt: skip


def _message(state: Event | None, warned: Event | None) -> str:
    if isinstance(state, Failed):
        return f"{state.message} {state.what_to_do}"
    return warned.message if isinstance(warned, Warned) else ""


def _stepOf(event: Event) -> int:
    if isinstance(event, Started):
        return event.resumed_from or 0
    return int(getattr(event, "step", 0))


def _lastOfEach(path: Path) -> dict[str, Event]:
    """The last event of each type, newest first, since the last `started`; damaged lines are passed over.

    Only the end of the file is looked at: where no state event is there, the job has been running all along.
    """
    found: dict[str, Event] = {}
    for line in _lastLines(path):
        kind = _TYPE.search(line, 0, _HEAD_BYTES)
        if kind is not None and kind[1].decode("ascii", "replace") in found:
            continue
        try:
            event = decode_event(line, path.name)
        except ContractError:
            continue
        found.setdefault(event.type, event)
        if isinstance(event, Started):  # what came before is void, or of another process
            break
    return found


def _lastLines(path: Path) -> list[bytes]:
    """Whole lines at the end of a file, the newest first."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _END_BYTES))
            lines = file.read(_END_BYTES).split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    return list(reversed(lines[1:] if size > _END_BYTES else lines))


def _firstTime(path: Path) -> str:
    try:
        with path.open("rb") as file:
            line, end, _rest = file.read(_BEGINNING_BYTES).partition(b"\n")
        first = parse(line, where=path.name) if end else {}
    except (FileNotFoundError, ContractError):
        return ""
    return str(first.get("t", "")) if isinstance(first, dict) else ""


def _signature(path: Path) -> tuple[object, ...]:
    """What changes when the job's line may."""
    parts: list[object] = []
    for name in ("plan.json", "events.jsonl", "process.json", "pause", "cancel"):
        try:
            found = (path / name).stat()
            # the heartbeat renews process.json; whether the process lives is asked anyway
            parts.append((found.st_mtime_ns, found.st_size) if name != "process.json" else True)
        except OSError:
            parts.append(None)
    return tuple(parts)
