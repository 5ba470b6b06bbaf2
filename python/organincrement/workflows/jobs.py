"""Starting, pausing, resuming and cancelling jobs: flags for the job's own process, and a new process where there is none."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from organincrement.contract.job import JobFolder
from organincrement.workflows.errors import WorkflowError

_CANCEL_WITHIN_S = 5.0
# the new process finds this very engine, whether it is installed or run from its folder
_ENGINE = str(Path(__file__).resolve().parents[2])


def start_detached(job: JobFolder) -> subprocess.Popen[bytes]:
    """Run a job in a process of its own session, which outlives this one.

    What it prints goes to process.log.
    """
    command = [sys.executable, "-m", "organincrement", "job", "run", str(job.path.absolute())]
    options: dict[str, object] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": os.pathsep.join([_ENGINE, os.environ.get("PYTHONPATH", "")])}
    with job.log_path.open("ab") as log:
        process = subprocess.Popen(  # type: ignore[call-overload]
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=True, env=environment, **options
        )
    return process


def resume(job: JobFolder) -> None:
    """Clear the way for a paused, interrupted or failed job to be run again.

    Raises: WorkflowError where it runs, is done, or was cancelled.
    """
    state = job.status().state
    if state not in ("created", "paused", "interrupted", "failed"):
        raise WorkflowError(
            f"{job.path.name}: the job is {state}; only a paused, interrupted or failed one can be resumed"
        )
    job.clear_pause()


def pause(job: JobFolder) -> None:
    """Ask for a checkpoint and the end of the process. Raises: WorkflowError where the job does not run."""
    state = job.status().state
    if state != "running":
        raise WorkflowError(f"{job.path.name}: the job is {state}, not running")
    job.request_pause()


def cancel(job: JobFolder) -> None:
    """Give a job up: ask its process, and after five seconds end it and its children. Returns when none is left."""
    state = job.status().state
    if state in ("finished", "cancelled"):
        raise WorkflowError(f"{job.path.name}: the job is {state} already")
    job.request_cancel()
    record = job.process()
    deadline = time.monotonic() + _CANCEL_WITHIN_S
    while job.status().state == "cancelling" and time.monotonic() < deadline:
        time.sleep(0.1)
    if record is not None and job.status().state == "cancelling":
        _end_tree(record.pid)


def _end_tree(pid: int) -> None:
    try:
        parent = psutil.Process(pid)
        tree = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in tree:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(tree, timeout=_CANCEL_WITHIN_S)


def default_job_folder(plan: Path) -> Path:
    """Where a plan's job goes when the user names no folder."""
    return plan.with_suffix(".job")
