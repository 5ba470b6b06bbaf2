"""A progress bar with a Cancel button and a line below: one for everything that takes longer than a second."""

from dataclasses import dataclass

from slicer.i18n import tr as _


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """What runs; total 0: nobody knows how long. stopping: Cancel was pressed."""

    text: str
    done: int = 0
    total: int = 0
    stopping: bool = False


class TaskBar:
    """Shows a TaskState, or hides the bar and leaves the last message."""

    def __init__(self, progressBar, cancelButton, statusLabel):
        self._bar, self._cancel, self._label = progressBar, cancelButton, statusLabel

    def show(self, task, message):
        """task: TaskState or None; message: what is to be read when nothing runs, may be empty."""
        self._bar.visible = task is not None
        self._cancel.visible = task is not None
        text = message if task is None else task.text
        self._label.text = text
        self._label.visible = bool(text)
        if task is None:
            return
        self._bar.maximum = task.total
        self._bar.value = task.done
        self._cancel.enabled = not task.stopping
        self._cancel.toolTip = _("It is stopping") if task.stopping else _("Stop this; nothing that is there gets lost")
