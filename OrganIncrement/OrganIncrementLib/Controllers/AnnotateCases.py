"""Section 2: the table of cases, adding the open volume as a new one."""

import slicer

from OrganIncrementLib.Controllers.AnnotateDatasets import readOnly, statusText
from OrganIncrementLib.Logics.CaseErrors import CaseError, inWords
from OrganIncrementLib.Logics.CaseWriter import CaseWriter, nextCaseId
from OrganIncrementLib.Logics.Grid import worldGrid
from OrganIncrementLib.Logics.VolumeExport import checkedVoxels, problemOf
from OrganIncrementLib.Panels.AnnotateCasesPanel import AnnotateCasesPanel, CaseRow, CasesState, NewCase, looksLikeName
from OrganIncrementLib.Translation import _


class AnnotateCases:
    """Lists, opens and adds cases. folderWanted: what `Add folder…` opens; checkAllWanted: check the whole dataset."""

    def __init__(self, ui, session, folderWanted, checkAllWanted) -> None:
        self._session = session
        self._newCase: NewCase | None = None
        self.panel = AnnotateCasesPanel(ui)
        self.panel.openWanted.connect(self._onOpen)
        self.panel.volumeWanted.connect(self.offerNewCase)
        self.panel.caseClosed.connect(self._onClosed)
        self.panel.createWanted.connect(self._onCreate)
        self.panel.folderWanted.connect(folderWanted)
        self.panel.checkAllWanted.connect(checkAllWanted)

    def show(self) -> None:
        """Show the present state."""
        session = self._session
        self.panel.show(
            CasesState(
                cases=tuple(self._row(listed) for listed in session.cases), newCase=self._newCase,
                noVolume=self._noVolume(), noFolder=self._noWriting() or session.busy,
                noCheck=_("Open a dataset first.") if session.folder is None else session.busy,
            )
        )  # fmt: skip

    def offerNewCase(self) -> None:
        """Ask for the id and the patient of a new case."""
        if self._noVolume():
            return
        ids = [listed.id for listed in self._session.cases]
        patients = sorted({listed.case.group for listed in self._session.cases if listed.case})
        self._newCase = NewCase(id=nextCaseId(ids), patients=tuple(patients))
        self._session.changed()

    def _noWriting(self) -> str:
        folder = self._session.folder
        if folder is None:
            return _("Open a dataset, or make a new one, first.")
        if readOnly(folder.path):
            return _("This dataset's folder may not be written: ask for permission, or work on a copy.")
        return ""

    def _noVolume(self) -> str:
        parameters = self._session.parameters
        missing = self._noWriting()
        if missing or parameters is None:
            return missing
        if parameters.inputVolume is None:
            return _("Choose a volume that is open in Slicer first.")
        return problemOf(parameters.inputVolume)

    def _row(self, listed) -> CaseRow:
        session = self._session
        found = (session.findings or {}).get(listed.id)
        if listed.problem:
            checks = _("✗ files")
        elif found:
            checks = _("{count} findings").format(count=len(found))
        elif session.findings is not None:
            checks = _("✓ files good")
        else:
            checks = _("not checked")
        case = listed.case
        if case is not None and not listed.problem and case.label is None:
            checks = _("nothing drawn")
        isOpen = session.opened is not None and session.opened.id == listed.id
        if isOpen and session.checks:
            waiting = session.waiting()
            checks = _("{count} to answer").format(count=len(waiting)) if waiting else _("✓ label good")
        details = "\n".join(filter(None, [listed.problem, *(found or ())]))
        if case is None:
            return CaseRow(listed.id, "", statusText("damaged"), "", checks, details)
        image = _("copy") if case.image_source == "copy" else _("elsewhere")
        if listed.problem:
            image = _("see tip")
        return CaseRow(listed.id, case.group, statusText(case.status), image, checks, details, isOpen)

    def _onOpen(self, caseId: str) -> None:
        self._session.caseWanted(caseId)

    def _onClosed(self) -> None:
        self._newCase = None
        self._session.changed()

    def _onCreate(self, caseId: str, patient: str) -> None:
        session, dialogs = self._session, self._session.services.dialogs
        if session.parameters is None or self._noVolume():
            return
        volume = session.parameters.inputVolume
        named = next((text for text in (caseId, patient) if looksLikeName(text)), "")
        question = _("“{name}” may be somebody's name, and ids travel into reports and models. Use it nevertheless?")
        if named and not dialogs.confirm(question.format(name=named)):
            return
        try:
            with inWords(session.folder.path):
                voxels_KJI, grid = checkedVoxels(volume), worldGrid(volume)
                case = CaseWriter(session.folder).addCase(caseId, patient, voxels_KJI, grid, self._addTwice)
        except CaseError as error:
            dialogs.error(_("The scan was not added. {reason}").format(reason=error))
            return
        if case is None:
            return
        self._newCase = None
        session.readCases()
        session.parameters.inputVolume = None
        slicer.util.showStatusMessage(_("Case {id} was added.").format(id=case.id), 3000)
        session.changed()
        session.caseWanted(case.id)

    def _addTwice(self, caseId: str) -> bool:
        return self._session.services.dialogs.confirm(
            _("This scan is in the dataset already, as {id}. Add it once more?").format(id=caseId)
        )
