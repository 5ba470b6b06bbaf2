"""process.json: which process writes a job, and whether it still lives."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import codec
from .clock import SteadyClock
from .errors import ContractError
from .files import locked, utc_now

HEARTBEAT_EVERY_S = 2.0
DEAD_AFTER_S = 30.0
_SEVERAL_BEATS_S = 3 * HEARTBEAT_EVERY_S
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """The one writer of a job.

    `process_start`: seconds after the start of the computer, None where the system does not tell; with `boot_id` it
    makes sure that the number `pid` has not gone to another process. `heartbeat`: UTC, renewed every 2 s.
    """

    pid: int
    process_start: float | None
    boot_id: str | None
    host: str
    heartbeat: str

    def __post_init__(self) -> None:
        _age(self.heartbeat)


def this_process() -> ProcessRecord:
    """The record of the calling process, as of now."""
    return record_of(os.getpid())


def record_of(pid: int) -> ProcessRecord:
    """The record of a living process of this computer, as of now."""
    return ProcessRecord(
        pid=pid, process_start=_process_start(pid), boot_id=_boot_id(), host=socket.gethostname(), heartbeat=utc_now()
    )


def is_alive(record: ProcessRecord) -> bool:
    """Whether the recorded process still lives.

    On this computer the system is asked where it tells (Linux), so that a death shows at once; elsewhere a heartbeat
    older than 30 s is dead.
    """
    if _told_by_system(record):
        return record.boot_id == _boot_id() and _process_start(record.pid) == record.process_start
    return _age(record.heartbeat) <= timedelta(seconds=DEAD_AFTER_S)


def _told_by_system(record: ProcessRecord) -> bool:
    return record.host == socket.gethostname() and record.boot_id is not None and record.process_start is not None


def read_record(path: Path) -> ProcessRecord | None:
    """The record in a job's process.json, None when no process has claimed the job."""
    try:
        return codec.read(ProcessRecord, path)
    except ContractError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


@contextlib.contextmanager
def claimed(path: Path, every_s: float = HEARTBEAT_EVERY_S) -> Iterator[ProcessRecord]:
    """Be the one writer: write process.json, renew its heartbeat from a thread, and remove it at the end.

    Raises ContractError while another writer, in this process or another, lives.
    """
    with locked(path.with_name("process.lock")):
        other = read_record(path)
        if other is not None and is_alive(other) and not _silent_since_the_future(path, other):
            raise ContractError(
                f"{path.parent}: process {other.pid} on {other.host} is writing this job; wait for it or pause it"
            )
        record = this_process()
        codec.write(record, path)
    stopped = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, record, stopped, every_s), daemon=True, name="job-heartbeat")
    heart.start()
    try:
        yield record
    finally:
        stopped.set()
        heart.join()
        path.unlink(missing_ok=True)


def _beat(path: Path, record: ProcessRecord, stopped: threading.Event, every_s: float) -> None:
    clock = SteadyClock(record.heartbeat)  # a clock that goes back must not make a living process look dead
    while not stopped.wait(every_s):
        # A full disk must not end the heart: the trainer notices it and pauses the job, and the next beat may pass.
        with contextlib.suppress(OSError):
            codec.write(replace(record, heartbeat=clock()), path)


def _silent_since_the_future(path: Path, record: ProcessRecord) -> bool:
    """Whether a heartbeat that lies in the future, by a clock that went back since, is not renewed any more.

    Asked where only the heartbeat tells of a process: it would seem to live until the clock has caught up with it.
    """
    if _told_by_system(record) or _age(record.heartbeat) > timedelta(seconds=-HEARTBEAT_EVERY_S):
        return False
    end_s = time.monotonic() + _SEVERAL_BEATS_S
    while time.monotonic() < end_s:
        if read_record(path) != record:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def _age(heartbeat: str) -> timedelta:
    try:
        return datetime.now(UTC) - datetime.fromisoformat(heartbeat)
    except (ValueError, TypeError):
        raise ContractError(f"heartbeat {heartbeat!r} is not a UTC time in ISO 8601; remove process.json") from None


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _process_start(pid: int) -> float | None:
    """Seconds after boot at which a living process started; None when there is none, or the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold spaces; the state and the numbers follow its last parenthesis.
    fields = text.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):
        return None  # ended, only its parent has not asked for the result
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
