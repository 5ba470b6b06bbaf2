"""The stack, the marks and the memory of a pickle that is read as data."""

import struct
from collections.abc import Callable
from typing import Any

from organincrement.models.errors import ModelError
from organincrement.models.pickled_calls import Allowance, Made, Meanings, Named, key_is_plain

_MOST_ODD_KEYS = 10_000  # whose hashes a file could choose so that all fall together
_LARGEST_NUMBER_BYTES = 1024
_LONGEST_LINE = 65536
_COPIES = 4  # bytes that values may take for each byte of the file, where they are copied

_OLD_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
# A model needs none of these; that they are not run is not this list's doing, it only finds the words for the user.
_COMMANDS = {"os", "posix", "nt", "subprocess", "pty", "runpy", "socket", "shutil", "ctypes", "importlib", "sys"}
_COMMAND_CALLS = {
    f"builtins.{name}" for name in ("eval", "exec", "compile", "open", "__import__", "input", "breakpoint")
}


class Machine:
    """What the opcodes of a pickle work on; a misfit raises ModelError or one of Python's own errors of lookup."""

    def __init__(self, data: bytes, start: int, end: int, meanings: Meanings, stored: Callable[[Any], Any]) -> None:
        self._bytes, self._data, self._end = data, memoryview(data), end
        self._meanings, self._stored = meanings, stored
        self.position = start
        self._allowance = Allowance(_COPIES * (end - start) + 2**20)
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._places: dict[int, list[int]] = {}
        self._odd_keys = 0

    def take(self, count: int) -> memoryview:
        """The next bytes, checked against those there are."""
        if not 0 <= count <= self._end - self.position:
            raise ModelError("claims more bytes than it has")
        self.position += count
        return self._data[self.position - count : self.position]

    def next_byte(self) -> int:
        """The next byte as a number."""
        position = self.position
        if position >= self._end:
            raise ModelError("ends in the middle, or describes more than a model needs")
        self.position = position + 1
        return self._data[position]

    def number(self, form: str) -> Any:
        """One packed number."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> bytes:
        """The bytes up to a line break."""
        start = self.position
        end = self._bytes.index(b"\n", start, min(self._end, start + _LONGEST_LINE))
        self.position = end + 1
        return self._bytes[start:end]

    def whole(self, count: int) -> int:
        """A whole number of so many bytes."""
        if count > _LARGEST_NUMBER_BYTES:
            raise ModelError("has a number of thousands of digits")
        return int.from_bytes(self.take(count), "little", signed=True)

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """The value on top."""
        return self._stack.pop()

    def result(self) -> Any:
        """The one value that is left."""
        (value,) = self._stack
        if self._marked:
            raise ModelError("ends in the middle of a list")
        return value

    def mark(self) -> None:
        """Start a new stack on the old one."""
        self._marked.append(self._stack)
        self._stack = []

    def since_mark(self) -> list[Any]:
        """The values since the last mark."""
        values, self._stack = self._stack, self._marked.pop()
        return values

    def drop(self) -> None:
        """Forget the value, or the mark, on top."""
        if self._stack:
            self._stack.pop()
        else:
            self.since_mark()

    def keep(self, place: int) -> None:
        """Remember the value on top."""
        value = self._stack[-1]
        self._memo[place] = value
        if isinstance(value, Made):
            self._places.setdefault(id(value), []).append(place)

    def keep_next(self) -> None:
        """Remember the value on top under the next number."""
        self.keep(len(self._memo))

    def recall(self, place: int) -> None:
        """Push a value that was remembered."""
        self.push(self._memo[place])

    def name(self, module: Any, name: Any) -> None:
        """Push the constant that a name stands for, or the name."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ModelError("asks for a name that is no text")
        named = Named(_OLD_MODULES.get(module, module), name)
        self.push(self._meanings.names.get(named.path, named))

    def call(self, what: Any, args: Any) -> None:
        """Push what a call means, or the call as Made."""
        if not isinstance(what, (Named, Made)) or not isinstance(args, tuple):
            raise ModelError("calls what cannot be called")
        if isinstance(what, Named):
            root = what.module.split(".")[0]
            if root in _COMMANDS or what.path in _COMMAND_CALLS:
                raise ModelError(f"asks to run '{_short(what.path)}', which no model needs; nothing was run")
        meaning = self._meanings.calls.get(what.path) if isinstance(what, Named) else None
        value = NotImplemented if meaning is None else meaning(args, self._allowance)
        self.push(Made(what, args) if value is NotImplemented else value)

    def build(self) -> None:
        """Set a state on the value on top; of a value that has become plain, what its class would keep is dropped."""
        state = self.pop()
        made = self._stack[-1]
        if not isinstance(made, Made):
            return
        if made.state is not None:
            raise ModelError("sets the state of one object twice")
        made.state = state
        meaning = self._meanings.built.get(made.path)
        value = NotImplemented if meaning is None else meaning(made)
        if value is NotImplemented:
            return
        self._stack[-1] = value
        for place in self._places.pop(id(made), ()):
            if self._memo.get(place) is made:
                self._memo[place] = value

    def push_stored(self, key: Any) -> None:
        """Push what is kept elsewhere."""
        self.push(self._stored(key))

    def append(self, values: list[Any]) -> None:
        """Add to the list on top."""
        target = self._stack[-1]
        if isinstance(target, Made):
            target = target.items
        if not isinstance(target, list):
            raise ModelError("adds to what is no list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        """Add pairs to the dict on top."""
        target = self._stack[-1]
        pairs = zip(values[::2], values[1::2], strict=True)
        if isinstance(target, Made):
            target.entries.extend(pairs)
        elif isinstance(target, dict):
            for key, value in pairs:
                target[self._checked_key(key)] = value
        else:
            raise ModelError("sets entries of what is no dict")

    def add_items(self, values: list[Any]) -> None:
        """Add to the set on top."""
        target = self._stack[-1]
        if isinstance(target, Made):
            target.items.extend(values)
        elif isinstance(target, set):
            target.update(map(self._checked_key, values))
        else:
            raise ModelError("adds to what is no set")

    def dict_of(self, values: list[Any]) -> None:
        """Push a dict of pairs."""
        self.push({})
        self.set_items(values)

    def set_of(self, values: list[Any]) -> None:
        """Push a set."""
        self.push(set(map(self._checked_key, values)))

    def _checked_key(self, key: Any) -> Any:
        if not key_is_plain(key):
            raise ModelError("has keys that are no plain values")
        if not isinstance(key, (str, bytes)) and not (type(key) is int and abs(key) < 2**60):
            self._odd_keys += 1
            if self._odd_keys > _MOST_ODD_KEYS:
                raise ModelError("has more odd keys than a model needs")
        return key


def _short(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])
