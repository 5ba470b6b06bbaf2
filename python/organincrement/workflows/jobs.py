"""Starting, pausing, resuming and cancelling jobs: flags for the job's own process, a new one where there is none."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from organincrement.contract import codec
from organincrement.contract.files import locked
from organincrement.contract.job import CACHE, JobFolder
from organincrement.contract.process import ProcessRecord, is_alive, record_of
from organincrement.workflows.errors import WorkflowError

_ENDS_BY_ITSELF_WITHIN_S = 4.0  # so that a cancel takes five seconds at most
_KILLED_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.02
_OVER = ("finished", "cancelled")
# the new process finds this very engine, whether it is installed or run from its folder
_ENGINE = str(Path(__file__).resolve().parents[2])


def start_detached(job: JobFolder, threads: int | None = None) -> subprocess.Popen[bytes]:
    """Run a job in a process of its own session, which outlives this one.

    Args: threads: on how many it computes; None: as many as its environment says. What it prints goes to process.log.
    Raises: WorkflowError where a process runs it already, or was started to.
    """
    with locked(job.path / "process.lock"):  # of two that start one at the same moment, the second sees the first
        if record := _living(job):
            raise _run_already(job, record)
        process = _popen(job, threads)
        with suppress(OSError):  # a full disk: it says so itself
            if process.poll() is None:
                codec.write(record_of(process.pid), job.starting_path)
    return process


def _popen(job: JobFolder, threads: int | None) -> subprocess.Popen[bytes]:
    folder = job.path.absolute()
    # a relative path, so that its log tells nobody's folders; -P, so that no module is looked for beside the job
    command = [sys.executable, "-P", "-m", "organincrement", "job", "run", folder.name]
    options: dict[str, object] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    paths = [_ENGINE, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    environment = {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths)),
        "PYTHONWARNINGS": "ignore",  # a library's warning names the folder that it is installed in
        **({} if threads is None else {"OMP_NUM_THREADS": str(threads)}),
    }
    with job.log_path.open("ab") as log:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            command, cwd=folder.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **options
        )


def resume(job: JobFolder) -> None:
    """Clear the way for a paused, interrupted or failed job to be run again; its last process has ended then.

    Raises: WorkflowError where it runs, is done, or was cancelled.
    """
    if record := _starting(job):
        raise _run_already(job, record)
    state = job.status().state
    if state not in ("created", "paused", "interrupted", "failed") or (state == "created" and has_process(job)):
        to_do = _to_do(state, job) if state in _OVER else "only a paused, interrupted or failed one can be resumed"
        raise WorkflowError(f"{job.path.name}: the job is {_shown(state, job)}; {to_do}")
    deadline_s = time.monotonic() + _ENDS_BY_ITSELF_WITHIN_S
    while has_process(job):  # it has said its last word, and is about to end
        if time.monotonic() > deadline_s:
            raise WorkflowError(f"{job.path.name}: the job is {state}, but its process has not ended yet; try again")
        time.sleep(_LOOK_EVERY_S)
    job.clear_pause()


def pause(job: JobFolder) -> None:
    """Ask for a checkpoint and the end of the process. Raises: WorkflowError where the job does not run."""
    state = job.status().state
    begins = state not in _OVER and _starting(job)
    if state not in ("running", "pausing") and not begins and not (state == "created" and has_process(job)):
        raise WorkflowError(f"{job.path.name}: the job is {state}, not running; {_to_do(state, job)}".rstrip("; "))
    job.request_pause()


def cancel(job: JobFolder) -> str:
    """Give a job up: ask its process, and end it and its children where they take too long; none is left then.

    Its copies of scans go, too, and those that an earlier cancel left. Returns: cancelled, or finished where that came
    first. Raises: WorkflowError where the job is over already, its process, having been asked, is out of reach on
    another computer, or the copies cannot be deleted.
    """
    state = job.status().state
    if state == "finished" or (state == "cancelled" and not has_process(job) and not _copies(job)):
        raise WorkflowError(f"{job.path.name}: the job is {state} already; {_to_do(state, job)}")
    job.request_cancel()
    if record := _living(job):
        if record.host != socket.gethostname():
            raise WorkflowError(
                f"{job.path.name}: runs on {record.host}; it was asked to stop, and does at its next step"
            )
        _wait_or_end(record.pid)
    state = job.status().state
    if state == "cancelled":
        _delete_copies(job)
    return state


def has_process(job: JobFolder) -> bool:
    """Whether the process that runs a job, ran it last, or was started to run it, is alive."""
    return _living(job) is not None


def _living(job: JobFolder) -> ProcessRecord | None:
    if record := _starting(job):  # asked first: it is gone only once process.json is there
        return record
    record = job.process()
    return record if record is not None and is_alive(record) else None


def _starting(job: JobFolder) -> ProcessRecord | None:
    record = job.starting()
    if record is None or not is_alive(record):
        return None
    # where only heartbeats tell of a process, this one has none yet
    is_here = record.host == socket.gethostname()
    return record if not is_here or psutil.pid_exists(record.pid) else None


def _run_already(job: JobFolder, record: ProcessRecord) -> WorkflowError:
    return WorkflowError(f"{job.path.name}: process {record.pid} runs the job already; see `organincrement job status`")


def _copies(job: JobFolder) -> list[Path]:
    """Copies of scans and the half-written student, which nobody needs once a job was given up."""
    return [folder for folder in (job.path / CACHE, job.partial_student_path) if folder.exists()]


def _delete_copies(job: JobFolder) -> None:
    for folder in _copies(job):
        shutil.rmtree(folder, ignore_errors=True)
    if left := _copies(job):
        raise WorkflowError(
            f"{job.path.name}: the job is cancelled, but its folder {left[0].name} could not be deleted; delete it"
        )


def _shown(state: str, job: JobFolder) -> str:
    record = _living(job)
    if state in _OVER or record is None:
        return state
    return f"{'starting' if state == 'created' else state}, as process {record.pid}"


def _to_do(state: str, job: JobFolder) -> str:
    """What somebody can do whose command was refused in this state."""
    go_on = "`organincrement job resume` goes on"
    return {
        "created": "`organincrement job resume` starts it", "paused": go_on, "interrupted": go_on, "failed": go_on,
        "cancelled": "to start again, delete its folder, or make a job in another one",
        "finished": f"nothing is left to do; its package is {job.path.name}/{job.student_path.name}",
    }.get(state, "")  # fmt: skip


def _wait_or_end(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        tree = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(tree, timeout=_ENDS_BY_ITSELF_WITHIN_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=_KILLED_WITHIN_S)
