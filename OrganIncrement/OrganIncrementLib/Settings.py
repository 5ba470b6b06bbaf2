"""What users choose once and find again: thin over QSettings, or over a dict in tests."""

import json
from typing import Any, Protocol, TypeVar

GROUP = "OrganIncrement/"
T = TypeVar("T")


class Store(Protocol):
    """What is needed of QSettings."""

    def value(self, key: str) -> Any:
        """The stored value, or None."""

    def setValue(self, key: str, value: Any) -> None:
        """Store a value."""


class DictStore:
    """A store for tests; it keeps texts only, as the file behind QSettings does."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def value(self, key: str) -> str | None:
        """The stored text, or None."""
        return self.values.get(key)

    def setValue(self, key: str, value: Any) -> None:
        """Store a value as text."""
        self.values[key] = str(value)


class Settings:
    """Reads and writes the extension's keys, such as `folder` or `engine/python`; all lie under `OrganIncrement/`.

    A key may be given with or without that group. Values come back in the type of the default, whatever the store made
    of them: text, yes or no, numbers, and lists of texts.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: str, default: T) -> T:
        """The stored value in the type of `default`; `default` where nothing, or nothing of that type, is stored."""
        stored = self._store.value(_full(key))
        if stored is None or stored == "":
            return default
        try:
            return _asType(stored, default)
        except (TypeError, ValueError):
            return default

    def set(self, key: str, value: Any) -> None:
        """Keep a value; None stands for nothing, so that the default counts again."""
        if value is None:
            value = ""
        if isinstance(value, bool):
            value = "true" if value else "false"
        if isinstance(value, list | tuple):
            value = json.dumps([str(item) for item in value])
        if not isinstance(value, int | float):
            value = str(value)
        self._store.setValue(_full(key), value)


def _full(key: str) -> str:
    return key if key.startswith(GROUP) else GROUP + key


def _asType(stored: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return str(stored).lower() in ("true", "1")
    if isinstance(default, int):
        return int(float(stored))
    if isinstance(default, float):
        return float(stored)
    if isinstance(default, list | tuple):
        items = json.loads(str(stored))
        if not isinstance(items, list):
            raise ValueError("no list")
        return type(default)(str(item) for item in items)
    return str(stored)
