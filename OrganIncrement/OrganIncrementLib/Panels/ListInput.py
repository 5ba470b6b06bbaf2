"""Any number of things out of a list: a drop-down adds one, a short list shows them, a button takes one away."""

from dataclasses import dataclass

import qt

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.Permission import allow

_ROWS = 3  # shown at once; more are scrolled
_ROW_PX = 20


@dataclass(frozen=True, kw_only=True)
class ListInputState:
    """What can be added, what was added, the words on the drop-down, and why nothing can be added now."""

    choices: tuple[Choice, ...] = ()
    added: tuple[Choice, ...] = ()
    placeholder: str = ""
    missing: str = ""


class ListInput:
    """Intents: added(value), removed(value). The tool tips of a form's widgets say what they do."""

    def __init__(self, comboBox, listWidget, removeButton) -> None:
        self.added, self.removed = Intent(), Intent()
        self._box, self._list, self._button = comboBox, listWidget, removeButton
        self._hint, self._removeHint = comboBox.toolTip, removeButton.toolTip
        self._choices = ChoiceBox(comboBox, self.added)
        self._shown: tuple[Choice, ...] | None = None
        removeButton.connect("clicked(bool)", self._onRemove)
        listWidget.connect("currentRowChanged(int)", self._onRow)

    def show(self, state: ListInputState) -> None:
        """Show the state; the drop-down always stands on its words."""
        self._choices.show(state.choices, "", state.placeholder)
        allow(self._box, state.missing, self._hint)
        if not state.choices and not state.missing:
            self._box.enabled, self._box.toolTip = False, state.placeholder
        if state.added != self._shown:
            self._shown = state.added
            self._fill(state.added)

    def _fill(self, added) -> None:
        wasBlocked = self._list.blockSignals(True)
        self._list.clear()
        for choice in added:
            item = qt.QListWidgetItem(choice.text)
            item.setToolTip(choice.toolTip)
            self._list.addItem(item)
        self._list.setCurrentRow(len(added) - 1)
        self._list.blockSignals(wasBlocked)
        self._list.setFixedHeight(min(len(added), _ROWS) * _ROW_PX + 6)
        self._list.visible = self._button.visible = bool(added)
        self._onRow(len(added) - 1)

    def _onRow(self, row) -> None:
        self._button.enabled = row >= 0
        self._button.toolTip = self._removeHint

    def _onRemove(self) -> None:
        row = self._list.currentRow
        if self._shown and 0 <= row < len(self._shown):
            self.removed(self._shown[row].value)
