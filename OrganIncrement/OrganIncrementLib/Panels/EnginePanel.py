"""The row at the top, shown only while the engine cannot run: what is missing, and three ways out."""

from dataclasses import dataclass

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.BusyRow import BusyRow
from OrganIncrementLib.Panels.Permission import allow
from OrganIncrementLib.Panels.TaskBar import TaskState


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """What the row shows. `installHindrance`: why nothing can be installed here, "" when it can."""

    shown: bool = False
    text: str = ""
    busy: TaskState | None = None
    installHindrance: str = ""


class EnginePanel:
    """Intents: checkWanted(), installWanted(), pythonWanted(), cancelWanted()."""

    def __init__(self, ui) -> None:
        self.checkWanted, self.installWanted, self.pythonWanted = Intent(), Intent(), Intent()
        self._ui = ui
        self._row = BusyRow(ui.engineProgressBar, ui.engineCancelButton)
        self.cancelWanted = self._row.cancelWanted
        self._buttons = (ui.engineCheckButton, ui.engineInstallButton, ui.enginePythonButton)
        self._hints = tuple(button.toolTip for button in self._buttons)
        ui.engineCheckButton.connect("clicked(bool)", self._onCheck)
        ui.engineInstallButton.connect("clicked(bool)", self._onInstall)
        ui.enginePythonButton.connect("clicked(bool)", self._onPython)

    def show(self, state: EngineState) -> None:
        """Show the state."""
        ui = self._ui
        ui.engineFrame.visible = state.shown
        ui.engineLabel.text = state.text
        self._row.show(state.busy)
        waiting = _("Wait until this is done, or cancel it.") if state.busy else ""
        hindrances = (waiting, waiting or state.installHindrance, waiting)
        for button, hint, hindrance in zip(self._buttons, self._hints, hindrances, strict=True):
            allow(button, hindrance, hint)

    def _onCheck(self) -> None:
        self.checkWanted()

    def _onInstall(self) -> None:
        self.installWanted()

    def _onPython(self) -> None:
        self.pythonWanted()
