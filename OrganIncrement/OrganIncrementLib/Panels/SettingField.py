"""One setting of a method as an input: its kind follows from its default value."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

_WIDEST = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting: its name in the plan, value, what it is, limits and choices (None, () where there are none)."""

    name: str
    value: Any
    default: Any
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


class SettingField:
    """Makes the input of a setting and tells `changed(name, value)` what the user enters."""

    def __init__(self, setting: Setting, changed: Callable[[str, Any], None]) -> None:
        self.setting, self._changed, self._silent = setting, changed, True
        self.widget = self._made()
        self.widget.setObjectName(_objectName(setting.name, self.widget))
        self.widget.setToolTip(self._hint())
        self.put(setting.value)

    def put(self, value: Any) -> None:
        """Show a value without telling anybody."""
        self._silent = True
        widget, default = self.widget, self.setting.default
        if self.setting.choices:
            widget.currentIndex = self.setting.choices.index(value) if value in self.setting.choices else 0
        elif isinstance(default, bool):
            widget.checked = bool(value)
        elif isinstance(default, int | float):
            widget.value = value
        else:
            widget.text = _written(value)
        self._silent = False

    def _made(self):
        setting = self.setting
        if setting.choices:
            widget = qt.QComboBox()
            for choice in setting.choices:
                widget.addItem(choice)
            widget.connect("currentIndexChanged(int)", self._onChoice)
        elif isinstance(setting.default, bool):
            widget = qt.QCheckBox()
            widget.connect("toggled(bool)", self._onValue)
        elif isinstance(setting.default, int | float):
            widget = self._spinBox()
        else:
            widget = qt.QLineEdit()
            widget.placeholderText = _("from the data") if isinstance(setting.default, list | tuple) else ""
            widget.connect("editingFinished()", self._onText)
        return widget

    def _spinBox(self):
        whole = isinstance(self.setting.default, int)
        widget = qt.QSpinBox() if whole else qt.QDoubleSpinBox()
        low = -_WIDEST if self.setting.low is None else self.setting.low
        high = _WIDEST if self.setting.high is None else self.setting.high
        if not whole:
            widget.decimals = _decimals(self.setting.default)
            widget.singleStep = 10 ** (1 - widget.decimals)
        widget.minimum, widget.maximum = (int(low), int(high)) if whole else (float(low), float(high))
        widget.setKeyboardTracking(False)  # a number is told when it is complete, not at every digit
        widget.connect("valueChanged(int)" if whole else "valueChanged(double)", self._onValue)
        return widget

    def _hint(self) -> str:
        unit = f" ({self.setting.unit})" if self.setting.unit else ""
        default = _written(self.setting.default) or _("from the data")
        return _("{help}{unit}; usually {default}").format(help=self.setting.help, unit=unit, default=default)

    def _onChoice(self, index) -> None:
        if 0 <= index < len(self.setting.choices):
            self._tell(self.setting.choices[index])

    def _onValue(self, value) -> None:
        self._tell(value)

    def _onText(self) -> None:
        text = self.widget.text.strip()
        if not isinstance(self.setting.default, list | tuple):
            self._tell(text)
            return
        try:
            self._tell([float(part) if "." in part else int(part) for part in text.replace(",", " ").split()])
        except ValueError:
            self.put(self.setting.value)

    def _tell(self, value: Any) -> None:
        if not self._silent:
            self._changed(self.setting.name, value)


def _decimals(default: float) -> int:
    """One more than the default has, so that it can be changed a little; at least two."""
    return min(8, max(2, len(f"{default:.8f}".rstrip("0").partition(".")[2]) + 1))


def _written(value: Any) -> str:
    return ", ".join(f"{item:g}" for item in value) if isinstance(value, list | tuple) else str(value)


def _objectName(name: str, widget) -> str:
    first, *others = name.replace(".", "_").split("_")
    return first + "".join(part.capitalize() for part in others) + type(widget).__name__.removeprefix("Q")
