"""What the checks of the open case found, one line each, and what can be done about it."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import fillRow, fitColumns, fitHeight, selectedRow
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _


@dataclass(frozen=True)
class CheckRow:
    """One check: level is ok, note, confirm, confirmed or problem; mend: what the Mend button would do, or empty."""

    key: str
    level: str
    text: str
    mend: str = ""


@dataclass(frozen=True)
class ChecksState:
    """What the panel shows; noCheck: why nothing can be checked now."""

    rows: tuple[CheckRow, ...] = ()
    noCheck: str = ""


class AnnotateChecksPanel:
    """Shows the findings; says which are confirmed, and which are to be mended."""

    def __init__(self, ui):
        self.ui = ui
        self.checkWanted = Intent()
        self.confirmed = Intent()  # key
        self.mendWanted = Intent()  # key
        self._state = ChecksState()
        fitColumns(ui.checksTable, stretched=1)
        fitHeight(ui.checksTable, 2, 6)
        ui.checksTable.connect("itemSelectionChanged()", self._showButtons)
        ui.checkButton.connect("clicked(bool)", self._onCheck)
        ui.confirmCheckButton.connect("clicked(bool)", self._onConfirm)
        ui.mendCheckButton.connect("clicked(bool)", self._onMend)

    def show(self, state: ChecksState) -> None:
        """Show a state; the first finding that waits for an answer is selected."""
        if state.rows != self._state.rows:
            self._fill(state.rows)
        self._state = state
        allow(self.ui.checkButton, state.noCheck, _("Look at the label again, as it is drawn now"))
        self._showButtons()

    def _fill(self, rows):
        table = self.ui.checksTable
        table.blockSignals(True)
        table.clearSelection()
        table.setRowCount(len(rows))
        for index, row in enumerate(rows):
            fillRow(table, index, (_word(row.level), row.text))
        table.resizeRowsToContents()
        fitHeight(table, 2, 6)
        waiting = [i for i, row in enumerate(rows) if row.level in ("problem", "confirm")]
        if waiting:
            table.selectRow(waiting[0])
        table.blockSignals(False)

    def _selected(self) -> CheckRow | None:
        row = selectedRow(self.ui.checksTable)
        return self._state.rows[row] if 0 <= row < len(self._state.rows) else None

    def _showButtons(self):
        row = self._selected()
        choose = _("Choose a line above that asks for an answer.")
        canConfirm = row is not None and row.level == "confirm"
        allow(self.ui.confirmCheckButton, "" if canConfirm else choose, _("Say that it is meant like this"))
        mend = row.mend if row is not None else ""
        self.ui.mendCheckButton.text = mend or _("Mend")
        allow(self.ui.mendCheckButton, "" if mend else _("Choose a line above that can be mended by itself."), mend)

    def _onCheck(self):
        self.checkWanted()

    def _onConfirm(self):
        row = self._selected()
        if row is not None:
            self.confirmed(row.key)

    def _onMend(self):
        row = self._selected()
        if row is not None and row.mend:
            self.mendWanted(row.key)


def _word(level: str) -> str:
    """The level as sign and word, so that nobody depends on a colour."""
    return {
        "ok": _("✓ good"),
        "note": _("· note"),
        "confirm": _("? to answer"),
        "confirmed": _("✓ confirmed"),
        "problem": _("✗ problem"),
    }[level]
