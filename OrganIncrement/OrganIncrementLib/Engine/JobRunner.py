"""Starting, pausing, resuming and cancelling trainings: each a command of the engine, or a flag in the job's folder."""

import socket
import time
from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.job import CACHE, JobFolder
from organincrement.contract.process import ProcessRecord, is_alive
from OrganIncrementLib.Engine.BackgroundCommand import BackgroundCommand
from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment
from OrganIncrementLib.Engine.JobList import summaryOf
from OrganIncrementLib.Engine.Paths import isFolder
from OrganIncrementLib.Engine.ProcessTree import killTree
from OrganIncrementLib.Engine.Progress import Progress
from OrganIncrementLib.Translation import _

_END_AFTER_S = 4.5  # the engine has four seconds for it, and all is to be over after five
_GIVE_UP_AFTER_S = 8.0


class JobError(ValueError):
    """A job cannot be paused or cancelled; the message is for people."""


class CancelCommand(BackgroundCommand):
    """`job cancel`: over when the job is cancelled and its process gone, whatever the command itself says.

    A trainer that has said its last word takes a moment to end, and without an engine nobody else would end it.
    """

    def __init__(
        self, command: list[str], environment: dict[str, str], job: JobFolder, trainer: ProcessRecord | None
    ) -> None:
        super().__init__(command, environment)
        self._job = job
        self._trainer = trainer
        self._asked_s = time.monotonic()

    @property
    def leftCopies(self) -> Path | None:
        """The folder with copies of scans that is still there although the job is cancelled."""
        folder = self._job.path / CACHE
        return folder if isFolder(folder) and not self.running and _isCancelled(self._job) else None

    def poll(self) -> Progress | None:
        """As of any command; goes on until the trainer is gone."""
        if self._tree is None and self.running:  # the engine could not be started
            self._end("failed")
        return super().poll()

    def _end(self, state: str) -> None:
        if state != "cancelled" and self._lingers():
            self.state = "running"  # asked again at the next poll
            return
        super()._end("finished" if state == "failed" and _isCancelled(self._job) else state)

    def _lingers(self) -> bool:
        """Whether the trainer is still there; it is ended after some seconds."""
        age_s = time.monotonic() - self._asked_s
        if self._trainer is None or age_s > _GIVE_UP_AFTER_S or not is_alive(self._trainer):
            return False
        if self._trainer.process_start is None:  # only its heartbeat tells, and that stays where the process has gone
            return self._job.process_path.exists()
        if age_s > _END_AFTER_S and self._trainer.host == socket.gethostname():
            killTree(self._trainer.pid)
        return True


class JobRunner:
    """The trainer is a process of its own that outlives Slicer; what is returned here only starts or ends it.

    The commands are started already: poll them until they no longer run, then look at `state` and `message`.
    """

    def __init__(self, engine: EngineEnvironment) -> None:
        self._engine = engine

    def start(self, planPath: Path, jobFolder: Path) -> BackgroundCommand:
        """Make the job of a plan and start its trainer; ends as soon as it is started, or was refused."""
        return self._engine.run("train", planPath, "--job", jobFolder, "--detach").start()

    def resume(self, jobFolder: Path) -> BackgroundCommand:
        """Go on with a paused, interrupted or failed job, in a new process."""
        return self._engine.run("job", "resume", jobFolder).start()

    def pause(self, jobFolder: Path) -> None:
        """Ask for a checkpoint and the end of the process; the job's state then becomes pausing, and paused.

        Raises: JobError where the job does not run, or its folder cannot be written.
        """
        job = JobFolder(Path(jobFolder))
        try:
            state = summaryOf(job.path).state
            if state not in ("running", "pausing", "created"):
                raise JobError(
                    _("The job {name} does not run, so there is nothing to pause.").format(name=job.path.name)
                )
            job.request_pause()
        except OSError as error:
            raise _cannotWrite(job, error) from error

    def cancel(self, jobFolder: Path) -> BackgroundCommand:
        """Give a job up: the flag is written at once; the command sees to it that no process is left after 5 s.

        Raises: JobError where the folder cannot be written.
        """
        job, engine = JobFolder(Path(jobFolder)), self._engine
        trainer = _processOf(job)  # before it sees the flag, and is gone
        try:
            job.request_cancel()
        except OSError as error:
            raise _cannotWrite(job, error) from error
        command = CancelCommand(engine.command("job", "cancel", jobFolder), engine.environment(), job, trainer)
        return command.start()


def _processOf(job: JobFolder) -> ProcessRecord | None:
    try:
        return job.process()
    except (ContractError, OSError):
        return None


def _isCancelled(job: JobFolder) -> bool:
    record = _processOf(job)
    return job.cancel_requested and (record is None or not is_alive(record))


def _cannotWrite(job: JobFolder, error: OSError) -> JobError:
    if not isFolder(job.path):
        return JobError(_("The job's folder {name} was moved or deleted: put it back, then try again.").format(
            name=job.path.name))  # fmt: skip
    return JobError(
        _("The job's folder {name} cannot be written ({reason}): make it writable, then try again.").format(
            name=job.path.name, reason=(error.strerror or str(error)).lower()
        )
    )
