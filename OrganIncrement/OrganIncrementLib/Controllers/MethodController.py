"""Section 3: which method with which settings, from the engine's own list."""

import json
from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.MethodList import Method, keepMethods, keptMethods, methodsFrom
from OrganIncrementLib.Controllers.Planner import asArgument
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.MethodSettingsPanel import MethodSettingsPanel, SettingsState

DEFAULT_METHOD, DEFAULT_PRESET = "bla-uag", "practical"
FIRST_MODEL = "supervised"  # the default without a teacher


class MethodController:
    """The engine's methods that fit the choice. Intent: changed(), when there is something new to show.

    inputs: `inputs.given` says what is chosen.
    """

    def __init__(self, ui, services, inputs) -> None:
        self.settingsPanel = MethodSettingsPanel(ui)
        self.changed = Intent()
        self._services, self._inputs, self._parameters = services, inputs, None
        self._task = BackgroundTask(self._onListed)
        self._methods: tuple[Method, ...] = ()
        self._fittingFor: Any = None
        self._fitting: tuple[Method, ...] = ()
        self._problem, self._isAsked = "", False
        self.settingsPanel.settingChanged.connect(self._onSetting)
        self.settingsPanel.resetWanted.connect(self._onReset)

    def attach(self, parameters: Any) -> None:
        """Follow a parameter node; the first time, get the list."""
        self._parameters = parameters
        if not self._methods:
            self._methods = keptMethods(self._services.workspace.root)
        if not self._methods and not self._isAsked:
            self.askAgain()
        self.parametersModified()

    def detach(self) -> None:
        """The parameter node goes."""
        self._parameters = None

    def parametersModified(self) -> None:
        """Another method, preset or setting."""
        if self._parameters is None:
            return
        settings = self.settings()
        note = self.method.presets.get(self.preset, {}).get("note", "") if self.method else ""
        self.settingsPanel.show(
            SettingsState(method=self.name, note=note, settings=settings, changed=len(self.changes()))
        )

    def tick(self) -> None:
        """Look after the list."""
        self._task.tick()

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def askAgain(self) -> None:
        """Ask the engine for its methods, unless they are there."""
        if not self._methods:
            self._isAsked, self._problem = True, ""
            self._task.start(self._services.engine.run("methods", "--json"), _("Reading the methods"))

    @property
    def hindrance(self) -> str:
        """Why no method can be chosen, "" when one can."""
        if self._methods:
            return "" if self.fitting() else _("No method of the engine fits what is chosen.")
        if self._problem:
            return _("The engine's methods cannot be listed. {reason}").format(reason=self._problem)
        return _("The list of methods is being read from the engine.")

    def fitting(self) -> tuple[Method, ...]:
        """The methods whose needs fit what is chosen; baselines only where they are wanted, or nothing else fits."""
        asked = (self._inputs.given, self._showsBaselines, self._methods)
        if asked != self._fittingFor:  # asked for dozens of times by one change of the panel
            fitting = [m for m in self._methods if not m.missing(asked[0])]
            self._fittingFor, self._fitting = asked, self._grouped(fitting) or tuple(fitting)
        return self._fitting

    @property
    def method(self) -> Method | None:
        """The chosen method, or else the default one, or the first that fits."""
        fitting = self.fitting()
        chosen = self._parameters.method if self._parameters is not None else ""
        byName = {m.name: m for m in fitting}
        wanted = (name for name in (chosen, DEFAULT_METHOD, FIRST_MODEL) if name in byName)
        return byName.get(next(wanted, ""), fitting[0] if fitting else None)

    def replaying(self) -> tuple[Method, ...]:
        """All methods that replay a vault."""
        return tuple(m for m in self._methods if m.takesVault)

    @property
    def name(self) -> str:
        """The method's name; the default one before the list is there."""
        return self.method.name if self.method else DEFAULT_METHOD

    @property
    def preset(self) -> str:
        """The chosen preset, or the default one where the method lacks it."""
        chosen = self._parameters.preset if self._parameters is not None else DEFAULT_PRESET
        if self.method is None or chosen in self.method.presets:
            return chosen
        return next(iter(self.method.presets), DEFAULT_PRESET)

    def choices(self) -> tuple[Choice, ...]:
        """The methods as entries of a list: first those that fit, then the others with what they need."""
        given = self._inputs.given
        others = self._grouped([m for m in self._methods if m.missing(given)])
        return tuple(_choice(m, m.missing(given)) for m in (*self.fitting(), *others))

    def _grouped(self, methods: list[Method]) -> tuple[Method, ...]:
        """Those of papers, then baselines where they are wanted."""
        papers = [m for m in methods if not m.isBaseline]
        return (*papers, *(m for m in methods if m.isBaseline and self._showsBaselines))

    @property
    def _showsBaselines(self) -> bool:
        return self._parameters is not None and self._parameters.showBaselines

    def presetChoices(self) -> tuple[Choice, ...]:
        """The method's presets as entries of a list."""
        words = {"practical": _("Practical"), "paper": _("As in the paper"), "slices": _("Slice by slice (2-D)")}
        presets = self.method.presets if self.method else {}
        return tuple(
            Choice(value=name, text=words.get(name, _worded(name)), toolTip=preset.get("note", ""))
            for name, preset in presets.items()
        )

    def settings(self):
        """The settings of the chosen method and preset with what the user entered."""
        return self.method.settingsOf(self.preset, self._entered()) if self.method else ()

    def changes(self) -> tuple[tuple[str, str], ...]:
        """What differs from the preset, as arguments."""
        return tuple((s.name, asArgument(s.value)) for s in self.settings() if not _same(s.value, s.default))

    def _entered(self) -> dict[str, Any]:
        return self._allEntered().get(self.name, {})

    def _allEntered(self) -> dict[str, dict[str, Any]]:
        try:
            entered = json.loads(self._parameters.methodSettings or "{}")
        except ValueError:
            return {}
        return entered if isinstance(entered, dict) else {}

    def _onSetting(self, name: str, value: Any) -> None:
        if self._parameters is None:
            return
        everything = self._allEntered()
        everything[self.name] = {**everything.get(self.name, {}), name: value}
        self._parameters.methodSettings = json.dumps(everything)

    def _onReset(self) -> None:
        if self._parameters is not None:
            everything = self._allEntered()
            everything.pop(self.name, None)
            self._parameters.methodSettings = json.dumps(everything)

    def _onListed(self, command: Any) -> None:
        try:
            if command.state != "finished":
                raise ValueError(command.message)
            self._methods = methodsFrom(command.output)
            keepMethods(self._services.workspace.root, command.output)
        except ValueError as error:
            self._problem = str(error)
        self.parametersModified()
        self.changed()


def _same(a: Any, b: Any) -> bool:
    return list(a) == list(b) if isinstance(a, list | tuple) and isinstance(b, list | tuple) else a == b


def _choice(method: Method, missing: str) -> Choice:
    text = _("{name} (baseline)").format(name=method.title) if method.isBaseline else method.title
    return Choice(value=method.name, text=text, toolTip=method.summary, missing=missing)


def _worded(name: str) -> str:
    return name.replace("-", " ").replace("_", " ").capitalize()
