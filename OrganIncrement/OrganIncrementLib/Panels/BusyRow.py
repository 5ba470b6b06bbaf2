"""A progress bar with its text inside and a Cancel button, in one row that is there only while something runs."""

from slicer.i18n import tr as _

from OrganIncrementLib.Intent import Intent
from OrganIncrementLib.Panels.TaskBar import TaskState


class BusyRow:
    """The bar and the button of one long action. Intent: cancelWanted()."""

    def __init__(self, progressBar, cancelButton) -> None:
        self.cancelWanted = Intent()
        self._bar, self._button, self._hint = progressBar, cancelButton, cancelButton.toolTip
        cancelButton.connect("clicked(bool)", self._onCancel)
        self.show(None)

    def show(self, task: TaskState | None) -> None:
        """Show how far it is, or nothing when nothing runs."""
        self._bar.visible = self._button.visible = task is not None
        if task is None:
            return
        self._bar.maximum = max(task.total, 0)  # 0: a bar that moves without an end
        self._bar.value = min(task.done, task.total) if task.total > 0 else 0
        text = _("Stopping…") if task.stopping else task.text
        self._bar.setFormat(text)
        self._bar.textVisible = True
        self._bar.toolTip = text
        self._button.enabled = not task.stopping
        self._button.toolTip = _("It is stopping") if task.stopping else self._hint

    def _onCancel(self) -> None:
        self.cancelWanted()
