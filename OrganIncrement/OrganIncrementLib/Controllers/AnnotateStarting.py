"""What a drawing may start from: a model that knows the organ, or a segment of any segmentation in the scene."""

from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.results import SegmentReport
from OrganIncrementLib.Controllers.AnnotateDatasets import readOnly
from OrganIncrementLib.Logics import CaseLabels, CaseScene, ResultLoader
from OrganIncrementLib.Logics.CaseErrors import CaseError
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _
from OrganIncrementLib.Workspace import WorkspaceError


class AnnotateStarting:
    """Fills the chosen organ's segment. tasks: runs the model in the background."""

    def __init__(self, session, drawing, tasks) -> None:
        self._session, self._drawing, self._tasks = session, drawing, tasks

    def models(self):
        """The models that can be read, as (path, name)."""
        entries = self._session.services.workspace.models()
        return tuple((str(entry.path), entry.name) for entry in entries if not entry.problem)

    def modelNote(self) -> str:
        """Why the chosen model cannot draw the organ; empty where it can, or none is chosen."""
        organ, entry = self._session.currentOrgan(), self._entry()
        if organ is None or entry is None:
            return ""
        if entry.problem:
            return entry.problem
        if self._known(entry) is None:
            known = ", ".join(other.name for other in entry.manifest.organs)
            return _("{model} does not know {organ}; it knows {known}.").format(
                model=entry.name, organ=organ.name, known=known
            )
        return ""

    def noModel(self) -> str:
        """Why no model can draw now, empty where one can."""
        if self._drawing.nodes[0] is None:
            return _("Open a case first.")
        if self._entry() is None:
            return _("Choose a model first.")
        return self.modelNote() or self._session.busy

    def presegment(self) -> None:
        """Let the model draw the organ: at once where its result is there already, else in the background."""
        session = self._session
        if self.noModel() or not self._mayReplace():
            return
        entry, case = self._entry(), session.opened
        try:
            out = self._resultsFolder(entry, case)
        except WorkspaceError as error:
            session.services.dialogs.error(str(error))
            return
        wanted = (str(session.folder.path), case.id, session.currentOrgan().id)
        if self._isThere(out / case.id, entry, case):
            self._take(out / case.id, entry, wanted)
            return
        image = session.folder.image_path(case)
        command = session.services.engine.run("segment", "--model", entry.path, "--out", out, image)
        text = _("{model} draws {organ} in {case}").format(
            model=entry.name, organ=session.currentOrgan().name, case=case.id
        )

        def ended(command) -> None:
            if command.state == "finished":
                self._take(out / case.id, entry, wanted)

        self._tasks.start(command, text, ended)

    def segments(self):
        """The segments of the chosen segmentation, as (id, name)."""
        parameters = self._session.parameters
        node = parameters.inputSegmentation if parameters else None
        if node is None:
            return ()
        segmentation = node.GetSegmentation()
        return tuple((str(i), segmentation.GetSegment(i).GetName()) for i in segmentation.GetSegmentIDs())

    def noSegment(self) -> str:
        """Why no segment can be copied now, empty where one can."""
        volume, segmentation = self._drawing.nodes
        if volume is None:
            return _("Open a case first.")
        if self._session.parameters.inputSegmentation is None:
            return _("Choose a segmentation first.")
        if self._session.parameters.inputSegmentation is segmentation:
            return _("This is the label that is drawn: choose another segmentation.")
        return "" if self.segments() else _("This segmentation has no segment.")

    def copySegment(self, segmentId: str) -> None:
        """Make a segment the label of the chosen organ."""
        session = self._session
        if self.noSegment() or not segmentId or not self._mayReplace():
            return
        volume, segmentation = self._drawing.nodes
        source, organ = session.parameters.inputSegmentation, session.currentOrgan()
        state = CaseLabels.latticeState(volume, source, segmentId)
        question = _("The segment lies on another grid than the scan. Resample it onto the scan?")
        if state == "other" and not session.services.dialogs.confirm(question):
            return
        try:
            count = CaseScene.copySegment(source, segmentId, volume, segmentation, organ)
        except (LogicError, RuntimeError) as error:
            session.services.dialogs.error(_("The segment could not be copied: {reason}").format(reason=error))
            return
        if not count:
            session.services.dialogs.warn(
                _("The segment has no voxel in this scan: it belongs to another scan, or is empty.")
            )
        session.changed()

    def _entry(self):
        path = self._session.parameters.modelPath if self._session.parameters else ""
        return self._session.services.workspace.model(path) if path else None

    def _known(self, entry):
        """The model's organ that is the chosen one; None where it has none."""
        organ = self._session.currentOrgan()
        return next((other for other in entry.manifest.organs if organ and other.same_as(organ)), None)

    def _mayReplace(self) -> bool:
        _volume, segmentation = self._drawing.nodes
        organ = self._session.currentOrgan()
        segmentId = CaseLabels.segmentIdOf(segmentation, organ)
        if not segmentId or CaseLabels.latticeState(self._drawing.nodes[0], segmentation, segmentId) == "empty":
            return True
        question = _("{organ} is drawn already. Replace what is drawn?").format(organ=organ.name)
        return self._session.services.dialogs.confirm(question)

    def _resultsFolder(self, entry, case) -> Path:
        """In the dataset, where the reviewer finds the results too; in the workspace where it may not be written."""
        folder = self._session.folder.path
        if not readOnly(folder):
            return folder / "results" / entry.sha256[:8]
        return self._session.services.workspace.resultFolder(entry.sha256, folder.name)

    def _isThere(self, folder: Path, entry, case) -> bool:
        try:
            report = codec.read(SegmentReport, folder / "report.json")
        except ContractError:
            return False
        return report.input_sha256 == case.image_sha256 and report.model_sha256 == entry.sha256

    def _take(self, folder: Path, entry, wanted) -> None:
        """Load what the model drew into the organ's segment, if the case that it was for is still open."""
        session, dialogs = self._session, self._session.services.dialogs
        volume, segmentation = self._drawing.nodes
        path, caseId, organId = wanted
        isOpen = volume is not None and (str(session.folder.path), session.opened.id) == (path, caseId)
        organ = session.organ(organId) if isOpen else None
        if organ is None:
            dialogs.info(
                _("The model has finished {case}: open it and press “Draw with model” again.").format(case=caseId)
            )
            return
        known = next(other for other in entry.manifest.organs if other.same_as(organ))
        result = None
        try:
            result = ResultLoader.loadSegmentation(folder, volume, "OrganIncrement temporary")
            count = CaseScene.copySegment(result, CaseLabels.segmentIdOf(result, known), volume, segmentation, organ)
            if not count:
                dialogs.info(_("The model found no {organ} in this scan.").format(organ=organ.name))
        except (LogicError, CaseError, RuntimeError) as error:
            dialogs.error(_("What the model drew cannot be shown: {reason}").format(reason=error))
        finally:
            if result is not None:
                result.GetScene().RemoveNode(result)
        session.changed()
