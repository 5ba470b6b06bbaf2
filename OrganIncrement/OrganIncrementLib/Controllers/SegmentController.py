"""Section 5: applies a model to a volume, and hands the result to who shows it."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.ResultView import ResultView
from OrganIncrementLib.Controllers.SegmentRun import CANCELLED, DONE, FAILED, SegmentRun
from OrganIncrementLib.Controllers.StudentWords import modelChoices, verdictOf
from OrganIncrementLib.Engine.Evaluations import thresholdOf
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.ResultNodes import isUncertainty
from OrganIncrementLib.Logics.VolumeExport import problemOf
from OrganIncrementLib.Panels.ResultPanel import NOT_RECOMMENDED
from OrganIncrementLib.Panels.SegmentPanel import SegmentPanel, SegmentState
from OrganIncrementLib.Services import Services
from OrganIncrementLib.Workspace import WorkspaceError


class SegmentController:
    """Joins SegmentPanel, the engine and ResultView. Intent: ended(), when a segmentation is over."""

    def __init__(self, ui, services=None):
        self._services = services or Services.forSlicer()
        self._panel = SegmentPanel(ui)
        self.view = ResultView(ui, self._services)
        self.ended = Intent()
        self._parameters, self._models = None, []
        self._run, self._message = None, ""
        self._panel.modelChosen.connect(self._onModel)
        self._panel.uncertaintyKindChosen.connect(self._onUncertaintyKind)
        self._panel.applyWanted.connect(self.apply)
        self._panel.cancelWanted.connect(self.cancel)

    def attach(self, parameters):
        """Follow a parameter node."""
        self._parameters = parameters
        if parameters.inputVolume is None:
            parameters.inputVolume = _volumeInView()
        self.modelsChanged()
        self.view.attach(parameters)

    def detach(self):
        """Follow none; a segmentation goes on."""
        self._parameters = None
        self.view.detach()

    def parametersModified(self):
        """Show what changed."""
        self._show()
        self.view.parametersModified()

    def tick(self):
        """Go on with what runs."""
        if self._run is None:
            return
        self._run.tick()
        if not self._run.running:
            run, self._run = self._run, None
            self._finish(run)
            self.ended()
        self._show()

    def close(self):
        """The module goes: what runs is ended."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self.view.close()

    def modelsChanged(self):
        """Packages may have come or gone; where none is chosen, the newest student is, or else the first model."""
        self._models = list(self._services.workspace.models())
        usable = [entry for entry in self._models if entry.manifest is not None and not entry.problem]
        if self._parameters is not None and not self._parameters.segmentModel and usable:
            students = [entry for entry in usable if entry.manifest.lineage]
            self._parameters.segmentModel = str((students[-1:] or usable)[0].path)
        self._show()

    def apply(self):
        """Segment the chosen volume with the chosen model."""
        if self._run is not None or self._missing():
            return
        volume, entry = self._parameters.inputVolume, self._entry()
        problem = _problemOf(volume) or entry.problem
        if problem:
            self._services.dialogs.error(problem)
            return
        if not self._isWanted(entry):
            return
        self._message = ""
        try:
            self._run = SegmentRun(
                self._services, volume, entry,
                uncertaintyKind=self._parameters.uncertaintyKind, largestComponent=self._parameters.largestComponent,
            )  # fmt: skip
        except (LogicError, WorkspaceError) as error:
            self._services.dialogs.error(str(error))
        self._show()

    def cancel(self):
        """Stop what runs."""
        if self._run is not None:
            self._run.cancel()
            self._show()

    def _isWanted(self, entry):
        """Ask before a student is applied that is not recommended."""
        verdict, sentence = verdictOf(entry.manifest, thresholdOf(entry.path))
        if verdict != NOT_RECOMMENDED:
            return True
        question = _("{sentence}\n\nApply it nevertheless? Check every organ of the result.")
        return self._services.dialogs.confirm(question.format(sentence=sentence))

    def _finish(self, run):
        if run.state == FAILED:
            self._services.dialogs.error(
                _("{volume} was not segmented. {reason}").format(volume=run.volumeName, reason=run.message)
            )
            return
        if run.state == CANCELLED:
            self._message = run.message or _("Cancelled.")
            return
        if run.volume is None:
            self._message = _("The scene was closed meanwhile; the result of {volume} is kept in {folder}.").format(
                volume=run.volumeName, folder=run.folder
            )
            return
        assert run.state == DONE
        try:
            self.view.take(run)
            self._message = _("{volume}: segmented with {model}.").format(volume=run.volumeName, model=run.entry.name)
        except LogicError as error:
            self._services.dialogs.error(str(error))

    def _onModel(self, path):
        if self._parameters is not None:
            self._parameters.segmentModel = path

    def _onUncertaintyKind(self, kind):
        if self._parameters is not None:
            self._parameters.uncertaintyKind = kind

    def _entry(self):
        """The chosen model; None where none is chosen."""
        path = self._parameters.segmentModel
        if not path:
            return None
        known = next((entry for entry in self._models if str(entry.path) == path), None)
        return known or self._services.workspace.model(Path(path))

    def _missing(self):
        """What keeps Apply from working, in words; what is wrong with a choice is told when it is pressed."""
        missing = []
        if self._parameters.inputVolume is None:
            missing.append(_("choose a volume"))
        if self._entry() is None:
            missing.append(_("choose a model") if self._models else _("train a model, or load a package in section 1"))
        return tuple(missing)

    def _show(self):
        if self._parameters is None:
            return
        self._panel.show(
            SegmentState(
                models=modelChoices(self._models), model=self._parameters.segmentModel,
                uncertaintyKind=self._parameters.uncertaintyKind,
                missing=self._missing(), task=self._run.taskState() if self._run else None, message=self._message,
            )
        )  # fmt: skip


def _problemOf(volume):
    """Why a volume cannot be segmented, one sentence; "" when it can."""
    if isUncertainty(volume):
        return _("{volume} is a map of uncertainty: choose a scan.").format(volume=volume.GetName())
    if volume.IsA("vtkMRMLLabelMapVolumeNode"):
        return _("{volume} holds labels: choose a scan.").format(volume=volume.GetName())
    return problemOf(volume)


def _volumeInView():
    """The scan in the slice views, None where there is none."""
    logic = slicer.app.applicationLogic()
    selection = logic.GetSelectionNode() if logic is not None else None
    node = slicer.mrmlScene.GetNodeByID(selection.GetActiveVolumeID() or "") if selection is not None else None
    isScan = node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" and not isUncertainty(node)
    return node if isScan else None
