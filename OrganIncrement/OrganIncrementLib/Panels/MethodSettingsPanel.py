"""The settings of the chosen method as a form, made of what the engine says about them."""

from dataclasses import dataclass

import qt
from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.SettingField import Setting, SettingField


@dataclass(frozen=True, kw_only=True)
class SettingsState:
    """The settings to show, how many differ from the preset, and what the preset's makers say of it."""

    method: str = ""
    note: str = ""
    settings: tuple[Setting, ...] = ()
    changed: int = 0


class MethodSettingsPanel:
    """Intents: settingChanged(name, value), resetWanted()."""

    def __init__(self, ui) -> None:
        self.settingChanged, self.resetWanted = Intent(), Intent()
        self._ui, self._form, self._fields, self._shape = ui, None, [], None
        ui.resetSettingsButton.connect("clicked(bool)", self._onReset)

    def field(self, name: str) -> SettingField:
        """The input of a setting, by its name in the plan; raises KeyError where there is none."""
        return {field.setting.name: field for field in self._fields}[name]

    def show(self, state: SettingsState) -> None:
        """Show the state; inputs that are the same stay where they are, so that typing is not disturbed."""
        shape = tuple((s.name, s.default, s.low, s.high, s.choices) for s in state.settings)
        if shape != self._shape:
            self._shape = shape
            self._make(state.settings)
        for field, setting in zip(self._fields, state.settings, strict=True):
            if field.setting.value != setting.value:
                field.setting = setting
                field.put(setting.value)
        self._ui.presetNoteLabel.text = state.note
        self._ui.presetNoteLabel.visible = bool(state.note)
        missing = "" if state.changed else _("Every setting has the preset's value.")
        hint = _("{count} changed: take the values of the preset again").format(count=state.changed)
        allow(self._ui.resetSettingsButton, missing, hint)

    def _make(self, settings) -> None:
        if self._form is not None:
            self._form.hide()
            self._form.setParent(None)
            self._form.deleteLater()
        self._form = qt.QWidget()
        layout = qt.QFormLayout(self._form)
        layout.setContentsMargins(0, 0, 0, 0)
        self._fields = [SettingField(setting, self.settingChanged) for setting in settings]
        for field in self._fields:
            label = qt.QLabel(_shownName(field.setting) + ":")
            label.setBuddy(field.widget)
            label.setToolTip(field.widget.toolTip)
            layout.addRow(label, field.widget)
        self._ui.methodSettingsWidget.layout().addWidget(self._form)

    def _onReset(self) -> None:
        self.resetWanted()


def _shownName(setting: Setting) -> str:
    words = setting.name.rpartition(".")[2].replace("_", " ")
    return words[:1].upper() + words[1:]
