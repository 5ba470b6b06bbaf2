"""Strict JSON for dataclasses: one generic codec for every file, driven by type hints.

Fields become keys in the order of declaration (`from_` is written `from`); a ClassVar is a key with a fixed value, such
as `schema`, or the `kind` that tells the members of a union apart. Nothing unknown, missing or of another type passes.
"""

import dataclasses
import functools
import json
import math
import numbers
import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from .errors import ContractError
from .files import read_bytes, write_atomic

T = TypeVar("T")
MAX_JSON_BYTES = 256 * 2**20

# Document kind -> {version n: change of its JSON from version n to n + 1}. Readers accept one version back.
MIGRATIONS: dict[str, dict[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataclass is laid out in JSON: fixed keys with their value, and the type and field of every other key.

    added: what a key stands for that older files do not have.
    """

    order: tuple[str, ...]
    constants: Mapping[str, str]
    hints: Mapping[str, Any]
    fields: Mapping[str, str]
    added: Mapping[str, Any]


def added(default: Any) -> Any:
    """A field that came later: it may be missing in JSON, and is not written while it equals its default."""
    return dataclasses.field(default=default, metadata={"added": True})


def layout(cls: Any) -> Layout:
    """The JSON layout of a dataclass."""
    return _layout(cls)


@functools.cache
def _layout(cls: Any) -> Layout:
    constants, hints, fields = {}, {}, {}
    order = []
    for name, hint in typing.get_type_hints(cls).items():
        key = name.rstrip("_")
        order.append(key)
        if get_origin(hint) is ClassVar:
            constants[key] = getattr(cls, name)
        else:
            hints[key], fields[key] = hint, name
    later = {item.name.rstrip("_"): item.default for item in dataclasses.fields(cls) if "added" in item.metadata}
    return Layout(tuple(order), constants, hints, fields, later)


def to_json(obj: Any) -> dict[str, Any]:
    """A dataclass as JSON values, keys in their order; raises ContractError for NaN, infinity and unknown types."""
    encoded: dict[str, Any] = _encode(obj, "")
    return encoded


def from_json(cls: type[T], data: Any, *, where: str) -> T:
    """The dataclass that JSON values stand for; `where` names the file in the ContractError raised when they do not."""
    try:
        decoded: T = _decode(cls, _migrated(cls, data), "")
        return decoded
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None


def parse(data: bytes | str, *, where: str) -> Any:
    """JSON text as values; raises ContractError for anything but strict UTF-8 JSON without duplicate keys."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{where}: is not valid JSON ({error}); restore the file or write it again") from None


def loads(cls: type[T], data: bytes | str, *, where: str) -> T:
    """The dataclass that JSON text stands for; raises ContractError as `parse` and `from_json` do."""
    return from_json(cls, parse(data, where=where), where=where)


def read(cls: type[T], path: Path | str) -> T:
    """Read a file; raises ContractError that names the file and the key's path."""
    return loads(cls, read_bytes(path, MAX_JSON_BYTES), where=str(path))


def write(obj: Any, path: Path | str) -> None:
    """Write a file atomically; raises ContractError, before anything is written, for what `read` would refuse."""
    write_atomic(path, dumps(obj, where=str(path)))


def dumps(obj: Any, *, where: str | None = None, indent: int | None = 2) -> str:
    """The text of a file (two-space indent, newline at the end), or one line without its end when `indent` is None."""
    where = where or type(obj).__name__
    try:
        values = to_json(obj)
    except ContractError as error:
        raise ContractError(f"{where}: {error}") from None
    from_json(type(obj), values, where=where)
    return json.dumps(values, indent=indent, ensure_ascii=False, allow_nan=False) + ("" if indent is None else "\n")


def _fail(path: str, message: str) -> ContractError:
    return ContractError(f"{path}: {message}" if path else message)


def _child(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        repeated = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ContractError(f"{repeated}: is there twice; keep one")
    return result


def _refuse_constant(name: str) -> Any:
    raise ContractError(f"{name} is not JSON; write null for a measure without a value")


def _encode(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # JSON may spell half of a surrogate pair, which no file can hold.
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise _fail(path, f"{_shown(value)} is not valid Unicode; rename it")
        return str.__str__(value)  # an enumeration's member as its plain text
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise _fail(path, f"{value} is not JSON; write null for a measure without a value")
        return float(value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _fail(path, "a key is not a string; use strings")
        return {key: _encode(item, _child(path, key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item, f"{path}[{i}]") for i, item in enumerate(value)]
    if dataclasses.is_dataclass(value):
        shape = layout(type(value))
        return {
            key: shape.constants[key]
            if key in shape.constants
            else _encode(getattr(value, shape.fields[key]), _child(path, key))
            for key in shape.order
            if key not in shape.added or getattr(value, shape.fields[key]) != shape.added[key]
        }
    raise _fail(path, f"{type(value).__name__} has no place in JSON; convert it first")


def _decode(hint: Any, value: Any, path: str) -> Any:
    if hint in _SCALARS:
        return _decode_scalar(hint, value, path)
    origin = get_origin(hint)
    if hint is Any:
        return _encode(value, path)
    if origin is Literal:
        # Compared with the type as well, because True == 1 in Python.
        if any(value == option and type(value) is type(option) for option in get_args(hint)):
            return value
        raise _fail(path, f"expected one of {', '.join(map(repr, get_args(hint)))}, found {_shown(value)}")
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(hint), value, path)
    if origin is tuple:
        return _decode_tuple(get_args(hint), value, path)
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise _fail(path, f"expected an object, found {_shown(value)}")
        return {key: _decode(get_args(hint)[1], item, _child(path, key)) for key, item in value.items()}
    return _decode_dataclass(hint, value, path)


_SCALARS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def _decode_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and type(value) is int:
        return _finite(value, path)
    if type(value) is not hint:
        raise _fail(path, f"expected {_SCALARS[hint]}, found {_shown(value)}")
    return _encode(value, path)


def _finite(value: int, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise _fail(path, "is too large a number; correct it") from None


def _decode_tuple(items: tuple[Any, ...], value: Any, path: str) -> Any:
    if not isinstance(value, list | tuple):
        raise _fail(path, f"expected a list, found {_shown(value)}")
    if items[-1] is Ellipsis:
        items = items[:1] * len(value)
    if len(items) != len(value):
        raise _fail(path, f"expected a list of {len(items)}, found {len(value)}")
    return tuple(_decode(item, entry, f"{path}[{i}]") for i, (item, entry) in enumerate(zip(items, value, strict=True)))


def _decode_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and types.NoneType in options:
        return None
    options = tuple(option for option in options if option is not types.NoneType)
    if len(options) == 1:
        return _decode(options[0], value, path)
    kinds = {layout(option).constants["kind"]: option for option in options}
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise _fail(_child(path, "kind"), f"expected one of {', '.join(map(repr, kinds))}, found {_shown(kind)}")
    return _decode(kinds[kind], value, path)


def _decode_dataclass(cls: Any, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _fail(path, f"expected an object, found {_shown(value)}")
    shape = layout(cls)
    for key in value:
        if key not in shape.order:
            raise _fail(_child(path, str(key)), "is an unknown key; remove it, or update OrganIncrement")
    for key in shape.order:
        if key not in value and key not in shape.added:
            raise _fail(_child(path, key), "is missing; add it")
    for key, constant in shape.constants.items():
        if value[key] != constant:
            raise _fail(_child(path, key), f"expected {constant!r}, found {_shown(value[key])}")
    decoded = {
        shape.fields[key]: _decode(hint, value[key], _child(path, key))
        for key, hint in shape.hints.items()
        if key in value
    }
    try:
        return cls(**decoded)
    except ContractError as error:
        raise _fail(path, str(error)) from None


def _migrated(cls: Any, data: Any) -> Any:
    """The data in the version that `cls` describes; raises ContractError when there is no way from its version."""
    schema = layout(cls).constants.get("schema")
    if schema is None or not isinstance(data, Mapping) or data.get("schema", schema) == schema:
        return data  # a missing key is reported together with all others
    kind, current = _kind_and_version(schema)
    found = _kind_and_version(data["schema"]) if isinstance(data["schema"], str) else ("", 0)
    if found[0] != kind:
        raise _fail("schema", f"expected {schema!r}, found {_shown(data['schema'])}; choose another file")
    if found[1] > current:
        raise _fail("schema", f"version {found[1]} of {kind} is newer than {current}; update OrganIncrement")
    step = MIGRATIONS.get(kind, {}).get(found[1])
    if found[1] != current - 1 or step is None:
        raise _fail("schema", f"version {found[1]} of {kind} is no longer read; open it with an older program first")
    return {**step(dict(data)), "schema": schema}


def _kind_and_version(schema: str) -> tuple[str, int]:
    match = re.fullmatch(r"organincrement/([a-z-]+)/([1-9][0-9]{0,5})", schema)
    return (match[1], int(match[2])) if match else ("", 0)
