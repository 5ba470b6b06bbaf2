"""What names and calls in a pickle mean to us: a fixed table of plain values; all others stay words.

A pickle tells Python which function to import and what to call it with. Here the function's name is looked up in a
table of this package; the file chooses an entry, never code.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from organincrement.models.errors import ModelError


@dataclass(frozen=True)
class Named:
    """A function or class that a pickle asks for, not imported."""

    module: str
    name: str

    @property
    def path(self) -> str:
        """The dotted name."""
        return f"{self.module}.{self.name}"


@dataclass(eq=False, repr=False)
class Made:
    """An object that a pickle wants to be made, not made: what is to be called, with what, and what is then set on it.

    `items`: what a list, and `entries`: what a dict of that class would have been filled with.
    """

    what: Any
    args: tuple[Any, ...]
    state: Any = None
    items: list[Any] = field(default_factory=list)
    entries: list[tuple[Any, Any]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<{self.path}, not made>"

    @property
    def path(self) -> str:
        """The dotted name of what is to be called."""
        return self.what.path if isinstance(self.what, Named) else "an object of its own"


@dataclass
class Allowance:
    """How many bytes a file may still have copied, so that one that repeats a large value cannot fill the memory."""

    left: int

    def spend(self, count: int) -> None:
        """Raises ModelError when the file has used up its allowance."""
        self.left -= count
        if self.left < 0:
            raise ModelError("copies its values far too often")


Call = Callable[[tuple[Any, ...], Allowance], Any]


@dataclass(frozen=True, kw_only=True)
class Meanings:
    """The tables: constants by name, calls by name, and what is set afterwards on what a call left as Made.

    A function of `calls` or `built` may return NotImplemented: then the object stays Made.
    """

    names: Mapping[str, Any] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    built: Mapping[str, Callable[[Made], Any]] = field(default_factory=dict)

    def with_more(self, other: "Meanings") -> "Meanings":
        """Both tables in one."""
        return Meanings(
            names={**self.names, **other.names},
            calls={**self.calls, **other.calls},
            built={**self.built, **other.built},
        )


_BYTES_PER_ITEM = 64
_MOST_AXES = 32
_LONGEST_TEXT = 1024
_PLAIN_DTYPE = re.compile(r"[<>|=]?(?:[?]|[biufcSU][0-9]{0,6})")
_ENCODINGS = ("latin1", "latin-1", "utf-8", "utf8", "ascii")


def key_is_plain(key: Any) -> bool:
    """Whether a value can be a key: nothing nested, whose hash alone could take for ever."""
    if isinstance(key, tuple):
        return len(key) <= _MOST_AXES and all(item is None or isinstance(item, _SCALARS) for item in key)
    return key is None or isinstance(key, (*_SCALARS, Named))


_SCALARS = (str, int, float, complex, bytes)


def _listed(args: tuple[Any, ...], allowance: Allowance) -> Iterable[Any]:
    (items,) = args or ((),)
    if not isinstance(items, (list, tuple, set, dict)):
        raise ModelError("makes a collection of what is none")
    allowance.spend(_BYTES_PER_ITEM * len(items))
    return items


def _dict(args: tuple[Any, ...], allowance: Allowance) -> dict[Any, Any]:
    items = _listed(args, allowance)
    pairs = items.items() if isinstance(items, dict) else items
    made = {}
    for key, value in pairs:
        if not key_is_plain(key):
            raise ModelError("has keys that are no plain values")
        made[key] = value
    return made


def _set(args: tuple[Any, ...], allowance: Allowance) -> set[Any]:
    items = list(_listed(args, allowance))
    if not all(map(key_is_plain, items)):
        raise ModelError("has a set of what are no plain values")
    return set(items)


def _encoded(args: tuple[Any, ...], allowance: Allowance) -> bytes:
    text, encoding = args if len(args) == 2 else (*args, "utf-8")
    if not isinstance(text, str) or encoding not in _ENCODINGS:
        raise ModelError("has text in an unknown encoding")
    allowance.spend(4 * len(text))
    return text.encode(encoding)


def _bytes(args: tuple[Any, ...], allowance: Allowance) -> Any:
    if len(args) == 2:
        return _encoded(args, allowance)
    if not args:
        return b""
    # of a number, Python would make that many zeros
    if not isinstance(args[0], (bytes, bytearray)):
        return NotImplemented
    if isinstance(args[0], bytes):
        return args[0]
    allowance.spend(len(args[0]))
    return bytes(args[0])


def _complex(args: tuple[Any, ...], _: Allowance) -> complex:
    real, imaginary = args
    return complex(float(real), float(imaginary))


def _dtype(made: Made) -> Any:
    """numpy writes a dtype as its code and size, then a state that starts with a version and the byte order."""
    text, state = made.args[0], made.state
    if text in ("O8", "O4", "O") or not isinstance(text, str) or not _PLAIN_DTYPE.fullmatch(text):
        return NotImplemented
    if state is None:
        return np.dtype(text)
    order = state[1].decode() if isinstance(state[1], bytes) else state[1]
    if order not in ("<", ">", "|", "="):
        raise ModelError("has numbers of an unknown byte order")
    return np.dtype(order + text.lstrip("<>|="))


def _raw(data: Any) -> bytes | bytearray:
    # of Python 2; longer ones are of no model, and are not copied
    if isinstance(data, str) and len(data) <= _LONGEST_TEXT:
        return data.encode("latin-1")
    if not isinstance(data, (bytes, bytearray)):
        raise ModelError("has numbers that are no bytes")
    return data


def _array_of(data: Any, dtype: Any, shape: Any, *, fortran: bool) -> Any:
    if isinstance(dtype, Made) and dtype.path == "numpy.dtype":
        dtype = _dtype(dtype)
    if not isinstance(dtype, np.dtype):
        return NotImplemented
    shape = (shape,) if isinstance(shape, int) else shape
    if not isinstance(shape, (tuple, list)) or len(shape) > _MOST_AXES:
        raise ModelError("has an array of an odd shape")
    if not all(type(edge) is int and edge >= 0 for edge in shape):
        raise ModelError("has an array of an odd shape")
    raw = _raw(data)
    size = dtype.itemsize
    for edge in shape:
        size *= edge
    if size != len(raw) or dtype.itemsize == 0:
        raise ModelError(f"has an array of shape {list(shape)[:5]} in {len(raw)} bytes, which do not fit")
    return np.frombuffer(raw, dtype).reshape(tuple(shape), order="F" if fortran else "C")


def _array(made: Made) -> Any:
    """State of an array: version, shape, dtype, whether columns come first, and its bytes (or a list of objects)."""
    if not isinstance(made.state, tuple) or len(made.state) != 5:
        return NotImplemented
    _, shape, dtype, fortran, data = made.state
    if isinstance(data, list):
        return data if isinstance(shape, tuple) and shape == (len(data),) else NotImplemented
    return _array_of(data, dtype, shape, fortran=bool(fortran))


def _array_in_one(args: tuple[Any, ...], _: Allowance) -> Any:
    data, dtype, shape, order = args[:4]
    return _array_of(data, dtype, shape, fortran=order == "F")


def _scalar(args: tuple[Any, ...], _: Allowance) -> Any:
    dtype, data = args
    value = _array_of(data, dtype, (), fortran=False)
    return value if value is NotImplemented else value.item()


_NUMPY_MODULES = ("numpy.core", "numpy._core")

PLAIN = Meanings(
    calls={
        **dict.fromkeys(("collections.OrderedDict", "builtins.dict", "collections.Counter"), _dict),
        # its first argument would be called for each new key
        "collections.defaultdict": lambda args, allowance: _dict(args[1:], allowance),
        **dict.fromkeys(("builtins.set", "builtins.frozenset"), _set),
        "builtins.list": lambda args, allowance: list(_listed(args, allowance)),
        "builtins.tuple": lambda args, allowance: tuple(_listed(args, allowance)),
        **dict.fromkeys(("builtins.bytes", "builtins.bytearray"), _bytes),
        "builtins.complex": _complex,
        "_codecs.encode": _encoded,
        **{f"{module}.multiarray.scalar": _scalar for module in _NUMPY_MODULES},
        **{f"{module}.numeric._frombuffer": _array_in_one for module in _NUMPY_MODULES},
    },
    built={
        "numpy.dtype": _dtype,
        **{f"{module}.multiarray._reconstruct": _array for module in _NUMPY_MODULES},
    },
)
