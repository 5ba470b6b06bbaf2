"""Section 4: compares the student with its teacher, goes back to ancestors, exports packages."""

from dataclasses import replace
from pathlib import Path

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.FolderOpener import openFolder
from OrganIncrementLib.Controllers.ModelExport import FILE, askTarget, exportChoices, exportedText, exportOf
from OrganIncrementLib.Controllers.StudentFigures import aboutStudent, evaluationFolder, teacherOf, withoutStudent
from OrganIncrementLib.Controllers.StudentWords import modelChoices
from OrganIncrementLib.Engine.BackgroundCommand import BackgroundCommand
from OrganIncrementLib.Engine.Evaluations import evaluationName, reportPage
from OrganIncrementLib.Engine.PackageExport import removePartial
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.ResultPanel import ResultPanel, ResultState
from OrganIncrementLib.Services import Services
from OrganIncrementLib.Workspace import WorkspaceError, safeName

TEACHER, STUDENT = "teacher", "student"


class ResultController:
    """Joins ResultPanel, the workspace and the engine."""

    def __init__(self, ui, services=None):
        self._services = services or Services.forSlicer()
        self._panel = ResultPanel(ui)
        self._parameters = None
        self._models, self._datasets = [], []
        self._state, self._shownOf = ResultState(), None
        self._task = BackgroundTask(self._onEnded)
        self._queue, self._exportTarget, self._message = [], None, ""
        self._written = None
        self._panel.studentChosen.connect(self._onStudent)
        self._panel.datasetChosen.connect(self._onDataset)
        self._panel.exportFormatChosen.connect(self._onFormat)
        self._panel.evaluationWanted.connect(self.evaluate)
        self._panel.reportWanted.connect(self.openReport)
        self._panel.ancestorWanted.connect(self.useAncestor)
        self._panel.exportWanted.connect(self.export)
        self._panel.cancelWanted.connect(self._onCancel)
        self._panel.showWanted.connect(self._onShowExport)

    def attach(self, parameters):
        """Follow a parameter node."""
        self._parameters = parameters
        self.modelsChanged()

    def detach(self):
        """Follow none; what runs goes on."""
        self._parameters = None

    def parametersModified(self):
        """Show it again where it concerns this section."""
        if self._parameters is not None and self._choices() != self._shownOf:
            self._show()

    def tick(self):
        """Look at what runs; only its progress is shown anew."""
        if not self._task.tick() or self._parameters is None:
            return
        if self._shownOf is None:
            self._show()
        else:
            self._panel.show(
                replace(self._state, task=self._task.state(), message=self._message, canShow=self._written is not None)
            )

    def close(self):
        """The module goes: end what runs."""
        self._queue = []
        self._task.close()
        self._cleanUpExport()

    def modelsChanged(self):
        """Packages or datasets may have come or gone: a student that is new is shown."""
        known = {entry.path for entry in self._models}
        self._models = [entry for entry in self._services.workspace.models() if entry.manifest is not None]
        self._datasets = [entry for entry in self._services.workspace.datasets() if entry.manifest is not None]
        students = self._students()
        if self._parameters is not None and students:
            new = [entry for entry in students if entry.path not in known] if known else []
            if new or self._student() is None:
                self._parameters.resultModel = str((new or students)[-1].path)
        self._show()

    def evaluate(self):
        """Measure teacher and student on the chosen dataset, one after the other, in the background."""
        student, dataset = self._student(), Path(self._parameters.evaluationDataset)
        self._queue = [(_("Measuring the student"), student, dataset)]
        teacher = teacherOf(self._services.workspace, student)
        if teacher is not None:
            self._queue.insert(0, (_("Measuring the teacher"), teacher, dataset))
        self._message = ""
        self._startNext()
        self._show()

    def openReport(self, which):
        """Open an evaluation's page in the browser; which: teacher or student."""
        student = self._student()
        entry = teacherOf(self._services.workspace, student) if which == TEACHER else student
        page = reportPage(evaluationFolder(self._services.workspace, entry, self._dataset()))
        if page is not None:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))

    def useAncestor(self, path):
        """Go back to an ancestor: it becomes the teacher and the model of section 5. No file changes."""
        entry = self._services.workspace.model(path)
        if self._parameters is not None:
            self._parameters.segmentModel = path
            if hasattr(self._parameters, "teacherPath"):  # of section 1
                self._parameters.teacherPath = path
        self._message = _("{name} is now the teacher and the model of section 5; the student is kept.").format(
            name=entry.manifest.name if entry.manifest else Path(path).name
        )
        self._show()

    def export(self):
        """Ask where to, and write a copy of the student there in the background."""
        student, form = self._student(), self._parameters.exportFormat
        target = askTarget(self._services.dialogs, safeName(student.manifest.name), form)
        if target is None:
            return
        if form != FILE and target.exists():
            problem = _("{name} is there already: choose another folder, or move it away.")
            self._services.dialogs.error(problem.format(name=target.name))
            return
        self._exportTarget = target
        self._message, self._written = "", None
        command = exportOf(self._services.engine, student.path, target, form)
        self._task.start(command, _("Exporting to {name}").format(name=target.name))
        self._show()

    def _onShowExport(self):
        if self._written is not None:
            openFolder(self._written if self._written.is_dir() else self._written.parent)

    def _onStudent(self, path):
        if self._parameters is not None:
            self._message, self._written = "", None
            self._parameters.resultModel = path

    def _onDataset(self, path):
        if self._parameters is not None:
            self._parameters.evaluationDataset = path

    def _onFormat(self, form):
        if self._parameters is not None:
            self._parameters.exportFormat = form

    def _onCancel(self):
        self._queue = []
        self._task.cancel()
        self._show()

    def _startNext(self):
        text, entry, dataset = self._queue.pop(0)
        try:
            out = self._services.workspace.resultFolder(entry.sha256, evaluationName(dataset))
        except WorkspaceError as error:
            self._queue = []
            self._services.dialogs.error(str(error))
            return
        engine = self._services.engine
        command = engine.command("evaluate", "--model", entry.path, "--dataset", dataset, "--out", out)
        self._task.start(BackgroundCommand(command, engine.environment()), text)

    def _onEnded(self, command):
        wasExport, target = self._exportTarget is not None, self._exportTarget
        self._cleanUpExport()
        self._shownOf = None
        if command.state == "finished":
            if self._queue:
                self._startNext()
                return
            self._message = exportedText(target, command.output) if wasExport else _("Measured.")
            self._written = target if wasExport else None
            return
        self._queue = []
        self._message = _("Cancelled; nothing was changed.")
        if command.state == "failed":
            self._message = ""
            self._services.dialogs.error(command.message)

    def _cleanUpExport(self):
        if self._exportTarget is not None:
            removePartial(self._exportTarget)
            self._exportTarget = None

    def _choices(self):
        parameters = self._parameters
        return (parameters.resultModel, parameters.evaluationDataset, parameters.exportFormat)

    def _students(self):
        return [entry for entry in self._models if entry.manifest.lineage]

    def _student(self):
        if self._parameters is None:
            return None
        return next((entry for entry in self._students() if str(entry.path) == self._parameters.resultModel), None)

    def _dataset(self):
        return next((entry for entry in self._datasets if str(entry.path) == self._parameters.evaluationDataset), None)

    def _show(self):
        """Read all that is shown again."""
        if self._parameters is None:
            return
        self._shownOf = self._choices()
        student = self._student()
        about = (
            withoutStudent()
            if student is None
            else aboutStudent(
                self._services.workspace,
                student,
                self._dataset(),
                _("Wait for what is running, or cancel it") if self._task.running else "",
            )
        )
        self._state = ResultState(
            students=modelChoices(self._students()),
            datasets=(
                Choice(value="", text=_("Held-back scans")),
                *(Choice(value=str(e.path), text=e.name, toolTip=str(e.path)) for e in self._datasets),
            ),
            dataset=self._parameters.evaluationDataset,
            exportFormat=self._parameters.exportFormat,
            task=self._task.state(),
            message=self._message,
            canShow=self._written is not None,
            formats=exportChoices(),
            **about,
        )
        self._panel.show(self._state)
