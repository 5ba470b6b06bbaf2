"""The other end of `limited`: sets its limits, calls one function, answers in JSON; nothing else is printed."""

import contextlib
import importlib
import json
import math
import os
import signal
import sys
from typing import Any

_STATE = {"limited": False}
SPARE_S = 1.0


def is_limited() -> bool:
    """Whether this process runs under the limits of `run_limited`."""
    return _STATE["limited"]


def call(function: str, arguments: dict[str, Any]) -> Any:
    """Call 'package.module:name'."""
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)(**arguments)


def main() -> None:
    """Answer the one request on standard input."""
    request = json.loads(sys.stdin.buffer.read())
    # What libraries print must not get into the answer, nor anything of a patient onto a terminal.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    set_limits(**request["limits"])
    _STATE["limited"] = True
    try:
        answer = {"result": call(request["function"], request["arguments"])}
    except MemoryError:
        answer = {"memory": True}
    except Exception as error:
        answer = {"failed": type(error).__name__}
    answers.write(json.dumps(answer).encode())
    answers.flush()
    # Libraries may fail while they are unloaded; there is nothing to tidy up.
    os._exit(0)


def set_limits(*, memory_bytes: int, wall_s: float, file_bytes: int, cpu_s: float | None = None) -> None:
    """Limit this process for good: address space, computing time, size of files, no core dump, an end by the clock."""
    try:
        import resource
    except ImportError:  # Windows has none of these; the parent still watches the clock.
        return
    seconds = math.ceil(wall_s + SPARE_S if cpu_s is None else cpu_s)
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        _, hard = resource.getrlimit(limit)
        # macOS refuses some of them.
        with contextlib.suppress(ValueError, OSError):
            lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (lowest, lowest))
    # If the parent is killed, nobody else would end a process that waits.
    signal.setitimer(signal.ITIMER_REAL, wall_s + SPARE_S)


if __name__ == "__main__":
    # Run as a program, this file is a second module; the state belongs to the one that others import.
    importlib.import_module("organincrement.imaging.limited_child").main()
