"""Whether the engine can run: asked once in the background, and what the user can do when it cannot."""

from typing import Any

from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Engine.EngineEnvironment import EngineFacts
from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Logics.EngineInstall import InstallError, install
from OrganIncrementLib.Panels.EnginePanel import EnginePanel, EngineState


class EngineController:
    """`facts`: what the last check found, None before. Intent: changed(), when that is something new."""

    def __init__(self, ui, services) -> None:
        self._ui, self._services, self._panel = ui, services, EnginePanel(ui)
        self.changed = Intent()
        self.facts: EngineFacts | None = None
        self._check = BackgroundTask(self._onChecked)
        self._isAsked = self._isStarted = False
        self._panel.checkWanted.connect(self.askAgain)
        self._panel.installWanted.connect(self._onInstall)
        self._panel.pythonWanted.connect(self._onPython)
        self._panel.cancelWanted.connect(self._check.cancel)
        ui.engineRowButton.connect("toggled(bool)", self._onRowToggled)

    def attach(self, parameters) -> None:
        """The first time, ask the engine what it is."""
        if not self._isStarted:
            self._isStarted = True
            self._startCheck()
        self._show()

    def detach(self) -> None:
        """Nothing of the scene is kept."""

    def parametersModified(self) -> None:
        """Nothing of the scene is shown."""

    def tick(self) -> None:
        """Look after the check."""
        if self._check.tick():
            self._show()

    def close(self) -> None:
        """The module goes."""
        self._check.close()

    @property
    def hindrance(self) -> str:
        """Why nothing can be computed, "" when it can, or nobody knows yet."""
        if self.facts is None or self.facts.ok:
            return ""
        return _("The engine cannot run: {reason}").format(reason=self.facts.message)

    def askAgain(self) -> None:
        """Check once more, because the user wants to know or something was changed."""
        self._isAsked = True
        self._startCheck()
        self._show()

    def _startCheck(self) -> None:
        self._check.start(self._services.engine.checkCommand(), _("Starting the engine"))

    def _onChecked(self, command: Any) -> None:
        if command.state == "cancelled":
            return
        self.facts = self._services.engine.facts(command)
        wasAsked, self._isAsked = self._isAsked, False
        self._show()
        self.changed()
        if wasAsked and self.facts.ok:
            self._services.dialogs.info(self._described())

    def _onInstall(self) -> None:
        if self.facts is None or self.facts.ok:
            return
        plan = self._services.engine.installPlan(self.facts)
        if plan.isEmpty or plan.byHand:
            self._services.dialogs.info(self.facts.message if plan.isEmpty else plan.text)
            return
        try:
            if install(plan, self._services.dialogs):
                self.askAgain()
        except InstallError as error:
            self._services.dialogs.error(str(error))

    def _onPython(self) -> None:
        chosen = self._services.dialogs.openFile(_("The Python that is to run the engine"))
        if chosen is None:
            return
        self._services.engine.setPython(chosen)
        self.askAgain()

    def _onRowToggled(self, checked) -> None:
        self._show()

    def _described(self) -> str:
        facts = self.facts
        lines = [facts.message, _("Python: {path}").format(path=facts.python)]
        return "\n".join(line for line in lines if line)

    def _show(self) -> None:
        isBroken = self.facts is not None and not self.facts.ok
        text = self.facts.message if self.facts is not None else _("The engine is being started to see what it needs.")
        hindrance = "" if isBroken else _("Nothing is missing.")
        shown = isBroken or bool(self._ui.engineRowButton.checked)
        self._panel.show(EngineState(shown=shown, text=text, busy=self._check.state(), installHindrance=hindrance))
        self._ui.engineInfoLabel.text = text
