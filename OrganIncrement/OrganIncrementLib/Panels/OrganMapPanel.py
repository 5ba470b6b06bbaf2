"""Section 3: what organs of the teacher count as, where they are also, or may be, among those of the new data."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.ListWidgets import HEADER_PX, fitColumns

_ROW_PX, _MOST_ROWS = 30, 6


@dataclass(frozen=True, kw_only=True)
class OrganMapRow:
    """One organ of the teacher. `answer`: a value of `choices`; another text: not answered yet."""

    organ: str
    name: str
    choices: tuple[Choice, ...]
    answer: str


@dataclass(frozen=True, kw_only=True)
class OrganMapState:
    """What the part shows; without rows it is hidden. `others`: organs of which the user may say something too."""

    question: str = ""
    rows: tuple[OrganMapRow, ...] = ()
    others: tuple[Choice, ...] = ()


class OrganMapPanel:
    """Intents: answered(organ, value), added(organ)."""

    def __init__(self, ui) -> None:
        self.answered, self.added = Intent(), Intent()
        self._ui, self._shown, self._boxes = ui, None, []
        self._others = ChoiceBox(ui.organMapAddComboBox, self.added)
        self.show(OrganMapState())

    def show(self, state: OrganMapState) -> None:
        """Show the state."""
        ui = self._ui
        ui.organMapFrame.visible = bool(state.rows)
        ui.organMapLabel.text = state.question
        self._others.show(state.others, "", _("An organ of the teacher counts as another…"))
        asked = tuple((row.organ, row.name, row.choices) for row in state.rows)
        if asked != self._shown:
            self._shown = asked
            self._fill(state.rows)
        for (box, _combo), row in zip(self._boxes, state.rows, strict=True):
            box.show(row.choices, row.answer, _("Choose…"))

    def _fill(self, rows: tuple[OrganMapRow, ...]) -> None:
        table = self._ui.organMapTable
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Organ of the teacher"), _("Counts as")])
        table.setRowCount(0)  # the drop-downs of the rows before go with them
        table.setRowCount(len(rows))
        self._boxes = []
        for number, row in enumerate(rows):
            item = qt.QTableWidgetItem(row.name)
            item.setFlags(qt.Qt.ItemIsEnabled)
            item.setToolTip(row.organ)
            table.setItem(number, 0, item)
            combo = qt.QComboBox()
            combo.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(10)
            self._boxes.append((ChoiceBox(combo, self._answering(row.organ)), combo))
            table.setCellWidget(number, 1, combo)
            table.setRowHeight(number, _ROW_PX)
        fitColumns(table, 1)
        table.setFixedHeight(min(max(len(rows), 1), _MOST_ROWS) * _ROW_PX + HEADER_PX)

    def _answering(self, organ: str):
        def answer(value: str) -> None:
            self.answered(organ, value)

        return answer
