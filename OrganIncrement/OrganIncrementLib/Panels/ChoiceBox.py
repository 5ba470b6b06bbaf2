"""Choosing from a drop-down by value: filling it keeps the choice and tells nobody."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One entry: what is chosen (a path, say), what people read, and more in the tool tip."""

    value: str
    text: str
    toolTip: str = ""


class ChoiceBox:
    """A QComboBox of Choices; `chosen(value)` is called when the user picks another one."""

    def __init__(self, comboBox, chosen):
        self._box, self._chosen = comboBox, chosen
        self._choices, self._placeholder = None, None
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
                self._box.addItem(choice.text)
        self._box.setCurrentIndex(values.index(value) if isChosen else 0)
        self._box.blockSignals(wasBlocked)
        self._box.toolTip = self._choices[values.index(value)].toolTip if isChosen else placeholder
        self._box.enabled = bool(choices)

    def _onIndex(self, index):
        position = index - (0 if self._placeholder and self._placeholder[1] else 1)
        if self._choices and 0 <= position < len(self._choices):
            self._chosen(self._choices[position].value)
