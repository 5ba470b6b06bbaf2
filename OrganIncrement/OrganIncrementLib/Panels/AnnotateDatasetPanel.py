"""Which dataset is worked on: the list, a new one, the organs it has."""

from dataclasses import dataclass

import qt

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import currentKey, fillCombo, swatch
from OrganIncrementLib.Panels.OrganChips import OrganChip as OrganColour
from OrganIncrementLib.Panels.OrganChips import chipsHtml
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _


@dataclass(frozen=True)
class OrganChip:
    """An organ as people see it; side: left, right or empty; note: what to know about it."""

    id: str
    name: str
    color: tuple[int, int, int]
    side: str = ""
    note: str = ""


@dataclass(frozen=True)
class DatasetState:
    """What the panel shows. frame: "" (closed), "new" or "organs"; missing: why the frame's button cannot work."""

    choices: tuple[tuple[str, str], ...] = ()
    current: str = ""
    info: str = ""
    organs: tuple[OrganChip, ...] = ()
    frame: str = ""
    matches: tuple[OrganChip, ...] = ()
    newOrgans: tuple[OrganChip, ...] = ()
    missing: str = ""


class AnnotateDatasetPanel:
    """Shows the datasets; says which one is wanted, and what a new one is to be."""

    def __init__(self, ui):
        self.ui = ui
        self.datasetChosen = Intent()  # path
        self.newWanted = Intent()
        self.openWanted = Intent()
        self.organsWanted = Intent()
        self.frameClosed = Intent()
        self.searched = Intent()  # text
        self.organAdded = Intent()  # id of a match
        self.organRemoved = Intent()  # id
        self.createWanted = Intent()  # name, modality
        self._matches, self._newOrgans = (), ()
        ui.datasetComboBox.connect("activated(int)", self._onDataset)
        ui.newDatasetButton.connect("clicked(bool)", self._onNew)
        ui.openDatasetButton.connect("clicked(bool)", self._onOpen)
        ui.moreOrgansButton.connect("clicked(bool)", self._onMoreOrgans)
        ui.cancelDatasetButton.connect("clicked(bool)", self._onClose)
        ui.organSearchLineEdit.connect("textChanged(QString)", self._onSearch)
        ui.organSearchLineEdit.connect("returnPressed()", self._onAdd)
        ui.organMatchesList.connect("itemDoubleClicked(QListWidgetItem*)", self._onAdd)
        ui.organMatchesList.connect("currentRowChanged(int)", self._showButtons)
        ui.newOrgansList.connect("currentRowChanged(int)", self._showButtons)
        ui.datasetNameLineEdit.connect("textChanged(QString)", self._showButtons)
        ui.addOrganButton.connect("clicked(bool)", self._onAdd)
        ui.removeOrganButton.connect("clicked(bool)", self._onRemove)
        ui.createDatasetButton.connect("clicked(bool)", self._onCreate)
        self._state = DatasetState()

    def show(self, state: DatasetState) -> None:
        """Show a state."""
        self._state = state
        ui = self.ui
        fillCombo(ui.datasetComboBox, state.choices, state.current)
        allow(ui.datasetComboBox, "" if state.choices else _("No dataset is known yet: press New… or Open…."),
               _("The datasets opened lately"))  # fmt: skip
        ui.datasetInfoLabel.text = state.info
        ui.organsLabel.text = chipsHtml([OrganColour(name=_text(organ), color=organ.color) for organ in state.organs])
        noDataset = "" if state.current else _("Open a dataset first.")
        allow(ui.moreOrgansButton, noDataset, _("Let one more organ be drawn in this dataset"))
        ui.newDatasetFrame.visible = bool(state.frame)
        isNew = state.frame == "new"
        for widget in (ui.datasetNameLabel, ui.datasetNameLineEdit, ui.modalityLabel, ui.modalityComboBox):
            widget.visible = isNew
        ui.createDatasetButton.text = _("Create in a folder…") if isNew else _("Add to the dataset")
        self._matches = _fillList(ui.organMatchesList, self._matches, state.matches)
        self._newOrgans = _fillList(ui.newOrgansList, self._newOrgans, state.newOrgans)
        self._showButtons()

    def clearForm(self) -> None:
        """Empty the fields of the frame."""
        self.ui.datasetNameLineEdit.text = ""
        self.ui.organSearchLineEdit.text = ""

    def _showButtons(self):
        ui = self.ui
        noMatch = "" if self._row(ui.organMatchesList) >= 0 else _("Choose an organ in the list above first.")
        allow(ui.addOrganButton, noMatch, _("Let this organ be drawn"))
        noOrgan = "" if self._row(ui.newOrgansList) >= 0 else _("Choose an organ in the list below first.")
        allow(ui.removeOrganButton, noOrgan, _("Take the organ out of the list again"))
        missing = "" if self._newOrgans else _("Add an organ first.")
        if self._state.frame == "new" and not str(ui.datasetNameLineEdit.text).strip():
            missing = _("Give the dataset a name first.")
        allow(ui.createDatasetButton, missing or self._state.missing, _("The folder is chosen next")
               if self._state.frame == "new" else _("Labels drawn before keep their meaning"))  # fmt: skip

    def _row(self, listWidget):
        return listWidget.currentRow

    def _onDataset(self, index):
        self.datasetChosen(currentKey(self.ui.datasetComboBox))

    def _onNew(self):
        self.newWanted()

    def _onOpen(self):
        self.openWanted()

    def _onMoreOrgans(self):
        self.organsWanted()

    def _onClose(self):
        self.frameClosed()

    def _onSearch(self, text):
        self.searched(str(text))

    def _onAdd(self, item=None):
        row = self._row(self.ui.organMatchesList)
        if 0 <= row < len(self._matches):
            self.organAdded(self._matches[row].id)

    def _onRemove(self):
        row = self._row(self.ui.newOrgansList)
        if 0 <= row < len(self._newOrgans):
            self.organRemoved(self._newOrgans[row].id)

    def _onCreate(self):
        self.createWanted(str(self.ui.datasetNameLineEdit.text).strip(), str(self.ui.modalityComboBox.currentText))


def _text(organ: OrganChip) -> str:
    side = {"left": _("left"), "right": _("right")}.get(organ.side, "")
    shown = organ.name if not side or side in organ.name.lower() else f"{organ.name} ({side})"
    return f"{shown} – {organ.note}" if organ.note else shown


def _fillList(listWidget, before: tuple[OrganChip, ...], now: tuple[OrganChip, ...]) -> tuple[OrganChip, ...]:
    """Fill a list anew where it changed, and choose its first row; returns what it holds now."""
    if before == now:
        return before
    listWidget.blockSignals(True)
    listWidget.clear()
    for organ in now:
        item = qt.QListWidgetItem(swatch(organ.color), _text(organ))
        item.setToolTip(_text(organ))
        listWidget.addItem(item)
    if now:
        listWidget.currentRow = 0
    listWidget.blockSignals(False)
    return now
