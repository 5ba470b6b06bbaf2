"""Section 6: several segmentations of one scan into one, and where they contradicted one another."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from organincrement.contract.results import MOST_CONFLICTS
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.ListWidgets import fillRow, fitColumns, fitHeight, selectedRow
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskBar, TaskState

_FEWEST_ROWS, _MOST_ROWS = 1, 6


@dataclass(frozen=True, kw_only=True)
class ConflictRow:
    """One conflict in words: the two organs, how much of the body both claimed, who won and by which rule."""

    organs: str
    volume: str
    winner: str


@dataclass(frozen=True, kw_only=True)
class MergeState:
    """What the section shows. `ticked`: values of parts. `conflicts`: None where nothing was merged yet."""

    parts: tuple[Choice, ...] = ()
    ticked: tuple[str, ...] = ()
    missing: str = ""
    task: TaskState | None = None
    message: str = ""
    conflicts: tuple[ConflictRow, ...] | None = None


class MergePanel:
    """Intents: tickedChanged(values), mergeWanted(), cancelWanted(), conflictWanted(index)."""

    def __init__(self, ui) -> None:
        self.tickedChanged, self.mergeWanted, self.cancelWanted, self.conflictWanted = (Intent() for _i in range(4))
        self._ui, self._shown, self._conflicts = ui, None, None
        self._bar = TaskBar(ui.mergeProgressBar, ui.mergeCancelButton, ui.mergeStatusLabel)
        ui.mergePartsList.connect("itemChanged(QListWidgetItem*)", self._onTick)
        ui.mergeButton.connect("clicked(bool)", self._onMerge)
        ui.mergeCancelButton.connect("clicked(bool)", self._onCancel)
        ui.conflictTable.connect("itemSelectionChanged()", self._onConflict)
        ui.conflictTable.connect("cellClicked(int,int)", self._onCell)
        self.show(MergeState())

    def show(self, state: MergeState) -> None:
        """Show the state."""
        if (state.parts, state.ticked) != self._shown:
            self._shown = (state.parts, state.ticked)
            self._fillParts(state)
        missing = _("Wait for what is running, or cancel it") if state.task else state.missing
        allow(self._ui.mergeButton, missing, _("Make one segmentation of all that are ticked; they stay as they are"))
        self._bar.show(state.task, state.message)
        if state.conflicts != self._conflicts or state.conflicts is None:
            self._conflicts = state.conflicts
            self._fillConflicts(state.conflicts)

    def _fillParts(self, state) -> None:
        parts = self._ui.mergePartsList
        wasBlocked = parts.blockSignals(True)
        parts.clear()
        for part in state.parts:
            item = qt.QListWidgetItem(part.text)
            item.setToolTip(part.toolTip)
            item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            item.setCheckState(qt.Qt.Checked if part.value in state.ticked else qt.Qt.Unchecked)
            parts.addItem(item)
        parts.blockSignals(wasBlocked)

    def _fillConflicts(self, conflicts) -> None:
        ui, table = self._ui, self._ui.conflictTable
        ui.conflictsLabel.visible = conflicts is not None
        table.visible = bool(conflicts)
        if conflicts is None:
            return
        if not conflicts:
            text = _("✓ No conflicts: no voxel was claimed for two organs.")
        elif len(conflicts) < MOST_CONFLICTS:
            text = _("Claimed for two organs, the largest first ({count}):")
        else:
            text = _("Claimed for two organs, the largest {count} (there may be more):")
        ui.conflictsLabel.text = text.format(count=len(conflicts))
        wasBlocked = table.blockSignals(True)
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Organs"), _("Volume"), _("Won by")])
        table.setRowCount(len(conflicts))
        for row, conflict in enumerate(conflicts):
            fillRow(table, row, (conflict.organs, conflict.volume, conflict.winner))
        fitColumns(table, 2)
        fitHeight(table, _FEWEST_ROWS, _MOST_ROWS)
        table.clearSelection()
        table.blockSignals(wasBlocked)

    def _onTick(self, item) -> None:
        parts = self._ui.mergePartsList
        ticked = [i for i in range(len(self._shown[0])) if parts.item(i).checkState() == qt.Qt.Checked]
        values = tuple(self._shown[0][i].value for i in ticked)
        self._shown = (self._shown[0], values)
        self.tickedChanged(values)

    def _onMerge(self) -> None:
        self.mergeWanted()

    def _onCancel(self) -> None:
        self.cancelWanted()

    def _onConflict(self) -> None:
        if selectedRow(self._ui.conflictTable) >= 0:
            self.conflictWanted(selectedRow(self._ui.conflictTable))

    def _onCell(self, row, column) -> None:
        self.conflictWanted(row)  # once more for a row that is chosen already: the views may have been moved since
