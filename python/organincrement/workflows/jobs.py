"""Starting, pausing, resuming and cancelling jobs: flags for the job's own process, a new one where there is none."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from organincrement.contract.job import JobFolder
from organincrement.contract.process import is_alive
from organincrement.workflows.errors import WorkflowError

_ENDS_BY_ITSELF_WITHIN_S = 4.0  # so that a cancel takes five seconds at most
_KILLED_WITHIN_S = 1.0
_LOOK_EVERY_S = 0.02
# the new process finds this very engine, whether it is installed or run from its folder
_ENGINE = str(Path(__file__).resolve().parents[2])


def start_detached(job: JobFolder, threads: int | None = None) -> subprocess.Popen[bytes]:
    """Run a job in a process of its own session, which outlives this one.

    Args: threads: on how many it computes; None: as many as its environment says. What it prints goes to process.log.
    """
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
        process = subprocess.Popen(  # type: ignore[call-overload]
            command, cwd=folder.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, **options
        )
    return process


def resume(job: JobFolder) -> None:
    """Clear the way for a paused, interrupted or failed job to be run again; its last process has ended then.

    Raises: WorkflowError where it runs, is done, or was cancelled.
    """
    state = job.status().state
    if state not in ("created", "paused", "interrupted", "failed") or (state == "created" and has_process(job)):
        raise WorkflowError(
            f"{job.path.name}: the job is {_shown(state, job)}; only a paused, interrupted or failed one can be resumed"
        )
    deadline_s = time.monotonic() + _ENDS_BY_ITSELF_WITHIN_S
    while has_process(job):  # it has said its last word, and is about to end
        if time.monotonic() > deadline_s:
            raise WorkflowError(f"{job.path.name}: the job is {state}, but its process has not ended yet; try again")
        time.sleep(_LOOK_EVERY_S)
    job.clear_pause()


def pause(job: JobFolder) -> None:
    """Ask for a checkpoint and the end of the process. Raises: WorkflowError where the job does not run."""
    state = job.status().state
    if state not in ("running", "pausing") and not (state == "created" and has_process(job)):
        raise WorkflowError(f"{job.path.name}: the job is {state}, not running")
    job.request_pause()


def cancel(job: JobFolder) -> str:
    """Give a job up: ask its process, and end it and its children where they take too long; none is left then.

    Returns: cancelled, or finished where that came first. Raises: WorkflowError where the job is over already, or its
    process, having been asked, is out of reach on another computer.
    """
    state = job.status().state
    if state == "finished" or (state == "cancelled" and not has_process(job)):
        raise WorkflowError(f"{job.path.name}: the job is {state} already")
    job.request_cancel()
    record = job.process()
    if record is not None and is_alive(record):
        if record.host != socket.gethostname():
            raise WorkflowError(
                f"{job.path.name}: runs on {record.host}; it was asked to stop, and does at its next step"
            )
        _wait_or_end(record.pid)
    return job.status().state


def has_process(job: JobFolder) -> bool:
    """Whether the process that runs a job, or ran it last, is alive."""
    record = job.process()
    return record is not None and is_alive(record)


def _shown(state: str, job: JobFolder) -> str:
    return "starting" if state == "created" and has_process(job) else state


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
