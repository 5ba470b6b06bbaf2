"""Section 3 and 4: the open case in the scene; saves it, hands it in, and lets nothing be lost when it is left."""

from types import SimpleNamespace

import slicer

from OrganIncrementLib.Controllers.AnnotateDatasets import readOnly, statusText
from OrganIncrementLib.Engine.Words import oneLine
from OrganIncrementLib.Logics import CaseLabels, CaseScene
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords
from OrganIncrementLib.Logics.CaseWriter import CaseConflictError, CaseWriter
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _


class AnnotateDrawing:
    """The nodes are references of the parameter node; this object keeps only what the dataset said of the case."""

    def __init__(self, session, editor) -> None:
        self._session, self._editor = session, editor

    @property
    def nodes(self):
        """The case's volume and segmentation; None, None where no case is open or a node was deleted."""
        parameters = self._session.parameters
        if parameters is None or self._session.opened is None:
            return None, None
        volume, segmentation = parameters.caseVolume, parameters.caseSegmentation
        return (volume, segmentation) if volume is not None and segmentation is not None else (None, None)

    def open(self, caseId: str) -> bool:
        """Show a case's scan and label, to draw. Returns: whether it is open now."""
        session, dialogs = self._session, self._session.services.dialogs
        if session.parameters is None or session.folder is None or not self.leave():
            session.changed()
            return False
        self.forget()
        try:
            with inWords(session.folder.path):
                case = session.folder.case(caseId)
            volume, segmentation, isResampled = self._load(case)
        except CaseError as error:
            reason = oneLine(error, session.folder.path)
            dialogs.error(_("Case {id} cannot be opened. {reason}").format(id=caseId, reason=reason))
            session.changed()
            return False
        if volume is None:
            session.changed()
            return False
        session.takeCase(case)
        session.parameters.caseVolume, session.parameters.caseSegmentation = volume, segmentation
        session.absent = set(case.annotated) - set(self.arrays().drawn()) if case.label else set()
        self._remember(case)
        if isResampled:  # what is shown is not what the file holds
            session.stamp, session.parameters.savedDigest = -1, ""
        self.showInEditor()
        session.changed()
        return True

    def resume(self) -> None:
        """Take up the case that the scene holds: after the module was left, or a scene was loaded."""
        session, parameters = self._session, self._session.parameters
        volume, segmentation, caseId = parameters.caseVolume, parameters.caseSegmentation, parameters.caseId
        if volume is None or segmentation is None or not caseId or session.folder is None:
            session.takeCase(None)
            return
        if session.opened is None or session.opened.id != caseId:
            try:
                with inWords(session.folder.path):
                    session.takeCase(session.recalled(session.folder.case(caseId)))
                drawn = set(self.arrays().drawn())
            except CaseError:
                session.takeCase(None)
                return
            session.absent = set(session.opened.annotated) - drawn
        segmentation.SetDisplayVisibility(True)  # another module may have shown another scan meanwhile
        self.showInEditor()

    def showInEditor(self) -> None:
        """Give the case's nodes to the Segment Editor, and choose the organ's segment."""
        volume, segmentation = self.nodes
        self._editor.show(segmentation, volume)
        organ = self._session.currentOrgan()
        if segmentation is not None and organ is not None:
            self._editor.choose(CaseScene.addOrgan(segmentation, organ))

    def arrays(self) -> CaseLabels.CaseArrays:
        """The open case as it is drawn now. Raises: CaseError."""
        volume, segmentation = self.nodes
        if volume is None:
            raise CaseError(_("The case's scan or label was deleted from the scene: open the case again."))
        with inWords(self._session.folder.path):
            return CaseLabels.readCase(volume, segmentation, self._session.organs)

    def isTouched(self) -> bool:
        """Whether something was drawn since the case was saved; quick, and true for a stroke that was taken back."""
        _volume, segmentation = self.nodes
        return segmentation is not None and CaseLabels.editStamp(segmentation) != self._session.stamp

    def isUnsaved(self) -> bool:
        """Whether the dataset holds another label than the scene; looks at every voxel."""
        session = self._session
        volume, segmentation = self.nodes
        if volume is None or session.folder is None:
            return False
        if not self.isTouched():
            return self._annotated() != set(session.opened.annotated)
        try:
            arrays = self.arrays()
        except CaseError:
            return True
        same = self._digest(arrays) == session.parameters.savedDigest
        if same:  # Slicer touches labelmaps too: when it saves a scene, it merges them
            session.stamp = CaseLabels.editStamp(segmentation)
        return not same or self._annotated(arrays) != set(session.opened.annotated)

    def leave(self) -> bool:
        """Before something else is opened: ask about unsaved changes. Returns: False to stay with the case."""
        session = self._session
        if not self.isUnsaved():
            return True
        question = _("Case {id} has changes that are not saved in the dataset. Save them?").format(id=session.opened.id)
        if session.services.dialogs.confirm(question):
            return self.save()
        for node in self.nodes:  # what was drawn stays in the scene, under a name that says so
            node.SetName(_("{name} (not saved)").format(name=node.GetName()))
            node.RemoveAttribute(CaseScene.MARK)
        return True

    def save(self) -> bool:
        """Write the label into the dataset. Returns: whether the dataset holds now what is drawn."""
        session, dialogs = self._session, self._session.services.dialogs
        if self.nodes[0] is None:
            return False
        if session.opened.status == "approved" and self.isUnsaved() and not dialogs.confirm(
            _("Case {id} is approved. A changed label must be reviewed again before it is offered to training. Save it?"
              ).format(id=session.opened.id)
        ):  # fmt: skip
            return False
        try:
            arrays = self.arrays()
            if arrays.offGrid:
                question = _(
                    "The segment “{name}” was drawn on another grid than the scan's. Resample it onto the scan?"
                )
                if not dialogs.confirm(question.format(name=arrays.offGrid[0])):
                    return False
                CaseScene.resampleSegments(self.nodes[1], self.nodes[0])
                arrays = self.arrays()
            saved = self._write(arrays)
        except (LogicError, RuntimeError) as error:
            text = _("Case {id} was not saved; the drawing stays in the scene. {reason}")
            dialogs.error(text.format(id=session.opened.id, reason=error))
            session.changed()
            return False
        if saved is None:
            return False
        self._remember(saved, arrays)
        session.readCases()
        slicer.util.showStatusMessage(_("Case {id} is saved.").format(id=saved.id), 3000)
        session.changed()
        return True

    def leftBehind(self):
        """The open case without its nodes, to be found again; None where none is open."""
        volume, segmentation = self.nodes
        if volume is None:
            return None
        parameters = self._session.parameters
        names = ("caseId", "savedDigest", "seenLabel", "seenStatus", "organId", "datasetFolder", "modelPath")
        kept = {name: getattr(parameters, name) for name in names}
        return SimpleNamespace(volumeId=volume.GetID(), segmentationId=segmentation.GetID(), **kept)

    def found(self, left):
        """What `leftBehind` gave, with the nodes that are still there: as good as parameters, for a moment."""
        nodes = {"caseVolume": left.volumeId, "caseSegmentation": left.segmentationId}
        found = {name: slicer.mrmlScene.GetNodeByID(nodeId) for name, nodeId in nodes.items()}
        others = {"inputVolume": None, "inputSegmentation": None, "candidateFolder": ""}
        return SimpleNamespace(**vars(left), **found, **others)

    def handIn(self, comment: str) -> bool:
        """Give the saved case to the reviewer. Returns: whether it was."""
        session = self._session
        try:
            case = CaseWriter(session.folder).handIn(session.opened, session.who, comment)
        except CaseError as error:
            session.services.dialogs.error(_("Case {id} was not handed in. {reason}").format(
                id=session.opened.id, reason=error))  # fmt: skip
            return False
        session.opened = case
        session.parameters.seenStatus, session.parameters.seenLabel = case.status, case.label_sha256 or ""
        session.readCases()
        slicer.util.showStatusMessage(_("Case {id} is handed in.").format(id=case.id), 3000)
        session.changed()
        return True

    def stateText(self) -> str:
        """The open case in words."""
        session = self._session
        if session.folder is None:
            return _("No dataset is open.")
        if session.opened is None:
            return _("No case is open: double click one in the table.")
        if self.nodes[0] is None:
            return _("The scan or the label of {id} was deleted from the scene: open the case again.").format(
                id=session.opened.id
            )
        parts = [session.opened.id, statusText(session.opened.status)]
        changed = self.isTouched() or set(session.opened.annotated) != self._annotated()
        parts.append(_("changed since it was saved") if changed else _("saved"))
        text = " · ".join(parts)
        if session.opened.status == "approved":
            text += "\n" + _("⚠ Approved: when you change and save it, it must be reviewed again.")
        return text

    def noWriting(self) -> str:
        """Why the open case cannot be saved, empty where it can."""
        session = self._session
        if self.nodes[0] is None:
            return _("Open a case first.")
        if readOnly(session.folder.path):
            return _("This dataset's folder may not be written: ask for permission, or work on a copy.")
        return ""

    def _load(self, case):
        session = self._session
        try:
            return (*CaseScene.openCase(session.folder, case), False)
        except CaseScene.OtherGridError as error:
            question = _("{reason} Show it resampled onto the scan? The file changes only when you save.")
            if session.services.dialogs.confirm(question.format(reason=error)):
                return (*CaseScene.openCase(session.folder, case, resample=True), True)
            return None, None, False

    def forget(self) -> None:
        """Take the case that was open out of the scene, and out of the parameters."""
        session = self._session
        self._editor.show(None, None)
        CaseScene.removeNodes(*self.nodes)
        session.takeCase(None)
        parameters = session.parameters
        parameters.caseVolume = parameters.caseSegmentation = None
        parameters.caseId = parameters.savedDigest = parameters.seenLabel = parameters.seenStatus = ""

    def _write(self, arrays):
        session = self._session
        label_KJI = CaseLabels.labelArray(arrays, session.organs, session.folder.manifest.ignore_value)
        writer, annotated = CaseWriter(session.folder), self._annotated(arrays)
        try:
            return writer.saveLabel(session.opened, label_KJI, arrays.grid, annotated, session.who)
        except CaseConflictError as error:
            if not session.services.dialogs.confirm(_("{reason} Replace their label by yours?").format(reason=error)):
                return None
            return writer.saveLabel(session.opened, label_KJI, arrays.grid, annotated, session.who, overOthers=True)

    def _annotated(self, arrays=None) -> set[str]:
        """The organs that were looked for: drawn, or said to be absent. Without arrays: as far as it is known."""
        session = self._session
        if arrays is not None:
            return set(arrays.drawn()) | session.absent
        return set(session.opened.annotated) | session.absent

    def _digest(self, arrays) -> str:
        session = self._session
        return CaseLabels.digest(CaseLabels.labelArray(arrays, session.organs, session.folder.manifest.ignore_value))

    def _remember(self, case, arrays=None) -> None:
        arrays = arrays or self.arrays()
        self._session.absent -= set(arrays.drawn())
        stamp = CaseLabels.editStamp(self.nodes[1])
        self._session.rememberSaved(case, self._digest(arrays), stamp)
