"""A pickle read as data: an interpreter of its opcodes that imports nothing and calls nothing that the file names.

Source: the opcodes as `pickletools` of Python's library documents them, protocols 0 to 5.
"""

import struct
from collections.abc import Callable
from typing import Any

from organincrement.models.errors import ModelError
from organincrement.models.pickled_calls import PLAIN, Made, Meanings, Named
from organincrement.models.pickled_machine import Machine
from organincrement.models.pickled_opcodes import OPCODES

__all__ = ["MAX_BYTES", "Made", "Named", "read_one", "read_pickled"]

MAX_BYTES = 64 * 2**20
_MOST_STEPS = 300_000  # some fifty for each tensor, and some thousand tensors
_DEEPEST = 200
_MOST_VALUES = 20_000_000
_CONTAINERS = (dict, list, tuple, set)
_STOP = ord(".")


def read_pickled(data: bytes | memoryview, name: str) -> Any:
    """The value that a pickle holds: plain containers, numbers, text, bytes and numpy's numbers and arrays.

    Args: name: of the file, for messages.
    Returns: other classes and functions as Named, what would be made with them as Made.
    Raises: ModelError, one line, for what is no pickle, beyond the limits above, or wants to run a command.
    """
    return read_one(data, name)[0]


def _no_storage(_: Any) -> Any:
    raise ModelError("refers to data outside itself")


def read_one(
    data: bytes | memoryview,
    name: str,
    *,
    start: int = 0,
    meanings: Meanings = PLAIN,
    stored: Callable[[Any], Any] = _no_storage,
) -> tuple[Any, int]:
    """One pickle of a file that may hold more after it.

    Args: stored: the value for a persistent id, by which a pickle names data that it keeps elsewhere.
    Returns: the value, and where the pickle ends. Raises: ModelError, one line.
    """
    machine = Machine(bytes(data), start, min(len(data), start + MAX_BYTES), meanings, stored)
    try:
        value = _run(machine)
        _check_extent(value)
    except ModelError as error:
        raise ModelError(f"{name}: {error}; get the file again, from a place that you trust") from None
    except (LookupError, ValueError, TypeError, OverflowError, struct.error):
        raise ModelError(f"{name}: is no readable pickle or is damaged; get the file again") from None
    except (RecursionError, MemoryError):
        raise ModelError(f"{name}: is nested or sized as no model is; get another file") from None
    return value, machine.position


def _run(machine: Machine) -> Any:
    for _ in range(_MOST_STEPS):
        code = machine.next_byte()
        if code == _STOP:
            return machine.result()
        step = OPCODES.get(code)
        if step is None:
            raise ModelError(f"has opcode 0x{code:02x}, which no model needs")
        step(machine)
    raise ModelError(f"takes more than {_MOST_STEPS} steps to read, as no model does")


def _inner(value: Any) -> list[Any]:
    inside = value.values() if isinstance(value, dict) else value
    return [item for item in inside if isinstance(item, _CONTAINERS)]


def _check_extent(root: Any) -> None:
    """Refuse what whoever walks it could not follow: a container in itself, too deep, or too large with its repeats.

    Each container is visited once, however often it is referred to.
    """
    extents: dict[int, tuple[int, int]] = {}  # depth, and how many values a walk meets
    path = [(root, _inner(root))] if isinstance(root, _CONTAINERS) else []
    on_path = {id(root)}
    while path:
        value, left = path[-1]
        if left:
            item = left.pop()
            if id(item) in on_path:
                raise ModelError("holds a list that holds itself")
            if id(item) not in extents:
                path.append((item, _inner(item)))
                on_path.add(id(item))
            if len(path) > _DEEPEST:
                raise ModelError(f"is nested more than {_DEEPEST} deep")
            continue
        path.pop()
        on_path.discard(id(value))
        inner = [extents[id(item)] for item in _inner(value)]
        depth = 1 + max((depth for depth, _ in inner), default=0)
        size = 1 + len(value) + sum(size for _, size in inner)
        if depth > _DEEPEST or size > _MOST_VALUES:
            raise ModelError(f"is nested more than {_DEEPEST} deep, or repeats its values more than a model needs")
        extents[id(value)] = depth, size
