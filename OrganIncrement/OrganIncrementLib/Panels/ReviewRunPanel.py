"""Letting a model segment the cases in the background, so that its uncertainty can order them."""

from dataclasses import dataclass

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.ListWidgets import currentKey, fillCombo
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Translation import _


@dataclass(frozen=True, kw_only=True)
class ReviewRunState:
    """What the panel shows; models are (path, name). noRun: why it cannot start, "" where it can."""

    models: tuple[tuple[str, str], ...] = ()
    model: str = ""
    noRun: str = ""
    isRunning: bool = False
    done: int = 0
    total: int = 0
    message: str = ""


class ReviewRunPanel:
    """Shows the models and the run's progress; says that a run shall start or end."""

    def __init__(self, ui):
        self.ui = ui
        self.modelChosen = Intent()  # path
        self.modelFileWanted = Intent()
        self.runWanted = Intent()
        self.cancelWanted = Intent()
        self._state = None
        ui.runModelComboBox.connect("currentIndexChanged(int)", self._onModel)
        ui.loadModelButton.connect("clicked(bool)", self._onLoad)
        ui.runButton.connect("clicked(bool)", self._onRun)
        ui.cancelRunButton.connect("clicked(bool)", self._onCancel)

    def show(self, state: ReviewRunState) -> None:
        """Show a state."""
        if state == self._state:
            return
        before, self._state = self._state, state
        ui = self.ui
        if before is None or (before.models, before.model) != (state.models, state.model):
            fillCombo(ui.runModelComboBox, state.models, state.model)
        allow(ui.runModelComboBox, _("A run is under way.") if state.isRunning else "",
               _("The model whose uncertainty shall order the cases"))  # fmt: skip
        allow(ui.runButton, state.noRun, _("Runs in the background; results are kept with the dataset"))
        allow(ui.cancelRunButton, "" if state.isRunning else _("Nothing is running."),
               _("End the run; cases that are done keep their results"))  # fmt: skip
        ui.runProgressBar.visible = state.isRunning
        ui.runProgressBar.maximum = max(0, state.total)
        ui.runProgressBar.value = state.done
        ui.runMessageLabel.text = state.message
        ui.runMessageLabel.visible = bool(state.message)

    def _onModel(self):
        path = currentKey(self.ui.runModelComboBox)
        if path:
            self.modelChosen(path)

    def _onLoad(self):
        self.modelFileWanted()

    def _onRun(self):
        self.runWanted()

    def _onCancel(self):
        self.cancelWanted()
