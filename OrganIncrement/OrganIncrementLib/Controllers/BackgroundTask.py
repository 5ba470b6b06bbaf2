"""One long action of a controller: a command in the background, what to do when it ends, and what to show meanwhile."""

from collections.abc import Callable
from typing import Any

from OrganIncrementLib.Panels.TaskBar import TaskState


class BackgroundTask:
    """At most one command at a time; a new one takes the place of the one before, which is cancelled.

    ended: called with the command once it is over, whatever its state, but not for one that was replaced or dropped.
    """

    def __init__(self, ended: Callable[[Any], None]) -> None:
        self._ended, self._command, self._leaving, self._isStopping = ended, None, [], False
        self.text = ""

    @property
    def running(self) -> bool:
        """Whether its command is not over yet."""
        return self._command is not None

    def start(self, command: Any, text: str) -> None:
        """Start a command, with words for people about what it does."""
        self.drop()
        self._command, self._isStopping, self.text = command, False, text
        if command.state == "created":
            command.start()

    def cancel(self) -> None:
        """Ask the command to end; `ended` is told of it when it has."""
        if self._command is not None:
            self._isStopping = True
            self._command.cancel()

    def drop(self) -> None:
        """Cancel the command, and forget it: nobody is told of its end."""
        if self._command is not None:
            self._command.cancel()
            self._leaving.append(self._command)
            self._command = None

    def tick(self) -> bool:
        """Look at it. Returns: whether something runs or has just ended, so that it is to be shown."""
        for command in self._leaving:
            command.poll()
        self._leaving = [command for command in self._leaving if command.running]
        command = self._command
        if command is None:
            return False
        command.poll()
        if not command.running:
            self._command = None
            self._ended(command)
        return True

    def close(self) -> None:
        """The module goes: end what runs, without waiting."""
        for command in (*self._leaving, *filter(None, (self._command,))):
            command.close() if hasattr(command, "close") else command.cancel()
        self._leaving, self._command = [], None

    def state(self) -> TaskState | None:
        """What to show; None when nothing runs."""
        if self._command is None:
            return None
        progress = self._command.progress
        if progress is None:
            return TaskState(text=self.text, stopping=self._isStopping)
        text = f"{self.text} · {progress.text}" if progress.text else self.text
        return TaskState(text=text, done=progress.done, total=progress.total, stopping=self._isStopping)
