"""Adding a folder of scans and labels: where they lie, how they are kept, which value means which organ."""

from dataclasses import dataclass

import qt

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import fitColumns
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _

KINDS = ("folders", "dicom", "nnunet", "decathlon", "csv")  # in the order of the form's entries
STATUSES = ("draft", "submitted", "approved")


@dataclass(frozen=True)
class ImportWanted:
    """What a user wants imported: paths as typed, and for each organ id its value in the label files."""

    kind: str
    images: str
    labels: str
    values: tuple[tuple[str, int], ...]
    absent: bool
    leaveOthers: bool
    status: str


@dataclass(frozen=True)
class ImportState:
    """What the frame shows; organs: (id, name) of the dataset; busy: why it cannot start now."""

    visible: bool = False
    organs: tuple[tuple[str, str], ...] = ()
    busy: str = ""


class AnnotateImportPanel:
    """The frame that `Add folder…` opens."""

    def __init__(self, ui):
        self.ui = ui
        self.imagesWanted = Intent()  # choose the folder, or the table, in a dialog; kind
        self.labelsWanted = Intent()
        self.importWanted = Intent()  # ImportWanted
        self.closed = Intent()
        self._state = ImportState()
        self._organs = None
        ui.imagesButton.connect("clicked(bool)", self._onImages)
        ui.labelsButton.connect("clicked(bool)", self._onLabels)
        ui.importButton.connect("clicked(bool)", self._onImport)
        ui.cancelImportButton.connect("clicked(bool)", self._onClose)
        ui.imagesLineEdit.connect("textChanged(QString)", self._showButton)
        ui.labelsLineEdit.connect("textChanged(QString)", self._showButton)
        ui.organValuesTable.connect("itemChanged(QTableWidgetItem*)", self._showButton)
        ui.importStatusComboBox.currentIndex = STATUSES.index("submitted")
        fitColumns(ui.organValuesTable, stretched=1)

    def show(self, state: ImportState) -> None:
        """Show a state; what was typed stays while the organs are the same."""
        self._state = state
        self.ui.importFrame.visible = state.visible
        if state.organs != self._organs:
            self._organs = state.organs
            self._fillValues(state.organs)
        self._showButton()

    def setImages(self, path: str) -> None:
        """Fill in the scans' folder or table."""
        self.ui.imagesLineEdit.text = path

    def setLabels(self, path: str) -> None:
        """Fill in the labels' folder."""
        self.ui.labelsLineEdit.text = path

    def _fillValues(self, organs):
        table = self.ui.organValuesTable
        table.blockSignals(True)
        table.setRowCount(len(organs))
        for row, (_id, name) in enumerate(organs):
            organ = qt.QTableWidgetItem(name)
            organ.setFlags(qt.Qt.ItemIsEnabled)
            table.setItem(row, 0, organ)
            table.setItem(row, 1, qt.QTableWidgetItem(str(row + 1)))
        table.blockSignals(False)

    def _values(self):
        """(organ id, value) of the rows that hold a value, and the text of the first that is no number from 1."""
        values, wrong = [], ""
        for row, (organId, _name) in enumerate(self._organs or ()):
            text = str(self.ui.organValuesTable.item(row, 1).text()).strip()
            if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
                values.append((organId, int(text)))
            elif text:
                wrong = wrong or text
        return tuple(values), wrong

    def _showButton(self):
        values, wrong = self._values()
        missing = self._state.busy
        if wrong:
            missing = _("'{text}' is no label value: give a whole number from 1, or leave it empty.").format(text=wrong)
        elif not values:
            missing = _("Say which value in the label files means which organ.")
        if not str(self.ui.labelsLineEdit.text).strip() and self._kind() != "csv":
            missing = _("Choose the folder of the labels first.")
        if not str(self.ui.imagesLineEdit.text).strip():
            missing = _("Choose the folder of the scans first.")
        allow(self.ui.importButton, missing, _("Check, copy and number the scans; this can be cancelled"))

    def _kind(self) -> str:
        return KINDS[max(0, self.ui.importKindComboBox.currentIndex)]

    def _onImages(self):
        self.imagesWanted(self._kind())

    def _onLabels(self):
        self.labelsWanted()

    def _onClose(self):
        self.closed()

    def _onImport(self):
        ui = self.ui
        self.importWanted(
            ImportWanted(
                kind=self._kind(),
                images=str(ui.imagesLineEdit.text).strip(),
                labels=str(ui.labelsLineEdit.text).strip(),
                values=self._values()[0],
                absent=bool(ui.absentCheckBox.checked),
                leaveOthers=bool(ui.otherLabelsCheckBox.checked),
                status=STATUSES[max(0, ui.importStatusComboBox.currentIndex)],
            )
        )
