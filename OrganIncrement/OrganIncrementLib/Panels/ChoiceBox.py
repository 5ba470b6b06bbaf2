"""Choosing from a drop-down by value: filling it keeps the choice and tells nobody."""

from dataclasses import dataclass

import qt

_FLAGS_ROLE = qt.Qt.UserRole - 1  # where the list of a drop-down keeps what can be done with an entry


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One entry: what is chosen (a path, say), what people read, and more in the tool tip.

    missing: why it cannot be chosen now, in a few words; it is then shown with them, and disabled.
    """

    value: str
    text: str
    toolTip: str = ""
    missing: str = ""


class ChoiceBox:
    """A QComboBox of Choices; `chosen(value)` is called when the user picks another one."""

    def __init__(self, comboBox, chosen):
        self._box, self._chosen = comboBox, chosen
        self._choices, self._placeholder, self._shownIndex = None, None, 0
        comboBox.connect("currentIndexChanged(int)", self._onIndex)

    def show(self, choices, value, placeholder):
        """Show these choices with one selected; the placeholder stands where none is."""
        values = [choice.value for choice in choices]
        isChosen = value in values
        wasBlocked = self._box.blockSignals(True)
        if (tuple(choices), placeholder, isChosen) != (self._choices, *(self._placeholder or (None, None))):
            self._choices, self._placeholder = tuple(choices), (placeholder, isChosen)
            self._box.clear()
            if not isChosen:
                self._box.addItem(placeholder)
            for choice in choices:
                self._add(choice)
        self._shownIndex = values.index(value) if isChosen else 0
        self._box.setCurrentIndex(self._shownIndex)
        self._box.blockSignals(wasBlocked)
        self._box.toolTip = self._choices[values.index(value)].toolTip if isChosen else placeholder
        self._box.enabled = bool(choices)

    def _add(self, choice):
        self._box.addItem(f"{choice.text} – {choice.missing}" if choice.missing else choice.text)
        index = self._box.count - 1
        self._box.setItemData(index, choice.toolTip, qt.Qt.ToolTipRole)
        if choice.missing:
            self._box.setItemData(index, 0, _FLAGS_ROLE)

    def _onIndex(self, index):
        position = index - (0 if self._placeholder and self._placeholder[1] else 1)
        if not self._choices or not 0 <= position < len(self._choices):
            return
        if self._choices[position].missing:  # no user gets here
            wasBlocked = self._box.blockSignals(True)
            self._box.setCurrentIndex(self._shownIndex)
            self._box.blockSignals(wasBlocked)
            return
        self._chosen(self._choices[position].value)
