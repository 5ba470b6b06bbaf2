"""What each opcode of a pickle does, as `pickletools` of Python's library documents them, protocols 0 to 5.

Left out, and so refused: the registry of extensions (EXT1, EXT2, EXT4) and buffers from outside the file
(NEXT_BUFFER, READONLY_BUFFER).
"""

from collections.abc import Callable
from typing import Any

from organincrement.models.errors import ModelError
from organincrement.models.pickled_calls import Made
from organincrement.models.pickled_machine import Machine

Step = Callable[[Machine], None]
_HIGHEST_PROTOCOL = 5
_LONGEST_NUMBER = 2500  # digits


def _protocol(machine: Machine) -> None:
    if machine.number("<B") > _HIGHEST_PROTOCOL:
        raise ModelError("is of a newer pickle protocol than this program knows")


def _frame(machine: Machine) -> None:
    machine.number("<Q")  # a hint on how much to read at once, which nothing here depends on


def _number(form: str) -> Step:
    return lambda machine: machine.push(machine.number(form))


def _text(form: str) -> Step:
    # surrogates pass, as in Python's own reader: old names may hold them
    return lambda machine: machine.push(str(machine.take(machine.number(form)), "utf-8", "surrogatepass"))


def _old_text(form: str) -> Step:
    # Python 2's text and bytes in one; latin-1 keeps each byte
    return lambda machine: machine.push(str(machine.take(machine.number(form)), "latin-1"))


def _bytes(form: str) -> Step:
    return lambda machine: machine.push(bytes(machine.take(machine.number(form))))


def _byte_array(machine: Machine) -> None:
    machine.push(bytearray(machine.take(machine.number("<Q"))))


def _old_integer(machine: Machine) -> None:
    text = machine.line()
    machine.push({b"00": False, b"01": True}[text] if text in (b"00", b"01") else _parsed(text))


def _parsed(text: bytes) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ModelError("has a number of thousands of digits")
    return int(text.removesuffix(b"L"))


def _old_string(machine: Machine) -> None:
    text = machine.line()
    if len(text) < 2 or text[0] != text[-1] or text[:1] not in (b"'", b'"'):
        raise ModelError("has text without quotes")
    machine.push(text[1:-1].decode("unicode_escape"))


def _constant(value: Any) -> Step:
    return lambda machine: machine.push(value)


def _tuple_of(count: int) -> Step:
    def step(machine: Machine) -> None:
        machine.push(tuple(reversed([machine.pop() for _ in range(count)])))

    return step


def _drop_to_mark(machine: Machine) -> None:
    machine.since_mark()


def _frozen_set(machine: Machine) -> None:
    machine.set_of(machine.since_mark())


def _append(machine: Machine) -> None:
    value = machine.pop()
    machine.append([value])


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _again(machine: Machine) -> None:
    value = machine.pop()
    machine.push(value)
    machine.push(value)


def _name_by_lines(machine: Machine) -> None:
    module = machine.line().decode()
    machine.name(module, machine.line().decode())


def _name_from_stack(machine: Machine) -> None:
    name = machine.pop()
    machine.name(machine.pop(), name)


def _instance(machine: Machine) -> None:
    module = machine.line().decode()
    machine.name(module, machine.line().decode())
    what = machine.pop()
    machine.call(what, tuple(machine.since_mark()))


def _object(machine: Machine) -> None:
    what, *args = machine.since_mark()
    machine.call(what, tuple(args))


def _call(machine: Machine) -> None:
    args = machine.pop()
    machine.call(machine.pop(), args)


def _call_with_names(machine: Machine) -> None:
    named, args, what = machine.pop(), machine.pop(), machine.pop()
    if named == {}:
        machine.call(what, args)
        return
    # no call of our tables takes named arguments
    machine.call(Made(what, ()), (args, named))


OPCODES: dict[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": _protocol,
        "\x95": _frame,
        "(": Machine.mark,
        "0": Machine.drop,
        "1": _drop_to_mark,
        "2": _again,
        # numbers
        "I": _old_integer,
        "J": _number("<i"),
        "K": _number("<B"),
        "M": _number("<H"),
        "L": lambda machine: machine.push(_parsed(machine.line())),
        "\x8a": lambda machine: machine.push(machine.whole(machine.number("<B"))),
        "\x8b": lambda machine: machine.push(machine.whole(machine.number("<i"))),
        "F": lambda machine: machine.push(float(machine.line())),
        "G": _number(">d"),
        "N": _constant(None),
        "\x88": _constant(True),
        "\x89": _constant(False),
        # text and bytes
        "S": _old_string,
        "T": _old_text("<i"),
        "U": _old_text("<B"),
        "V": lambda machine: machine.push(machine.line().decode("raw_unicode_escape")),
        "X": _text("<I"),
        "\x8c": _text("<B"),
        "\x8d": _text("<Q"),
        "B": _bytes("<I"),
        "C": _bytes("<B"),
        "\x8e": _bytes("<Q"),
        "\x96": _byte_array,
        # containers
        ")": _constant(()),
        "t": lambda machine: machine.push(tuple(machine.since_mark())),
        "\x85": _tuple_of(1),
        "\x86": _tuple_of(2),
        "\x87": _tuple_of(3),
        "]": lambda machine: machine.push([]),
        "l": lambda machine: machine.push(machine.since_mark()),
        "a": _append,
        "e": lambda machine: machine.append(machine.since_mark()),
        "}": lambda machine: machine.push({}),
        "d": lambda machine: machine.dict_of(machine.since_mark()),
        "s": _set_item,
        "u": lambda machine: machine.set_items(machine.since_mark()),
        "\x8f": lambda machine: machine.push(set()),
        "\x90": lambda machine: machine.add_items(machine.since_mark()),
        "\x91": _frozen_set,
        # memory
        "p": lambda machine: machine.keep(_parsed(machine.line())),
        "q": lambda machine: machine.keep(machine.number("<B")),
        "r": lambda machine: machine.keep(machine.number("<I")),
        "\x94": Machine.keep_next,
        "g": lambda machine: machine.recall(_parsed(machine.line())),
        "h": lambda machine: machine.recall(machine.number("<B")),
        "j": lambda machine: machine.recall(machine.number("<I")),
        # names and calls
        "c": _name_by_lines,
        "\x93": _name_from_stack,
        "i": _instance,
        "o": _object,
        "R": _call,
        "\x81": _call,
        "\x92": _call_with_names,
        "b": Machine.build,
        "P": lambda machine: machine.push_stored(machine.line().decode()),
        "Q": lambda machine: machine.push_stored(machine.pop()),
    }.items()
}
