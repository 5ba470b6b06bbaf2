"""How a job ends when it cannot go on: out of room on the disk, its folder gone, or failed."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.events import EventWriter
from organincrement.contract.files import append_line
from organincrement.contract.job import CACHE, JobFolder
from organincrement.contract.plan import input_path
from organincrement.training.checkpoint import delete_all_but_newest
from organincrement.training.signals import DiskFull
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.failures import failure_of, where_it_arose, without_places
from organincrement.workflows.shared_cases import forget_shared_cases


def room_needed(job: JobFolder, error: Exception) -> str:
    """For people: the disk is full, and what it takes."""
    needed_bytes = error.needed_bytes if isinstance(error, DiskFull) else 0
    if not needed_bytes:
        with suppress(ContractError):
            needed_bytes = job.plan().estimate.disk_bytes or 0
    return f"the disk is full: about {max(1, round(needed_bytes / 2**20))} MiB are needed; free space and resume"


def pause_for_room(job: JobFolder, events: EventWriter, error: Exception) -> None:
    """Say how much room is needed, and stand still: the last good checkpoint is on disk.

    What jobs share goes; where there is no room even for saying so, older checkpoints, then the job's cache. Raises:
    WorkflowError where that does not help either: the job then is interrupted, and can be resumed as well.
    """
    shutil.rmtree(job.partial_student_path, ignore_errors=True)
    message, step = room_needed(job, error), job.status().step
    makers_of_room: list[Callable[[], object]] = [
        lambda: forget_shared_cases(job.path.parent),
        lambda: delete_all_but_newest(job.checkpoint_path),
        lambda: shutil.rmtree(job.path / CACHE, ignore_errors=True),
    ]
    words: list[tuple[str, dict[str, object]]] = [
        ("warned", {"code": "disk_full", "message": message}),
        ("paused", {"step": step}),
    ]
    for make_room in makers_of_room:
        with suppress(OSError):
            make_room()
            while words:
                events.write(words[0][0], **words[0][1])
                words.pop(0)
            return
    raise WorkflowError(f"{job.path.name}: {message}") from error


def fail(job: JobFolder, events: EventWriter, error: Exception) -> None:
    """The job's last words: whatever went wrong is an event, and where it went wrong is in process.log.

    Raises: WorkflowError where the job's folder is no longer there to write into.
    """
    if not job.plan_path.exists():
        raise WorkflowError(
            f"{job.path.name}: the job's folder was moved or deleted while it ran; resume it where it is now"
        ) from error
    names = input_folders(job)
    failure = failure_of(error, names)
    with suppress(OSError):
        events.write("failed", code=failure.code, message=failure.message, what_to_do=failure.what_to_do)
        if failure.code == "internal":
            for line in where_it_arose(error, names):
                append_line(job.log_path, line)


def input_folders(job: JobFolder) -> list[Path]:
    """What a message of this job may name a file in."""
    with suppress(ContractError):
        return [job.path, *(input_path(job.plan_path, i) for i in job.plan().inputs)]
    return [job.path]


def retold(error: Exception, names: list[Path]) -> Exception:
    """The same error for people, of a kind that ends a command with the same exit code, without anybody's folders."""
    message = without_places(error, names)
    refused = isinstance(error, ValueError | FileNotFoundError | PermissionError)
    return WorkflowError(message) if refused else RuntimeError(message)
