"""A panel's way to say what its user wants, without knowing who listens."""

from collections.abc import Callable
from typing import Any


class Intent:
    """A named request: `panel.startWanted.connect(listener)`; calling it calls every listener in order."""

    def __init__(self) -> None:
        self._listeners: list[Callable[..., Any]] = []

    def connect(self, listener: Callable[..., Any]) -> None:
        """Call `listener` with the intent's arguments from now on."""
        self._listeners.append(listener)

    def __call__(self, *arguments: Any) -> None:
        for listener in tuple(self._listeners):
            listener(*arguments)
