"""The dataset under review and its cases, the most uncertain first, with small pictures."""

from dataclasses import dataclass

import qt

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import currentKey, fillCombo, selectedRow
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _

CASE_COLUMN = 0
OTHER_WIDTHS = (86, 88)  # of uncertainty and status; the case has the rest
WARNING_STYLE = "color: #b35900;"  # dark orange: readable, and told from black by everybody
ROW_HEIGHT = 52


@dataclass(frozen=True, kw_only=True)
class ReviewCaseRow:
    """One case in words; notes: lines below the status; toolTip: what there was no room for."""

    id: str
    uncertainty: str
    status: str
    notes: str
    toolTip: str = ""
    isOpen: bool = False


@dataclass(frozen=True, kw_only=True)
class ReviewCasesState:
    """What the panel shows; entries are (key, text). noDataset: what is missing, "" while a dataset is open."""

    datasets: tuple[tuple[str, str], ...] = ()
    dataset: str = ""
    message: str = ""
    isWarning: bool = False
    noDataset: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    filter: str = ""
    organs: tuple[tuple[str, str], ...] = ()
    organ: str = ""
    results: tuple[tuple[str, str], ...] = ()
    result: str = ""
    rows: tuple[ReviewCaseRow, ...] = ()
    reviewed: int = 0
    total: int = 0
    progress: str = ""


class ReviewCasesPanel:
    """Shows the table; says which dataset, order and case are wanted."""

    def __init__(self, ui):
        self.ui = ui
        self.datasetChosen = Intent()  # folder
        self.folderWanted = Intent()
        self.readAgainWanted = Intent()
        self.filterChosen = Intent()  # key
        self.organChosen = Intent()  # organ id, "" for all
        self.resultsChosen = Intent()  # key
        self.caseWanted = Intent()  # case id
        self._state = None
        self._rowOf = {}
        self._pictures = {}
        ui.datasetComboBox.connect("currentIndexChanged(int)", self._onDataset)
        ui.openDatasetButton.connect("clicked(bool)", self._onFolder)
        ui.readAgainButton.connect("clicked(bool)", self._onReadAgain)
        ui.filterComboBox.connect("currentIndexChanged(int)", self._onFilter)
        ui.orderComboBox.connect("currentIndexChanged(int)", self._onOrgan)
        ui.resultsComboBox.connect("currentIndexChanged(int)", self._onResults)
        ui.caseTable.connect("cellClicked(int,int)", self._onCase)
        ui.caseTable.connect("cellActivated(int,int)", self._onCase)
        self._layOut()

    def show(self, state: ReviewCasesState) -> None:
        """Show a state; widgets that show it already are left as they are."""
        before, self._state = self._state, state
        ui = self.ui
        for combo, entries, key in (
            (ui.datasetComboBox, state.datasets, state.dataset),
            (ui.filterComboBox, state.filters, state.filter),
            (ui.orderComboBox, state.organs, state.organ),
            (ui.resultsComboBox, state.results, state.result),
        ):
            fillCombo(combo, entries, key)
        ui.datasetMessageLabel.text = state.message
        ui.datasetMessageLabel.visible = bool(state.message)
        ui.datasetMessageLabel.styleSheet = WARNING_STYLE if state.isWarning else ""
        allow(ui.readAgainButton, state.noDataset, _("Read all cases, results and the history again"))
        allow(ui.filterComboBox, state.noDataset, _("Which cases the table lists"))
        allow(ui.orderComboBox, state.noDataset, _("The organ whose uncertainty orders the table, or all of them"))
        noResults = _("No model has segmented these cases yet: see Advanced.")
        allow(ui.resultsComboBox, state.noDataset or ("" if state.result else noResults),
               _("Whose uncertainty and segmentation are shown"))  # fmt: skip
        if before is None or before.rows != state.rows:
            self._fill(state.rows)
        ui.reviewedProgressBar.maximum = max(1, state.total)
        ui.reviewedProgressBar.value = state.reviewed
        ui.reviewedProgressBar.setFormat(state.progress or _("No dataset is open"))

    def showPicture(self, caseId: str, png: bytes) -> None:
        """Show a case's picture; it is kept for rows that come back."""
        pixmap = qt.QPixmap()
        try:
            pixmap.loadFromData(qt.QByteArray(png), "PNG")
        except (AttributeError, TypeError, ValueError):  # a Qt that takes no bytes from Python: no pictures then
            return
        icon = qt.QIcon(pixmap)
        icon.addPixmap(pixmap, qt.QIcon.Selected)  # else it is tinted in the colour of the selection
        self._pictures[caseId] = icon
        item = self.ui.caseTable.item(self._rowOf[caseId], CASE_COLUMN) if caseId in self._rowOf else None
        if item is not None:
            item.setIcon(self._pictures[caseId])

    def forgetPictures(self) -> None:
        """Another dataset is shown, whose cases may have the same ids."""
        self._pictures.clear()

    def _layOut(self):
        table = self.ui.caseTable
        table.verticalHeader().visible = False
        table.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Interactive)
        for column, width in enumerate(OTHER_WIDTHS, 1):
            table.setColumnWidth(column, width)
        header.setSectionResizeMode(CASE_COLUMN, qt.QHeaderView.Stretch)

    def _fill(self, rows):
        table = self.ui.caseTable
        table.blockSignals(True)
        if [row.id for row in rows] != list(self._rowOf):
            table.setRowCount(len(rows))
            self._rowOf = {row.id: i for i, row in enumerate(rows)}
        opened = -1
        for i, row in enumerate(rows):
            name = f"▸{row.id}" if row.isOpen else row.id
            status = f"{row.status}\n{row.notes}" if row.notes else row.status
            for column, text in enumerate((name, row.uncertainty, status)):
                self._write(i, column, text, row.toolTip)
            icon = self._pictures.get(row.id)
            table.item(i, CASE_COLUMN).setIcon(icon if icon is not None else qt.QIcon())
            opened = i if row.isOpen else opened
        if opened >= 0 and selectedRow(table) != opened:
            table.setCurrentCell(opened, CASE_COLUMN)
        table.blockSignals(False)

    def _write(self, row, column, text, toolTip):
        table = self.ui.caseTable
        item = table.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem(text)
            item.setFlags(qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled)
            table.setItem(row, column, item)
        elif str(item.text()) != text:
            item.setText(text)
        item.setToolTip(toolTip or text)

    def _onDataset(self):
        folder = currentKey(self.ui.datasetComboBox)
        if folder:
            self.datasetChosen(folder)

    def _onFolder(self):
        self.folderWanted()

    def _onReadAgain(self):
        self.readAgainWanted()

    def _onFilter(self):
        self.filterChosen(currentKey(self.ui.filterComboBox))

    def _onOrgan(self):
        self.organChosen(currentKey(self.ui.orderComboBox))

    def _onResults(self):
        self.resultsChosen(currentKey(self.ui.resultsComboBox))

    def _onCase(self, row):
        rows = self._state.rows if self._state else ()
        if 0 <= row < len(rows):
            self.caseWanted(rows[row].id)
