"""A MONAI bundle's configuration read as data: references are looked up, nothing is imported, evaluated or made.

MONAI itself evaluates what begins with `$` and makes what a `_target_` names. Here a few usual expressions are
understood word by word, names are compared with lists, and everything else is refused where it would matter.
Source: the MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from organincrement.contract.errors import ContractError
from organincrement.contract.files import check_relative
from organincrement.models.errors import ModelError
from organincrement.models.formats.stated import Stated, shown

_MOST_VALUES, _DEEPEST, _MOST_LOOK_UPS = 100_000, 40, 20
_REFERENCE = re.compile(r"\$?@(\w+(?:(?:::|#)\w+)*)")
_IN_BUNDLE = re.compile(r"\$\s*@(\w+)\s*\+\s*(['\"])/?([^'\"$@]+)\2")
_TYPE = re.compile(r"\$?(?:(?:torch|np|numpy)\.)?(float32|float64|float16)")
_LAYER = re.compile(r"\$(torch\.nn(?:\.\w+)*)")
_IMPORT = re.compile(
    r"\$(import (glob|os|re|json|math|datetime|logging|pathlib|monai|torch|ignite|numpy|scripts)( as \w+)?"
    r"|from (monai|torch|ignite|pathlib)(\.[a-z]\w*)* import \w+(, ?\w+)*)"
)
_DANGEROUS = re.compile(
    r"__|\bimport\b|\blambda\b.*\b(os|sys)\.|(?<!\.)\b(eval|exec|open|compile|getattr|globals|locals|vars)\s*\("
    r"|\b(system|popen|subprocess|pickle|socket|ctypes|builtins|importlib|spawn\w*|urlopen)\b"
)
_MAKES = re.compile(r"[A-Za-z]\w*|(monai|torch|ignite|scripts|dynamic_network_architectures)(\.[A-Za-z]\w*)+")
_SPECIAL = ("_target_", "_disabled_", "_desc_", "_mode_", "_meta_")
TARGET, DISABLED = "_target_", "_disabled_"


@dataclass(frozen=True)
class Config:
    """A configuration file. where: its name, for the messages."""

    values: Mapping[str, Any]
    where: str

    def refuse(self, key: str, message: str) -> ModelError:
        """The error that says what is wrong with a key."""
        return ModelError(f"{self.where}: {key}: {message}")

    def check(self) -> None:
        """Refuse what no model needs, wherever it stands. Raises: ModelError naming the key."""
        for count, (key, name, value, depth) in enumerate(walked(self.values)):
            if count > _MOST_VALUES:
                raise ModelError(
                    f"{self.where}: holds more than {_MOST_VALUES} values; it is no bundle's configuration"
                )
            if depth > _DEEPEST:
                raise ModelError(
                    f"{self.where}: is nested over {_DEEPEST} levels deep; it is no bundle's configuration"
                )
            if name.startswith("_") and name not in _SPECIAL:
                raise self.refuse(key, f"'{name[:40]}' is not supported; remove it")
            if name == TARGET and not (isinstance(value, str) and _MAKES.fullmatch(value)):
                raise self.refuse(key, f"{shown(value)} is nothing that a bundle makes; it is not run")
            code = isinstance(value, str) and value.startswith("$")
            if code and _DANGEROUS.search(value) and not _IMPORT.fullmatch(value):
                raise self.refuse(key, f"{shown(value)} is code that no segmentation needs; it is not run")

    def resolved(self, value: Any, key: str) -> Any:
        """A value, or what its reference leads to, which may hold references in turn. Raises: ModelError."""
        for _ in range(_MOST_LOOK_UPS):
            if not isinstance(value, str) or value[:1] not in ("@", "$", "%"):
                return value
            reference = _REFERENCE.fullmatch(value)
            if reference is None:
                return self._literal(value, key)
            value = self._looked_up(reference[1], key)
        raise self.refuse(key, "refers to itself, or over too many references; write the value there")

    def _looked_up(self, reference: str, key: str) -> Any:
        value: Any = self.values
        for name in re.split("::|#", reference):
            if isinstance(value, Mapping) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise self.refuse(key, f"refers to '{reference[:60]}', which is not in the file")
        return value

    def _literal(self, value: str, key: str) -> Any:
        """What a usual expression stands for, as text: a floating-point type, or a layer of torch."""
        known = _TYPE.fullmatch(value) or _LAYER.fullmatch(value)
        if known is not None:
            return known[1]
        what = "a macro" if value[0] == "%" else "an expression"
        raise self.refuse(key, f"{shown(value)} is {what}, and nothing is evaluated; write the value itself")

    def plain(self, value: Any, key: str) -> Any:
        """A value without references anywhere in it. Raises: ModelError for expressions and endless references."""
        return self._plain(value, key, 0, itertools.count())

    def _plain(self, value: Any, key: str, depth: int, count: Iterator[int]) -> Any:
        if depth > _DEEPEST or next(count) > _MOST_VALUES:
            raise self.refuse(key, "refers to itself, or holds too much; write the values there")
        value = self.resolved(value, key)
        if isinstance(value, Mapping):
            return {name: self._plain(inner, key, depth + 1, count) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._plain(inner, key, depth + 1, count) for inner in value]
        return value

    def part(self, key: str, value: Any = None) -> tuple[str, Mapping[str, Any]]:
        """An object with a `_target_`: the last part of that name, and all of it. Raises: ModelError."""
        value = self.resolved(self.values.get(key) if value is None else value, key)
        if not isinstance(value, Mapping) or not isinstance(value.get(TARGET), str):
            raise self.refuse(key, f"should be an object with a {TARGET}, and is {shown(value)}")
        if value.get("_mode_", "default") != "default":
            raise self.refuse(key, f"_mode_ {shown(value['_mode_'])} is not supported; only objects are described")
        return value[TARGET], value

    def options(self, part: Mapping[str, Any], key: str, harmless: frozenset[str] | set[str]) -> Stated:
        """The options of a part without references; those that cannot change a label are not looked at."""
        kept = {name: value for name, value in part.items() if name not in harmless and name[:1] != "_"}
        return Stated({n: self.plain(v, f"{key}::{n}") for n, v in kept.items()}, f"{self.where}: {key}")

    def file_in_bundle(self, value: Any, key: str) -> str:
        """The path, in the bundle, of `$@bundle_root + '/models/model.pt'` and the like. Raises: ModelError."""
        path = ""
        for _ in range(_MOST_LOOK_UPS):
            if value == "@bundle_root":
                break
            found = _IN_BUNDLE.fullmatch(value) if isinstance(value, str) else None
            reference = _REFERENCE.fullmatch(value) if isinstance(value, str) and found is None else None
            if found is None and reference is None:
                raise self.refuse(key, f"{shown(value)} names no file of the bundle in the usual way")
            if found is not None:
                path = f"{found[3].strip('/')}/{path}".strip("/")
            name = found[1] if found is not None else reference[1]  # type: ignore[index]
            value = "@bundle_root" if name == "bundle_root" else self.values.get(name)
        try:
            check_relative(path)
        except ContractError as error:
            raise self.refuse(key, str(error)) from None
        return path


def walked(values: Any) -> Iterator[tuple[str, str, Any, int]]:
    """Every value inside with its path, its own name and its depth, as deep as is looked at; without recursion."""
    pending: list[tuple[str, str, Any, int]] = [("", "", values, 0)]
    while pending:
        key, name, value, depth = pending.pop()
        yield key, name, value, depth
        if depth > _DEEPEST:
            continue
        above = f"{key}::" if key else ""
        if isinstance(value, Mapping):
            pending += [(f"{above}{inner}", str(inner), v, depth + 1) for inner, v in value.items()]
        elif isinstance(value, list):
            pending += [(f"{above}{n}", "", v, depth + 1) for n, v in enumerate(value[: _MOST_VALUES + 1])]
