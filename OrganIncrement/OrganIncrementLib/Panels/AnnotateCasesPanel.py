"""The cases of the dataset, and adding an open volume as one more."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import fillRow, fitColumns, fitHeight, selectedRow
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _

_PATIENT = 1


@dataclass(frozen=True)
class CaseRow:
    """One case in words; details: the findings in full, one a line."""

    id: str
    patient: str
    status: str
    image: str
    checks: str
    details: str = ""
    isOpen: bool = False


@dataclass(frozen=True)
class NewCase:
    """What the frame for a new case offers. patients: numbers used already; None where the frame is closed."""

    id: str
    patients: tuple[str, ...] = ()


@dataclass(frozen=True)
class CasesState:
    """What the panel shows. The three texts say why a button cannot work, empty where it can."""

    cases: tuple[CaseRow, ...] = ()
    newCase: NewCase | None = None
    noVolume: str = ""
    noFolder: str = ""
    noCheck: str = ""


class AnnotateCasesPanel:
    """Shows the table of cases; says which one to open, and what to add."""

    def __init__(self, ui):
        self.ui = ui
        self.openWanted = Intent()  # case id
        self.checkAllWanted = Intent()
        self.volumeWanted = Intent()  # the frame for a new case
        self.folderWanted = Intent()
        self.caseClosed = Intent()  # the frame
        self.createWanted = Intent()  # case id, patient
        self._state = CasesState()
        self._offered = None
        ui.caseTable.connect("cellDoubleClicked(int,int)", self._onOpen)
        ui.caseTable.connect("itemSelectionChanged()", self._showButtons)
        ui.openCaseButton.connect("clicked(bool)", self._onOpen)
        ui.checkAllButton.connect("clicked(bool)", self._onCheckAll)
        ui.addVolumeButton.connect("clicked(bool)", self._onVolume)
        ui.addFolderButton.connect("clicked(bool)", self._onFolder)
        ui.createCaseButton.connect("clicked(bool)", self._onCreate)
        ui.cancelCaseButton.connect("clicked(bool)", self._onClose)
        ui.caseIdLineEdit.connect("textChanged(QString)", self._showNewCase)
        ui.caseIdLineEdit.connect("returnPressed()", self._onCreate)
        fitColumns(ui.caseTable, stretched=4)
        ui.caseTable.setColumnHidden(_PATIENT, True)  # there is no room for it beside the checks: it is in the tip
        fitHeight(ui.caseTable, 2, 6)

    def show(self, state: CasesState) -> None:
        """Show a state; the selected case stays selected."""
        if state.cases != self._state.cases:
            self._fill(state.cases)
        self._state = state
        ui = self.ui
        ui.addCaseFrame.visible = state.newCase is not None
        if state.newCase is not None and state.newCase != self._offered:
            ui.caseIdLineEdit.text = state.newCase.id
            ui.patientComboBox.clear()
            ui.patientComboBox.addItem(_("same number as the case"))
            for patient in state.newCase.patients:
                ui.patientComboBox.addItem(patient)
        self._offered = state.newCase
        allow(ui.addVolumeButton, state.noVolume, _("Copy the volume into the dataset, without its patient data"))
        allow(ui.addFolderButton, state.noFolder, _("Copy many scans with labels that exist already"))
        allow(ui.checkAllButton, state.noCheck, _("Read every file of the dataset and say what is wrong"))
        self._showButtons()
        self._showNewCase()

    def select(self, caseId: str) -> None:
        """Select a case in the table."""
        for row, case in enumerate(self._state.cases):
            if case.id == caseId:
                self.ui.caseTable.selectRow(row)

    def _fill(self, cases):
        table = self.ui.caseTable
        row = selectedRow(table)
        chosen = self._state.cases[row].id if 0 <= row < len(self._state.cases) else ""
        table.blockSignals(True)
        table.setRowCount(len(cases))
        for row, case in enumerate(cases):
            name = f"▸ {case.id}" if case.isOpen else case.id
            tip = "\n".join(filter(None, [_("Patient: {name}").format(name=case.patient or "–"), case.details]))
            fillRow(table, row, (name, case.patient, case.status, case.image, case.checks), tip)
            if case.id == chosen:
                table.selectRow(row)
        table.blockSignals(False)
        fitHeight(table, 2, 6)

    def _selected(self) -> str:
        row = selectedRow(self.ui.caseTable)
        return self._state.cases[row].id if 0 <= row < len(self._state.cases) else ""

    def _showButtons(self):
        missing = "" if self._selected() else _("Choose a case in the table first.")
        if not self._state.cases:
            missing = _("There is no case yet: add a volume or a folder.")
        allow(self.ui.openCaseButton, missing, _("Show the scan and its label, to draw"))

    def _showNewCase(self):
        name = str(self.ui.caseIdLineEdit.text).strip()
        missing = "" if name else _("Give the case an id first.")
        allow(self.ui.createCaseButton, missing, _("The scan is copied; the volume in the scene stays as it is"))
        note = _("Scans of one patient need the same patient number, so that they are never split between training "
                 "and validation.")  # fmt: skip
        if looksLikeName(name):
            warning = _("⚠ This id may be somebody's name. Ids travel into reports and models: use a number.")
            note = f"{warning}\n{note}"
        self.ui.addCaseNoteLabel.text = note

    def _onOpen(self):
        if self._selected():
            self.openWanted(self._selected())

    def _onCheckAll(self):
        self.checkAllWanted()

    def _onVolume(self):
        self.volumeWanted()

    def _onFolder(self):
        self.folderWanted()

    def _onClose(self):
        self.caseClosed()

    def _onCreate(self):
        if not self.ui.createCaseButton.enabled:
            return
        box = self.ui.patientComboBox
        patient = str(box.currentText).strip()
        same = patient == _("same number as the case")
        self.createWanted(str(self.ui.caseIdLineEdit.text).strip(), "" if same else patient)


_WORDS = {
    "case", "pat", "patient", "scan", "mri", "cbct", "pet", "img", "image", "subject", "sub", "sbj", "site",
    "phantom", "test", "vol", "volume", "train", "val", "head", "neck", "abdomen", "thorax", "pelvis", "study",
    "visit", "session",
}  # fmt: skip


def looksLikeName(text: str) -> bool:
    """Whether an id holds a word of three letters or more that scans are not usually numbered with."""
    word = ""
    for character in f"{text} ":
        if character.isalpha():
            word += character.lower()
        elif word:
            if len(word) > 2 and word not in _WORDS:
                return True
            word = ""
    return False
