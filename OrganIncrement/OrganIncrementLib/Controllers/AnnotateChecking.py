"""Section 4: the checks of the open case, answers to them, mending, and handing in when all is answered."""

import slicer

from OrganIncrementLib.Controllers.AnnotateDatasets import statusText
from OrganIncrementLib.Logics import CaseChecks, CaseLabels, CaseScene
from OrganIncrementLib.Logics.CaseErrors import CaseError
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Panels.AnnotateChecksPanel import AnnotateChecksPanel, CheckRow, ChecksState
from OrganIncrementLib.Translation import _


class AnnotateChecking:
    """Checks on request, and always before handing in."""

    def __init__(self, ui, session, drawing) -> None:
        self._session, self._drawing = session, drawing
        self.panel = AnnotateChecksPanel(ui)
        self.panel.checkWanted.connect(self.check)
        self.panel.confirmed.connect(self._onConfirmed)
        self.panel.mendWanted.connect(self._onMend)

    def show(self) -> None:
        """Show the present findings."""
        noCase = "" if self._drawing.nodes[0] is not None else _("Open a case first.")
        self.panel.show(ChecksState(rows=tuple(map(self._row, self._session.checks)), noCheck=noCase))

    def check(self) -> bool:
        """Look at what is drawn now. Returns: whether it could be looked at."""
        session = self._session
        try:
            arrays = self._drawing.arrays()
            session.absent -= set(arrays.drawn())
            modality = session.folder.manifest.modality
            session.checks = (
                *self._scanChecks(),
                *CaseChecks.checkCase(arrays, session.organs, modality, session.absent),
            )
        except CaseError as error:
            session.checks = (CaseChecks.Check("scan", "problem", str(error)),)
            session.changed()
            return False
        session.changed()
        return True

    def handIn(self) -> bool:
        """Save, check, and hand in where every question is answered. Returns: whether it was handed in."""
        session, drawing = self._session, self._drawing
        if self.noHandIn():
            return False
        if drawing.isUnsaved() and not drawing.save():
            return False
        if not self.check():
            return False
        waiting = session.waiting()
        if waiting:
            text = _("Case {id} cannot be handed in yet. Answer or mend this first: {finding}")
            session.services.dialogs.warn(text.format(id=session.opened.id, finding=waiting[0].text))
            return False
        meant = [
            check.text
            for check in session.checks
            if self._session.levelOf(check) == "confirmed" or check.code == "absent"
        ]
        return drawing.handIn(" ".join(meant))

    def noHandIn(self) -> str:
        """Why the case cannot be handed in, empty where it can be tried."""
        session, drawing = self._session, self._drawing
        missing = drawing.noWriting()
        if missing:
            return missing
        status = session.opened.status
        if status in ("draft", "flagged"):
            return ""
        changed = drawing.isTouched() and status == "approved"
        if changed:
            return _("Save first: an approved case that was changed is handed in by saving it.")
        return _("This case is {status} already.").format(status=statusText(status))

    def _scanChecks(self) -> list[CaseChecks.Check]:
        """Is the scan itself one that the dataset has under another id?"""
        session = self._session
        same = [
            listed.id
            for listed in session.cases
            if listed.case
            and listed.id != session.opened.id
            and listed.case.image_sha256 == session.opened.image_sha256
        ]
        if not same:
            return []
        text = _("The same scan is in the dataset as {id} as well. Is that meant?").format(id=same[0])
        return [CaseChecks.Check("duplicate", "confirm", text)]

    def _row(self, check) -> CheckRow:
        words = {
            "resample": _("Resample onto the scan"),
            "removeSpecks": _("Remove specks"),
            "absent": _("It is absent here"),
        }
        return CheckRow(
            key=check.key, level=self._session.levelOf(check), text=check.text, mend=words.get(check.mend, "")
        )

    def _find(self, key: str):
        return next((check for check in self._session.checks if check.key == key), None)

    def _onConfirmed(self, key: str) -> None:
        check = self._find(key)
        if check is None:
            return
        if check.code == "empty":  # the answer to "nothing is drawn" is that it is absent
            self._setAbsent(check.organ)
            return
        self._session.confirmed.add(key)
        self._session.changed()

    def _onMend(self, key: str) -> None:
        check = self._find(key)
        volume, segmentation = self._drawing.nodes
        if check is None or volume is None:
            return
        if check.mend == "absent":
            self._setAbsent(check.organ)
            return
        try:
            if check.mend == "resample":
                CaseScene.resampleSegments(segmentation, volume)
            elif check.mend == "removeSpecks":
                organ = self._session.organ(check.organ)
                cleaned_KJI = CaseChecks.withoutSpecks(self._drawing.arrays().masks[organ.id])
                segmentId = CaseLabels.segmentIdOf(segmentation, organ)
                CaseLabels.setSegmentMask(segmentation, segmentId, cleaned_KJI, volume)
        except (LogicError, RuntimeError) as error:
            self._session.services.dialogs.error(str(error))
        slicer.util.showStatusMessage(_("Mended; not saved yet."), 3000)
        self.check()

    def _setAbsent(self, organId: str) -> None:
        self._session.absent.add(organId)
        self.check()
