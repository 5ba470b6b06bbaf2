"""Section 3, upper part: method, preset, device, the estimate, and the one primary button."""

from dataclasses import dataclass
from html import escape

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.ChoiceBox import Choice, ChoiceBox
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState

_PRIMARY = "QPushButton:enabled { background-color: #1f5f9f; color: white; font-weight: bold; }"


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """What the section shows.

    `methodsHindrance`: why no method can be chosen, "" when one can. `missing`: what keeps Start from working, in the
    user's words, "" when nothing does. `notices`: what should be known before. `starting`: while the plan is made and
    the trainer started.
    """

    methods: tuple[Choice, ...] = ()
    method: str = ""
    methodsHindrance: str = ""
    methodsPlaceholder: str = ""
    summary: str = ""
    source: str = ""
    sourceUrl: str = ""
    presets: tuple[Choice, ...] = ()
    preset: str = ""
    devices: tuple[Choice, ...] = ()
    device: str = "auto"
    estimate: str = ""
    notices: tuple[str, ...] = ()
    missing: str = ""
    starting: TaskState | None = None


class TrainingPanel:
    """Intents: methodChosen(name), presetChosen(name), deviceChosen(name), startWanted(), cancelStartWanted()."""

    def __init__(self, ui) -> None:
        self.methodChosen, self.presetChosen, self.deviceChosen, self.startWanted = (Intent() for _i in range(4))
        self._ui = ui
        self._methods = ChoiceBox(ui.methodComboBox, self.methodChosen)
        self._presets = ChoiceBox(ui.presetComboBox, self.presetChosen)
        self._devices = ChoiceBox(ui.deviceComboBox, self.deviceChosen)
        self._row = BusyRow(ui.startProgressBar, ui.startCancelButton)
        self.cancelStartWanted = self._row.cancelWanted
        ui.startButton.setStyleSheet(_PRIMARY)
        ui.startButton.connect("clicked(bool)", self._onStart)

    def show(self, state: TrainingState) -> None:
        """Show the state."""
        ui = self._ui
        self._methods.show(state.methods, state.method, state.methodsPlaceholder)
        self._presets.show(state.presets, state.preset, state.methodsPlaceholder)
        self._devices.show(state.devices, state.device, "")
        allow(ui.methodComboBox, state.methodsHindrance, _("How the student learns the new organ and keeps the old"))
        hint = _("Practical: suits a hospital's computer. Paper: as published, much longer.")
        allow(ui.presetComboBox, state.methodsHindrance, hint)
        self._showSummary(state)
        ui.estimateLabel.text = state.estimate
        ui.estimateLabel.visible = bool(state.estimate)
        ui.planNoticesLabel.text = "\n".join(f"⚠ {notice}" for notice in state.notices)
        ui.planNoticesLabel.visible = bool(state.notices)
        ui.startButton.visible = state.starting is None
        allow(ui.startButton, state.missing, _("Train a student: a copy of the teacher that learns the new organ"))
        self._row.show(state.starting)

    def _showSummary(self, state: TrainingState) -> None:
        label, text = self._ui.methodSummaryLabel, escape(state.summary)
        if state.source:
            source = escape(state.source)
            text += f' <a href="{escape(state.sourceUrl)}">{source}</a>' if state.sourceUrl else f" {source}"
        label.text = text
        label.visible = bool(text)

    def _onStart(self) -> None:
        self.startWanted()
