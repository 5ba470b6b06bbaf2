"""The module OrganIncrement: joins the controllers of its six sections."""

from typing import Any

from OrganIncrementLib.Controllers.AuditController import AuditController
from OrganIncrementLib.Controllers.DatasetController import DatasetController
from OrganIncrementLib.Controllers.EngineController import EngineController
from OrganIncrementLib.Controllers.ImportController import ImportController
from OrganIncrementLib.Controllers.InputsController import InputsController
from OrganIncrementLib.Controllers.JobsController import JobsController
from OrganIncrementLib.Controllers.LoadController import LoadController
from OrganIncrementLib.Controllers.MergeController import MergeController
from OrganIncrementLib.Controllers.MethodController import MethodController
from OrganIncrementLib.Controllers.OrganMapController import OrganMapController
from OrganIncrementLib.Controllers.ResultController import ResultController
from OrganIncrementLib.Controllers.ResultExportController import ResultExportController
from OrganIncrementLib.Controllers.SampleController import SampleController
from OrganIncrementLib.Controllers.SegmentController import SegmentController
from OrganIncrementLib.Controllers.TeacherController import TeacherController
from OrganIncrementLib.Controllers.TrainController import TrainController
from OrganIncrementLib.Controllers.VaultController import VaultController
from OrganIncrementLib.Logics.TrainingPlots import TrainingPlots
from OrganIncrementLib.Services import Services


class IncrementController:
    """Passes on what happens to each section's controller, in the order in which they build on one another."""

    def __init__(self, ui, services: Services | None = None) -> None:
        services = services or Services.forSlicer()
        self.engine = EngineController(ui, services)
        self.teacher = TeacherController(ui, services)
        self.load = LoadController(ui, services, self.teacher, self._engineHindrance)
        self.dataset = DatasetController(ui, services)
        self.samples = SampleController(services, self.teacher, self.dataset, self.engine)
        self.imports = ImportController(ui, services, self._engineHindrance)
        self.audits = AuditController(ui, services, self.teacher, self.dataset, self._engineHindrance)
        self.inputs = InputsController(ui, services, self.teacher, self.dataset)
        self.vault = VaultController(ui, services, self.teacher, self._engineHindrance)
        self.methods = MethodController(ui, services, self.inputs)
        self.organMap = OrganMapController(ui, services, self.teacher, self.inputs)
        self.training = TrainController(
            ui, services, self.teacher, self.dataset, self.inputs, self.methods, self.engine, self.organMap
        )
        self.jobs = JobsController(ui, services, TrainingPlots())
        self.result = ResultController(ui, services)
        self.segment = SegmentController(ui, services)
        self.resultExport = ResultExportController(ui, services, self.segment.view.shownResult, self._engineHindrance)
        self.merge = MergeController(ui, services, self.segment.view)
        self._parts = (
            self.engine, self.teacher, self.load, self.dataset, self.samples, self.imports, self.audits, self.methods,
            self.inputs, self.vault, self.organMap, self.training, self.jobs, self.result, self.segment,
            self.resultExport, self.merge,
        )  # fmt: skip
        self._isAttached = False
        self._connect()

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node."""
        self._isAttached = True
        for part in self._parts:
            part.attach(parameters)

    def detach(self) -> None:
        """The parameter node goes; what runs goes on."""
        self._isAttached = False
        for part in self._parts:
            part.detach()

    def parametersModified(self) -> None:
        """Something else is chosen."""
        if self._isAttached:
            for part in self._parts:
                part.parametersModified()

    def tick(self) -> None:
        """Look after what runs."""
        for part in self._parts:
            part.tick()

    def close(self) -> None:
        """The module goes, or is reloaded."""
        for part in self._parts:
            part.close()

    def _connect(self) -> None:
        self.dataset.engineHindrance = self._engineHindrance
        self.inputs.method = self._method
        self.vault.methods = self.methods.replaying
        self.training.jobRuns = self._jobRuns
        self.training.started.connect(self.jobs.began)
        self.jobs.ended.connect(self._onJobEnded)
        self.teacher.loaded.connect(self._modelsChanged)
        self.dataset.loaded.connect(self._modelsChanged)
        self.imports.imported.connect(self._onImported)
        self.engine.changed.connect(self._onEngineChanged)
        self.methods.changed.connect(self.parametersModified)
        self.organMap.changed.connect(self.parametersModified)
        self.segment.ended.connect(self.merge.modelsChanged)
        self.segment.ended.connect(self.resultExport.parametersModified)

    def _engineHindrance(self) -> str:
        return self.engine.hindrance

    def _method(self) -> Any:
        return self.methods.method

    def _jobRuns(self) -> bool:
        return self.jobs.running

    def _onImported(self, folder: Any) -> None:
        self.dataset.add(folder)
        self.parametersModified()

    def _onEngineChanged(self) -> None:
        if self.engine.facts is not None and self.engine.facts.ok:
            self.methods.askAgain()
        self.dataset.refresh()
        self.parametersModified()

    def _onJobEnded(self, path: Any, state: str) -> None:
        if state == "finished":
            self.teacher.refresh()
            self._modelsChanged()

    def _modelsChanged(self) -> None:
        for part in (self.result, self.segment, self.merge):
            part.modelsChanged()
        self.inputs.refresh()
        self.parametersModified()
