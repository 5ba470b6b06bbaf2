"""What another tool's JSON file states, read key by key; what is missing or of another kind is refused in one line."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import read_bytes
from organincrement.models.errors import ModelError

_MOST_BYTES = 64 * 2**20
_LONGEST_LINE = 200


@dataclass(frozen=True)
class Stated:
    """An object of a file. where: the file's name, and the key's path in it, for the messages."""

    values: Mapping[str, Any]
    where: str

    @classmethod
    def read(cls, path: Path) -> "Stated":
        """Raises: ModelError where there is no such file, or it holds no JSON object."""
        try:
            values = codec.parse(read_bytes(path, _MOST_BYTES), where=path.name)
        except ContractError as error:
            raise ModelError(_one_line(str(error))) from None
        if not isinstance(values, dict):
            raise ModelError(f"{path.name}: is no JSON object; get the file again")
        return cls(values, path.name)

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def refuse(self, key: str, message: str) -> ModelError:
        """The error that says what is wrong with a key."""
        return ModelError(f"{self.where}: {key}: {message}")

    def _get(self, key: str) -> Any:
        if key not in self:
            raise self.refuse(key, "is missing; get the file again")
        return self.values[key]

    def line(self, key: str) -> str:
        """Text as one line, which may be long or missing: its beginning, or nothing."""
        value = self.values.get(key)
        return " ".join(value.split())[:_LONGEST_LINE] if isinstance(value, str) else ""

    def part(self, key: str) -> "Stated":
        """An object inside."""
        value = self._get(key)
        if not isinstance(value, Mapping):
            raise self.refuse(key, f"should be an object, and is {shown(value)}")
        return Stated(value, f"{self.where}: {key}")

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = default if default is not None and key not in self else self._get(key)
        if not isinstance(value, str):
            raise self.refuse(key, f"should be text, and is {shown(value)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, f"should be true or false, and is {shown(value)}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        value = default if default is not None and key not in self else self._get(key)
        if not is_number(value):
            raise self.refuse(key, f"should be a number, and is {shown(value)}")
        return float(value)

    def numbers(self, key: str, count: int | None = None) -> list[float]:
        """A list of finite numbers."""
        return [float(value) for value in self._list(key, is_number, "numbers", count)]

    def whole(self, key: str, count: int | None = None) -> list[int]:
        """A list of whole numbers."""
        return [int(value) for value in self._list(key, is_whole, "whole numbers", count)]

    def items(self, key: str) -> list[Any]:
        """A list of anything."""
        return self._list(key, lambda value: True, "values", None)

    def _list(self, key: str, fits: Any, kind: str, count: int | None) -> list[Any]:
        value = self._get(key)
        if not isinstance(value, list) or not all(map(fits, value)) or len(value) != (count or len(value)):
            raise self.refuse(key, f"should be a list of {f'{count} ' if count else ''}{kind}, and is {shown(value)}")
        return value


def is_number(value: Any) -> bool:
    """Whether JSON gave a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Whether JSON gave a whole number, also as 3.0."""
    return is_number(value) and float(value).is_integer()


def shown(value: Any) -> str:
    """A value in a message, cut short."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _one_line(text: str) -> str:
    return " ".join(text.split())
