"""Section 3, at the end: one job while it runs and afterwards."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.Permission import allow


@dataclass(frozen=True, kw_only=True)
class ProgressState:
    """What is shown of one job. The hindrances say why a button cannot be used, "" when it can."""

    shown: bool = False
    title: str = ""
    phase: str = ""
    message: str = ""
    step: int = 0
    totalSteps: int = 0
    pauseHindrance: str = ""
    resumeHindrance: str = ""
    cancelHindrance: str = ""
    plotsHindrance: str = ""
    plotsShown: bool = False


class ProgressPanel:
    """Intents: pauseWanted(), resumeWanted(), cancelWanted(), plotsToggled(shown)."""

    def __init__(self, ui) -> None:
        self.pauseWanted, self.resumeWanted, self.cancelWanted, self.plotsToggled = (Intent() for _i in range(4))
        self._ui, self._state = ui, None
        ui.pauseButton.connect("clicked(bool)", self._onPause)
        ui.resumeButton.connect("clicked(bool)", self._onResume)
        ui.cancelJobButton.connect("clicked(bool)", self._onCancel)
        ui.plotsButton.connect("toggled(bool)", self._onPlots)

    def show(self, state: ProgressState) -> None:
        """Show the state; nothing is touched when it is the same as before."""
        if state == self._state:
            return
        self._state, ui = state, self._ui
        ui.jobFrame.visible = state.shown
        ui.jobTitleLabel.text = state.title
        ui.jobPhaseLabel.text = state.phase
        ui.jobPhaseLabel.visible = bool(state.phase)
        ui.jobMessageLabel.text = state.message
        ui.jobMessageLabel.visible = bool(state.message)
        ui.jobProgressBar.maximum = max(state.totalSteps, 1)
        ui.jobProgressBar.value = min(state.step, max(state.totalSteps, 1))
        ui.jobProgressBar.setFormat(
            _("step {step} of {total}").format(step=state.step, total=state.totalSteps) if state.totalSteps else ""
        )
        for button, hindrance, hint in (
            (ui.pauseButton, state.pauseHindrance, _("Save a checkpoint and end the process; the memory is free then")),
            (ui.resumeButton, state.resumeHindrance, _("Go on from the last checkpoint, in a new process")),
            (ui.cancelJobButton, state.cancelHindrance, _("Give this job up; asks first")),
            (ui.plotsButton, state.plotsHindrance, _("Show loss and Dice in Slicer's plot view")),
        ):
            allow(button, hindrance, hint)
        if ui.plotsButton.checked != state.plotsShown:
            wasBlocked = ui.plotsButton.blockSignals(True)
            ui.plotsButton.checked = state.plotsShown
            ui.plotsButton.blockSignals(wasBlocked)

    def _onPause(self) -> None:
        self.pauseWanted()

    def _onResume(self) -> None:
        self.resumeWanted()

    def _onCancel(self) -> None:
        self.cancelWanted()

    def _onPlots(self, checked) -> None:
        self.plotsToggled(bool(checked))
