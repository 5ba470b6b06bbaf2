"""Section 2, lower part: whether teacher and scans fit, per scan, before anything is trained."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState

# a sign beside each colour, so that nobody depends on telling colours apart
_SIGNS = {"fits": ("✓", "#0072b2"), "doubtful": ("?", "#9a6700"), "unusable": ("✕", "#b3400f")}
_HIGHEST_ROW = 52  # pixels, about three lines


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """One scan: its id, verdict (fits, doubtful, unusable) and the reason in words."""

    case: str
    verdict: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class AuditState:
    """What the part shows. `hindrance`: why the check cannot start, "" when it can."""

    hindrance: str = ""
    busy: TaskState | None = None
    rows: tuple[AuditRow, ...] = ()
    summary: str = ""


class AuditPanel:
    """Intents: auditWanted(), cancelWanted(), caseWanted(case id)."""

    def __init__(self, ui) -> None:
        self.auditWanted, self.caseWanted = Intent(), Intent()
        self._ui, self._rows = ui, None
        self._row = BusyRow(ui.auditProgressBar, ui.auditCancelButton)
        self.cancelWanted = self._row.cancelWanted
        table = ui.auditTable
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Scan"), _("Fits?"), _("Why")])
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().visible = False
        ui.auditButton.connect("clicked(bool)", self._onAudit)
        table.connect("cellClicked(int,int)", self._onCell)
        table.connect("cellActivated(int,int)", self._onCell)

    def show(self, state: AuditState) -> None:
        """Show the state."""
        ui = self._ui
        self._row.show(state.busy)
        ui.auditButton.visible = state.busy is None
        hint = _("Run the teacher over every scan and say which ones it can be extended on; nothing is trained")
        allow(ui.auditButton, state.hindrance, hint)
        ui.auditSummaryLabel.text = state.summary
        ui.auditSummaryLabel.visible = bool(state.summary)
        ui.auditTable.visible = bool(state.rows)
        if state.rows != self._rows:
            self._rows = state.rows
            self._fill()

    def _fill(self) -> None:
        table = self._ui.auditTable
        words = {"fits": _("fits"), "doubtful": _("doubtful"), "unusable": _("unusable")}
        table.setRowCount(len(self._rows))
        for i, row in enumerate(self._rows):
            sign, color = _SIGNS.get(row.verdict, ("", "#000000"))
            texts = (row.case, f"{sign} {words.get(row.verdict, row.verdict)}", row.reason)
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(_("{text} (click to see the scan)").format(text=row.reason or row.case))
                if column == 1:
                    item.setForeground(qt.QBrush(qt.QColor(color)))
                table.setItem(i, column, item)
        table.resizeColumnToContents(0)
        table.resizeColumnToContents(1)
        table.resizeRowsToContents()
        for i in range(len(self._rows)):
            table.setRowHeight(i, min(table.rowHeight(i), _HIGHEST_ROW))  # all of a long reason is in the tool tip

    def _onAudit(self) -> None:
        self.auditWanted()

    def _onCell(self, row, column) -> None:
        if 0 <= row < len(self._rows or ()):
            self.caseWanted(self._rows[row].case)
