"""Section 3, upper part: from what is chosen to a running job."""

import shutil
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.EstimateText import estimateText, tooLittleDisk
from OrganIncrementLib.Controllers.ModelWords import plainText
from OrganIncrementLib.Controllers.Planner import Order, Planner, filesMark
from OrganIncrementLib.Engine.JobRunner import JobRunner
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.TaskBar import TaskState
from OrganIncrementLib.Panels.TrainingPanel import TrainingPanel, TrainingState
from OrganIncrementLib.Workspace import WorkspaceError

_DEVICES = ("auto", "cuda", "cpu")


class TrainController:
    """Intent: started(job folder). `jobRuns`: asked before a second training is started beside the first."""

    def __init__(self, ui, services, teacher, dataset, inputs, methods, engine, organMap) -> None:
        self.panel = TrainingPanel(ui)
        self.started = Intent()
        self.jobRuns = lambda: False
        self._services, self._teacher, self._dataset, self._inputs = services, teacher, dataset, inputs
        self._methods, self._engine, self._parameters = methods, engine, None
        self._runner = JobRunner(services.engine)
        self._planner = Planner(services, self._onPlanned)
        self._start = BackgroundTask(self._onStarted)
        self._isWaiting, self._jobFolder, self._planPath = False, None, None
        self._organMap, self._notices = organMap, ()
        self.panel.startWanted.connect(self._onStart)
        self.panel.cancelStartWanted.connect(self._onCancel)
        self.panel.methodChosen.connect(self._onMethod)
        self.panel.presetChosen.connect(self._onPreset)
        self.panel.deviceChosen.connect(self._onDevice)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._parameters = parameters
        self.parametersModified()

    def detach(self) -> None:
        """The parameter node goes; what was about to start does not, the estimate is kept for the next time."""
        self._parameters, self._isWaiting = None, False

    def parametersModified(self) -> None:
        """Something else is chosen: plan anew, and show it."""
        if self._parameters is None:
            return
        self._planner.want(self._order() if not self._missing() else None)
        self._show()

    def tick(self) -> None:
        """Look after the plan and the start."""
        if self._planner.tick() | self._start.tick():
            self._show()

    def close(self) -> None:
        """The module goes."""
        self._planner.close()
        self._start.close()

    def _order(self) -> Order:
        p, inputs = self._parameters, self._inputs
        return Order(
            teachers=inputs.teachers,
            datasets=inputs.datasets,
            oldDatasets=inputs.oldDatasets,
            vault=inputs.vault,
            method=self._methods.name,
            preset=self._methods.preset,
            device=p.device if p.device in _DEVICES else "auto",
            include=("approved", "submitted", "draft") if p.includeUnapproved else ("approved",),
            changes=self._methods.changes(),
            merges=self._organMap.merges,
            files=tuple(filesMark(Path(path)) for path in (*inputs.datasets, *inputs.oldDatasets)),
        )

    def _missing(self) -> str:
        """What keeps a training from being planned, in a sentence."""
        hindrances = (self._teacher.hindrance, self._dataset.hindrance, self._inputs.hindrance)
        missing = [text for text in hindrances if text]
        if missing:
            return _("To start: {what}.").format(what="; ".join(missing))
        return self._engine.hindrance or self._methods.hindrance or self._noCases() or self._organMap.hindrance

    def _noCases(self) -> str:
        counts = self._inputs.counts()
        if counts.get("approved", 0):
            return ""
        others = counts.get("submitted", 0) + counts.get("draft", 0)
        if self._parameters.includeUnapproved and others:
            return ""
        if not others:
            return _("The dataset has no case to train on: add scans and labels first.")
        return _("No case of the dataset is approved: approve some in OrganReview, or include those not yet approved.")

    def _onStart(self) -> None:
        if self._missing() or self._parameters is None or self._start.running:
            return
        question = _("A training is running already. Two at a time take longer and need more memory. Start anyway?")
        if self.jobRuns() and not self._services.dialogs.confirm(question):
            return
        self._planner.want(self._order())  # another one, where cases were approved meanwhile
        isUsed = self._planner.plan is not None and self._planner.path is None
        if self._planner.problem or isUsed:
            self._planner.again()
        self._isWaiting = True
        if self._planner.plan is not None:
            self._launch()
        else:
            self._planner.now()
        self._show()

    def _onCancel(self) -> None:
        self._isWaiting = False
        self._start.cancel()
        self._show()

    def _onPlanned(self) -> None:
        problem = (self._planner.problem,) if self._planner.problem else ()
        heard = self._organMap.hear((*self._planner.notices, *problem))
        self._notices = heard[: len(heard) - len(problem)] if problem else heard
        if not self._isWaiting:
            return
        if self._planner.plan is not None:
            self._launch()
        else:
            self._isWaiting = False
            self._services.dialogs.error(
                _("The training cannot be planned. {reason}").format(reason=self._planner.problem)
            )

    def _launch(self) -> None:
        self._isWaiting = False
        try:
            problem = tooLittleDisk(self._planner.plan, self._freeBytes)
            self._jobFolder = None if problem else self._services.workspace.newJobFolder(self._jobName())
        except WorkspaceError as error:
            problem = str(error)
        if problem:
            self._services.dialogs.error(problem)
            return
        self._planPath = self._planner.take()
        self._start.start(self._runner.start(self._planPath, self._jobFolder), _("Starting"))

    def _jobName(self) -> str:
        organs = "-".join(organ.id for organ in self._dataset.entry.manifest.organs[:3])
        manifest = self._teacher.manifest
        return f"{manifest.name}+{organs}".replace("+", "-and-") if manifest else organs

    def _onStarted(self, command: Any) -> None:
        self._planPath.unlink(missing_ok=True)
        if command.state == "finished":
            self.started(self._jobFolder)
        elif command.state == "failed":
            self._services.dialogs.error(_("The training did not start. {reason}").format(reason=command.message))
            self._planner.again()
        else:  # cancelled: the trainer may have been started just before
            if (self._jobFolder / "plan.json").exists():
                self.started(self._jobFolder)

    def _onMethod(self, name: str) -> None:
        if self._parameters is not None:
            self._parameters.method = name

    def _onPreset(self, name: str) -> None:
        if self._parameters is not None:
            self._parameters.preset = name

    def _onDevice(self, name: str) -> None:
        if self._parameters is not None:
            self._parameters.device = name

    def _freeBytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._services.workspace.root).free
        except OSError:
            return None

    def _show(self) -> None:
        if self._parameters is None:
            return
        method = self._methods.method
        self.panel.show(
            TrainingState(
                methods=self._methods.choices(),
                method=self._methods.name,
                methodsHindrance=self._methods.hindrance,
                methodsPlaceholder=self._methods.name if not method else "",
                summary=method.summary if method else "",
                source=method.source if method else "",
                sourceUrl=method.url if method else "",
                presets=self._methods.presetChoices(),
                preset=self._methods.preset,
                devices=_deviceChoices(),
                device=self._parameters.device,
                estimate=self._estimate(),
                notices=self._notices if self._planner.plan is not None else (),
                missing=self._missing(),
                starting=self._starting(),
            )
        )

    def _starting(self) -> TaskState | None:
        if self._start.running:
            return self._start.state()
        if self._isWaiting:
            return self._planner.state or TaskState(text=_("Planning"))
        return None

    def _estimate(self) -> str:
        planner = self._planner
        if planner.plan is not None:
            return estimateText(planner.plan, self._engine.facts)
        if planner.problem:
            return _("⚠ This cannot be trained: {reason}").format(reason=plainText(planner.problem))
        return _("Estimating time and memory…") if planner.running else ""


def _deviceChoices() -> tuple[Choice, ...]:
    return (
        Choice(value="auto", text=_("Automatic (graphics card where there is one)")),
        Choice(value="cuda", text=_("Graphics card (CUDA)")),
        Choice(value="cpu", text=_("Processor (slow)")),
    )
