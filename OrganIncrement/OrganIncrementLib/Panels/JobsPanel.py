"""Section 3, lower part: the list of jobs."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent

_LOWEST, _HIGHEST = 56, 170  # pixels


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One job of the list; `key` names it, the others are texts."""

    key: str
    name: str
    state: str
    progress: str
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class JobsState:
    """The list, and which job of it is shown below."""

    rows: tuple[JobRow, ...] = ()
    shown: str = ""


class JobsPanel:
    """Intent: jobChosen(key)."""

    def __init__(self, ui) -> None:
        self.jobChosen = Intent()
        self._ui, self._rows = ui, ()
        table = ui.jobTable
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Job"), _("State"), _("Progress")])
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().visible = False
        table.wordWrap = False
        table.connect("currentCellChanged(int,int,int,int)", self._onCurrent)

    def show(self, state: JobsState) -> None:
        """Show the state; only cells whose text has changed are written, so that a long list costs nothing."""
        table = self._ui.jobTable
        table.visible = self._ui.jobsLabel.visible = bool(state.rows)
        wasBlocked = table.blockSignals(True)
        try:
            if state.rows != self._rows:
                self._fill(state.rows)
            keys = [row.key for row in state.rows]
            index = keys.index(state.shown) if state.shown in keys else -1
            if table.currentRow() != index:
                table.setCurrentCell(index, 0)
        finally:
            table.blockSignals(wasBlocked)

    def _fill(self, rows: tuple[JobRow, ...]) -> None:
        table, before = self._ui.jobTable, self._rows
        self._rows = rows
        table.setRowCount(len(rows))
        for i, row in enumerate(rows):
            if i < len(before) and before[i] == row:
                continue
            for column, text in enumerate((row.name, row.state, row.progress)):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(row.hint or row.name)
                table.setItem(i, column, item)
        if [row.name for row in rows] != [row.name for row in before]:
            table.resizeColumnToContents(0)
            table.setColumnWidth(0, min(table.columnWidth(0), 160))
        table.resizeColumnToContents(1)
        if len(rows) != len(before):
            height = table.horizontalHeader().height + sum(table.rowHeight(i) for i in range(len(rows))) + 4
            table.setFixedHeight(max(_LOWEST, min(height, _HIGHEST)))

    def _onCurrent(self, row, column, previousRow, previousColumn) -> None:
        if 0 <= row < len(self._rows):
            self.jobChosen(self._rows[row].key)
