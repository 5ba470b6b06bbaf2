"""One job as it goes on, read from its folder in small bites: the window that shows it never waits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.job import JobFolder, JobStatus
from organincrement.contract.process import is_alive
from OrganIncrementLib.Engine.JobList import JobSummary, refreshed, summaryOf
from OrganIncrementLib.Engine.Paths import isFile
from OrganIncrementLib.Engine.Series import JobSeries, Point
from OrganIncrementLib.Engine.ViewerLock import ViewerLock
from OrganIncrementLib.Engine.Words import oneLine
from OrganIncrementLib.Translation import _

_OVER = ("finished", "cancelled")
_BYTES_OF_A_STEP = 300
_MOST_SHARE = 0.75  # of the time allowed goes into reading events; the rest is for files and plots


@dataclass(frozen=True)
class JobView:
    """A job at one moment, for a panel.

    series: name to points (step, value), at most 2000 each; the same object while nothing changes. catchingUp: older
    events are still being read, and only the state and the step are of now. alive: whether a process holds the job; one
    that is `created` is starting then. readOnly: another application watches this job, and has the buttons therefore.
    problem: for people, why the job's folder cannot be read, "" where it can.
    """

    status: JobStatus
    series: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    catchingUp: bool = False
    alive: bool = False
    readOnly: bool = False
    problem: str = ""


class JobWatcher:
    """Call `poll` from a timer, and `close` when the job is no longer shown; nothing is raised."""

    def __init__(self, jobFolder: Path) -> None:
        self.path = Path(jobFolder)
        self._lock = ViewerLock(self.path)
        self._view = JobView(status=JobStatus(state="created"))
        self._begin()

    def poll(self, budget_s: float = 0.02) -> JobView:
        """The job as of now; takes about `budget_s` seconds at most, however much there is to read."""
        try:
            if self._size() < self._job.bytes_read:
                self._begin()  # the folder was replaced by another copy
            self._view = self._look(budget_s)
        except (ContractError, OSError, ValueError) as error:
            self._view = self._withProblem(error)
        return self._view

    def close(self) -> None:
        """The job is not shown any longer: another application may have its buttons."""
        self._lock.release()

    def _begin(self) -> None:
        self._job = JobFolder(self.path)
        self._series = JobSeries()
        self._ahead: JobSummary | None = None

    def _size(self) -> int:
        try:
            return self._job.events_path.stat().st_size
        except FileNotFoundError:
            return 0

    def _look(self, budget_s: float) -> JobView:
        if not self._job.plan_path.is_file():
            raise ContractError(_("The job's folder {name} was moved or deleted.").format(name=self.path.name))
        if not self._job.is_behind:
            self._series.expect((self._size() - self._job.bytes_read) // _BYTES_OF_A_STEP)
        status, events = self._job.news(budget_s * _MOST_SHARE, self._series.wantsNextStep)
        for event in events:
            self._series.take(event)
        behind = self._job.is_behind
        if behind:
            status = self._asOfNow(status)
        else:
            self._ahead = None
        return JobView(
            status=status,
            series=self._series.asDict(),
            catchingUp=behind,
            alive=self._isAlive(status.state),
            readOnly=self._isReadOnly(status.state),
        )

    def _asOfNow(self, status: JobStatus) -> JobStatus:
        """State and step from the end of the events, while the ones before are still being read."""
        self._ahead = summaryOf(self.path) if self._ahead is None else refreshed(self._ahead)
        if self._ahead.state == "unreadable":
            return status
        return replace(status, state=self._ahead.state, step=self._ahead.step)  # type: ignore[arg-type]

    def _isAlive(self, state: str) -> bool:
        """Whether a process holds the job: its state tells, but for one that starts, or is about to end."""
        if state in ("running", "pausing", "cancelling"):
            return True
        record = self._job.process()
        return record is not None and is_alive(record)

    def _isReadOnly(self, state: str) -> bool:
        if state in _OVER:
            self._lock.release()
            return False
        return not self._lock.tryToHold()

    def _withProblem(self, error: Exception) -> JobView:
        """What was known last, and what is wrong now; a job that is not there does not run."""
        status = self._view.status
        gone = not isFile(self._job.plan_path)
        if gone:
            self._lock.release()
            if status.state not in (*_OVER, "failed"):
                status = replace(status, state="interrupted")
        return replace(self._view, status=status, problem=oneLine(error, self.path), catchingUp=False, alive=False)
