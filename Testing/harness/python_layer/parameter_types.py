"""Annotations of typed parameters, and turning values into the text kept in the node."""

import dataclasses
import enum
import json
import pathlib
import types
import typing

import slicer


@dataclasses.dataclass
class Default:
    value: object = None
    generator: object = None


@dataclasses.dataclass
class WithinRange:
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"Value {value} is not within [{self.minimum}, {self.maximum}]")


@dataclasses.dataclass
class Minimum:
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"Value {value} is below {self.minimum}")


@dataclasses.dataclass
class Maximum:
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"Value {value} is above {self.maximum}")


class Choice:
    def __init__(self, choices):
        self.choices = list(choices)

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"Value {value!r} is not one of {self.choices}")


class NotNone:
    @staticmethod
    def validate(value):
        if value is None:
            raise ValueError("Value must not be None")


@dataclasses.dataclass
class Decimals:
    value: int


@dataclasses.dataclass
class SingleStep:
    value: float


class FloatRange(typing.NamedTuple):
    minimum: float
    maximum: float


def node_classes(kind):
    """MRML class names if the type is a node class or a union of node classes and None."""
    members = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    members = [m for m in members if m is not type(None)]
    if members and all(isinstance(m, type) and issubclass(m, slicer.vtkMRMLNode) for m in members):
        return [m.__name__ for m in members]
    return None


def split(annotation):
    """(type, list of annotations) of a possibly Annotated type."""
    if typing.get_origin(annotation) is typing.Annotated:
        kind, *extras = typing.get_args(annotation)
        return kind, [e() if isinstance(e, type) and e is NotNone else e for e in extras]
    return annotation, []


def is_optional(kind):
    return type(None) in typing.get_args(kind)


def plain(kind):
    """X for `X | None`, otherwise the type itself."""
    members = [m for m in typing.get_args(kind) if m is not type(None)]
    optional = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return members[0] if optional and len(members) == 1 else kind


def zero(kind):
    """The value of a parameter that has no default."""
    if is_optional(kind) or node_classes(kind):
        return None
    base = typing.get_origin(kind) or kind
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return next(iter(base))
    if base is FloatRange:
        return FloatRange(0.0, 0.0)
    if base is tuple:
        return tuple(zero(m) for m in typing.get_args(kind) if m is not Ellipsis)
    return base()


def encode(value, kind):
    def simple(v):
        if isinstance(v, enum.Enum):
            return v.name
        if isinstance(v, pathlib.PurePath):
            return str(v)
        if isinstance(v, dict):
            return {str(k): simple(x) for k, x in v.items()}
        return [simple(x) for x in v] if isinstance(v, (list, tuple)) else v

    base = plain(kind)
    return value if base is str and value is not None else json.dumps(simple(value))


def decode(text, kind):
    base = plain(kind)
    if base is str and not (is_optional(kind) and text == "null"):
        return text
    return _rebuild(json.loads(text), kind)


def _rebuild(value, kind):
    kind = plain(kind)
    base, members = typing.get_origin(kind) or kind, typing.get_args(kind)
    if value is None:
        return None
    if isinstance(base, type) and issubclass(base, enum.Enum):
        return base[value]
    if base is FloatRange:
        return FloatRange(*value)
    if base is list:
        return [_rebuild(v, members[0]) if members else v for v in value]
    if base is tuple:
        inner = [members[0]] * len(value) if len(members) == 2 and members[1] is Ellipsis else members
        return tuple(_rebuild(v, k) for v, k in zip(value, inner, strict=True)) if inner else tuple(value)
    if base is dict:
        return {k: _rebuild(v, members[1]) if members else v for k, v in value.items()}
    return base(value)
