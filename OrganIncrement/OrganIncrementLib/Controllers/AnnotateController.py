"""The annotator's module: joins its panels, the open dataset and case, the Segment Editor and the engine."""

import slicer

from OrganIncrementLib.Controllers.AnnotateCases import AnnotateCases
from OrganIncrementLib.Controllers.AnnotateChecking import AnnotateChecking
from OrganIncrementLib.Controllers.AnnotateDatasets import AnnotateDatasets, chipOf
from OrganIncrementLib.Controllers.AnnotateDrawing import AnnotateDrawing
from OrganIncrementLib.Controllers.AnnotateEditor import AnnotateEditor
from OrganIncrementLib.Controllers.AnnotateImporting import AnnotateImporting
from OrganIncrementLib.Controllers.AnnotateSession import LAST_KEY, AnnotateSession
from OrganIncrementLib.Controllers.AnnotateStarting import AnnotateStarting
from OrganIncrementLib.Controllers.AnnotateSuggesting import AnnotateSuggesting
from OrganIncrementLib.Controllers.AnnotateTasks import AnnotateTasks
from OrganIncrementLib.Logics.CaseErrors import CaseError
from OrganIncrementLib.Panels.AnnotateDrawPanel import AnnotateDrawPanel, DrawState
from OrganIncrementLib.Services import Services
from OrganIncrementLib.Translation import _

LOOKS_EVERY_TICKS = 10  # at the dataset's folder: two seconds


class AnnotateController:
    """Keeps no node: those of the open case are references of the parameter node."""

    def __init__(self, ui, services=None) -> None:
        self.session = AnnotateSession(services or Services.forSlicer())
        self.editor = AnnotateEditor(ui)
        self.drawing = AnnotateDrawing(self.session, self.editor)
        self.tasks = AnnotateTasks(ui, self.session)
        self.starting = AnnotateStarting(self.session, self.drawing, self.tasks)
        self.importing = AnnotateImporting(ui, self.session, self.tasks)
        self.datasets = AnnotateDatasets(ui, self.session, self._leaveCase)
        self.cases = AnnotateCases(ui, self.session, self.importing.open, self.importing.checkAll)
        self.checking = AnnotateChecking(ui, self.session, self.drawing)
        self.suggesting = AnnotateSuggesting(ui, self.session, self.starting, self.tasks, self.cases.offerNewCase)
        self.panel = AnnotateDrawPanel(ui)
        self.panel.organChosen.connect(self._onOrgan)
        self.panel.modelChosen.connect(self._onModel)
        self.panel.presegmentWanted.connect(self.starting.presegment)
        self.panel.copyWanted.connect(self.starting.copySegment)
        self.panel.saveWanted.connect(self.drawing.save)
        self.panel.handInWanted.connect(self.checking.handIn)
        self.session.changed.connect(self.show)
        self.session.caseWanted.connect(self._onCase)
        self._ticks, self._shownState, self._isShowing = 0, None, False
        self._left = None  # the open case, by its nodes' ids, while the module is hidden
        self._closeTag = slicer.mrmlScene.AddObserver(slicer.mrmlScene.StartCloseEvent, self._onSceneCloses)
        self.show()

    def attach(self, parameters) -> None:
        """The module is shown, or a scene was loaded."""
        session = self.session
        session.parameters, self._left = parameters, None
        self.editor.enter()
        path = parameters.datasetFolder or (str(session.folder.path) if session.folder else "")
        path = path or session.services.settings.get(LAST_KEY, "")
        if path:
            try:
                session.openDataset(path)
            except CaseError:
                session.folder = None  # it was moved or deleted since; the list offers the others
                session.readCases()
        self.drawing.resume()
        self.show()

    def detach(self) -> None:
        """The module is hidden, or the scene closes: what is not saved is asked about, or said."""
        if self.session.parameters is None:
            return
        isClosing = slicer.mrmlScene.IsClosing()
        if self.drawing.isTouched() and self.drawing.isUnsaved():
            self._askBeforeClosing() if isClosing else self._remindOnLeaving()
        self.editor.exit()
        self._left = None if isClosing else self.drawing.leftBehind()
        self.session.parameters = None
        if isClosing:
            self.session.takeCase(None)

    def parametersModified(self) -> None:
        """A control or another module changed the parameter node."""
        if self.session.parameters is None or self._isShowing:
            return
        self.show()

    def tick(self) -> None:
        """Look after the task; follow the Segment Editor; now and then look whether others work on the dataset."""
        self.tasks.tick()
        if self.session.parameters is None:
            return
        self._ticks += 1
        if self._ticks % LOOKS_EVERY_TICKS == 0 and self.session.casesChangedOnDisk():
            self.session.readCases()
            self.show()
        self._followEditor()
        if self._liveState() != self._shownState:
            self.show()

    def close(self) -> None:
        """The module goes, or is reloaded."""
        slicer.mrmlScene.RemoveObserver(self._closeTag)
        self.tasks.close()
        self.editor.close()
        self.session.parameters = None

    def showCase(self, datasetPath, caseId: str) -> bool:
        """Show a case of any dataset, as another module asks for it. Returns: whether it is open now."""
        return self.datasets.open(datasetPath) and self.drawing.open(caseId)

    def show(self) -> None:
        """Show everything as it is now."""
        if self._isShowing:
            return
        self._isShowing = True
        try:
            self.datasets.show()
            self.cases.show()
            self.importing.show()
            self.checking.show()
            self.suggesting.show()
            self.panel.show(self._drawState())
            self._shownState = self._liveState()
        finally:
            self._isShowing = False

    def _drawState(self) -> DrawState:
        session, starting = self.session, self.starting
        organ = session.currentOrgan()
        noCase = "" if self.drawing.nodes[0] is not None else _("Open a case first.")
        return DrawState(
            text=self.drawing.stateText(), organs=tuple(chipOf(organ) for organ in session.organs),
            organ=organ.id if organ else "", models=starting.models(),
            model=session.parameters.modelPath if session.parameters else "", modelNote=starting.modelNote(),
            segments=starting.segments(), noCase=noCase, noModel=starting.noModel(), noSegment=starting.noSegment(),
            noSave=self.drawing.noWriting(), noHandIn=self.checking.noHandIn(),
        )  # fmt: skip

    def _liveState(self):
        """What may change without a word from the panels, and costs next to nothing to ask."""
        return self.drawing.nodes[0] is None, self.drawing.isTouched(), self.starting.segments()

    def _followEditor(self) -> None:
        """The organ of the segment that was chosen in the Segment Editor is the organ of the panel."""
        if self.drawing.nodes[0] is None:
            return
        chosen = self.session.organ(self.editor.chosen())
        if chosen is not None and chosen.id != self.session.parameters.organId:
            self.session.parameters.organId = chosen.id
            self.show()

    def _leaveCase(self) -> bool:
        """Before another dataset is opened."""
        if self.session.parameters is None or not self.drawing.leave():
            return self.session.parameters is None
        self.drawing.forget()
        return True

    def _onSceneCloses(self, caller=None, event=None) -> None:
        """While the module is hidden nobody else asks; what was drawn in the Segment Editor module counts too."""
        if self.session.parameters is not None:
            return
        try:
            if self._left is not None:
                self.session.parameters = self.drawing.found(self._left)
                if self.drawing.isTouched() and self.drawing.isUnsaved():
                    self._askBeforeClosing()
        finally:
            self.session.parameters = self._left = None
            self.session.takeCase(None)
            self.editor.exit()  # lets go of the segmentation

    def _askBeforeClosing(self) -> None:
        session = self.session
        question = _("Case {id} has changes that are not saved in the dataset, and the scene closes. Save them now?")
        if session.services.dialogs.confirm(question.format(id=session.opened.id)):
            self.drawing.save()

    def _remindOnLeaving(self) -> None:
        text = _("Case {id} has changes that are not saved yet; they stay in the scene.")
        slicer.util.showStatusMessage(text.format(id=self.session.opened.id), 5000)

    def _onCase(self, caseId: str) -> None:
        self.drawing.open(caseId)
        self.cases.panel.select(caseId)

    def _onOrgan(self, organId: str) -> None:
        if self.session.parameters is not None:
            self.session.parameters.organId = organId
            self.drawing.showInEditor()
            self.show()

    def _onModel(self, path: str) -> None:
        if self.session.parameters is not None:
            self.session.parameters.modelPath = path
