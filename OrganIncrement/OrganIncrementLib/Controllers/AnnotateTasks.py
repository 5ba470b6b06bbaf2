"""The one task that runs in the background: its bar, its end, its error in words."""

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Panels.AnnotateNextPanel import AnnotateTaskPanel
from OrganIncrementLib.Translation import _


class AnnotateTasks:
    """One at a time, so that it is clear what the bar and Cancel are about."""

    def __init__(self, ui, session) -> None:
        self._session = session
        self._task = BackgroundTask(self._onEnded)
        self._ended, self._saysErrors = None, True
        self.panel = AnnotateTaskPanel(ui)
        self.panel.cancelled.connect(self._task.cancel)

    def start(self, command, text: str, ended, *, saysErrors: bool = True) -> None:
        """Run a command. ended(command) is called when it is over; saysErrors: a failure is told here, in a dialog."""
        self._ended, self._saysErrors = ended, saysErrors
        self._session.busy = _("Wait until this is done, or cancel it: {text}.").format(text=text)
        self._task.start(command, text)
        self.panel.show(self._task.state())
        self._session.changed()

    def tick(self) -> None:
        """Look after the task."""
        if self._task.tick():
            self.panel.show(self._task.state())

    def close(self) -> None:
        """The module goes."""
        self._task.close()

    def _onEnded(self, command) -> None:
        text, self._session.busy = self._task.text, ""
        if command.state == "failed" and self._saysErrors:
            self._session.services.dialogs.error(
                _("{text}: this did not work. {reason}").format(text=text, reason=command.message)
            )
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(command)
        self._session.changed()
