"""Section 3, lower part: the list of jobs, and the one that is shown while it runs."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.JobText import jobRow, progressState
from OrganIncrementLib.Engine.JobList import JobList
from OrganIncrementLib.Engine.JobRunner import JobError, JobRunner
from OrganIncrementLib.Engine.JobWatcher import JobView, JobWatcher
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.JobsPanel import JobsPanel, JobsState
from OrganIncrementLib.Panels.ProgressPanel import ProgressPanel, ProgressState

_LIST_EVERY_S = 1.0
_PLOT_EVERY_S = 1.0
_SILENT_AFTER_S = 15.0
_ACTIVE = ("running", "pausing", "cancelling")
_OVER = ("finished", "cancelled")


class JobsController:
    """Intent: ended(job folder, state), when a job of the list is finished or cancelled."""

    def __init__(self, ui, services, plots) -> None:
        self.panel, self.progressPanel = JobsPanel(ui), ProgressPanel(ui)
        self.ended = Intent()
        self._services, self._plots, self._parameters = services, plots, None
        self._runner = JobRunner(services.engine)
        self._list = JobList(services.workspace.jobsFolder)
        self._jobs: list[Any] = []
        self._listAt_s = self._plotAt_s = self._shownSince_s = 0.0
        self._path: Path | None = None
        self._watcher: JobWatcher | None = None
        self._view: JobView | None = None
        self._plotsShown, self._plotted = False, None
        self._resume, self._cancel = BackgroundTask(self._onResumed), BackgroundTask(self._onCancelled)
        self.panel.jobChosen.connect(self.choose)
        self.progressPanel.pauseWanted.connect(self._onPause)
        self.progressPanel.resumeWanted.connect(self._onResume)
        self.progressPanel.cancelWanted.connect(self._onCancel)
        self.progressPanel.plotsToggled.connect(self.showPlots)

    @property
    def running(self) -> bool:
        """Whether any job of the list runs."""
        return any(job.state in _ACTIVE for job in self._jobs)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node: show its job, or else one that runs, or the newest."""
        self._parameters = parameters
        self._readList()
        known = [str(job.path) for job in self._jobs]
        shown = str(self._path) if self._path is not None else ""
        candidates = [parameters.jobPath, shown, *(str(j.path) for j in self._jobs if j.state in _ACTIVE), *known]
        chosen = next((path for path in candidates if path in known), "")
        if parameters.jobPath != chosen:
            parameters.jobPath = chosen
        self.parametersModified()
        if self._plotsShown:  # a closed scene took them away
            self.showPlots(True)

    def detach(self) -> None:
        """The parameter node goes; the job is watched on."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Another job may be chosen."""
        if self._parameters is None:
            return
        path = Path(self._parameters.jobPath) if self._parameters.jobPath else None
        if path != self._path:
            self._watch(path)
        self._show()

    def tick(self) -> None:
        """Look at the list now and then, at the shown job each time."""
        changed = self._resume.tick() | self._cancel.tick()
        if time.monotonic() >= self._listAt_s:
            self._readList()
            self._showList()
        if changed:
            self._show()
        if self._watcher is None:
            return
        before, self._view = self._view, self._watcher.poll()
        self._showProgress()
        if before is not None and before.status.state != self._view.status.state:
            self._readList()
            self._showList()
        self._plot()

    def close(self) -> None:
        """The module goes; the jobs go on."""
        self._resume.close()
        self._cancel.close()
        self._watch(None)
        self._plots.remove()

    def choose(self, path: Path | str) -> None:
        """Show a job of the list; parametersModified follows."""
        if self._parameters is not None and self._parameters.jobPath != str(path):
            self._parameters.jobPath = str(path)

    def began(self, path: Path | str) -> None:
        """A job was just started: show it, and its plots."""
        self._readList()
        self.choose(path)
        self.showPlots(True)

    def showPlots(self, shown: bool) -> None:
        """Show the plots beside the scan, or the views without them again."""
        self._plotsShown = bool(shown)
        self._plotted = None
        if shown:
            self._plots.update(_drawable(self._view.series) if self._view is not None else {})
            self._plots.showIn()
        else:
            self._plots.remove()
        self._show()

    def _watch(self, path: Path | None) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._path, self._view, self._plotted = path, None, None
        self._watcher = JobWatcher(path) if path is not None else None
        self._shownSince_s = time.monotonic()

    def _readList(self) -> None:
        self._listAt_s = time.monotonic() + _LIST_EVERY_S
        before = {job.path: job.state for job in self._jobs}
        self._jobs = self._list.poll()
        for job in self._jobs:
            if job.state in _OVER and before.get(job.path, job.state) not in _OVER:
                self.ended(job.path, job.state)

    def _plot(self) -> None:
        if not self._plotsShown or self._view.series is self._plotted or time.monotonic() < self._plotAt_s:
            return
        self._plotAt_s = time.monotonic() + _PLOT_EVERY_S
        self._plotted = self._view.series
        self._plots.update(_drawable(self._view.series))

    def _onPause(self) -> None:
        if self._path is None:  # its folder went while the button was under the mouse
            return
        try:
            self._runner.pause(self._path)
        except JobError as error:
            self._services.dialogs.error(str(error))

    def _onResume(self) -> None:
        if self._path is not None and not self._resume.running:
            self._resume.start(self._runner.resume(self._path), _("Going on"))
            self._show()

    def _onCancel(self) -> None:
        if self._path is None:
            return
        question = _("Give up the training {name}? What it has learned so far is lost.").format(name=self._path.name)
        if not self._services.dialogs.confirm(question):
            return
        try:
            self._cancel.start(self._runner.cancel(self._path), _("Cancelling"))
        except JobError as error:
            self._services.dialogs.error(str(error))
        self._show()

    def _onResumed(self, command: Any) -> None:
        if command.state == "failed":
            self._services.dialogs.error(_("The job cannot go on. {reason}").format(reason=command.message))
        self._show()

    def _onCancelled(self, command: Any) -> None:
        if command.state == "failed":
            self._services.dialogs.error(_("The job was not cancelled. {reason}").format(reason=command.message))
        elif left := command.leftCopies:
            text = _("The training was given up, but copies of its scans could not be deleted: delete {path}.")
            self._services.dialogs.error(text.format(path=left))
        self._show()

    def _show(self) -> None:
        self._showList()
        self._showProgress()

    def _showProgress(self) -> None:
        if self._path is None:
            self.progressPanel.show(ProgressState())
            return
        if self._view is None:
            self._view = self._watcher.poll()
        busy = self._resume.text if self._resume.running else self._cancel.text if self._cancel.running else ""
        isSilent = time.monotonic() - self._shownSince_s > _SILENT_AFTER_S
        self.progressPanel.show(
            progressState(self._path, self._view, busyWith=busy, plotsShown=self._plotsShown, isSilent=isSilent)
        )

    def _showList(self) -> None:
        shown = str(self._path) if self._path is not None else ""
        self.panel.show(JobsState(rows=tuple(jobRow(job) for job in self._jobs), shown=shown))


def _drawable(series: Mapping[str, tuple]) -> dict[str, tuple]:
    """The series as a plot can draw them: a line of one point is an error to VTK, and twice the same point a dot."""
    return {name: points * 2 if len(points) == 1 else points for name, points in series.items()}
