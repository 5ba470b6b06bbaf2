"""Times side by side, and what a process of its own takes."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENGINE = Path(__file__).resolve().parents[2]

# the child reads its own high-water mark: getrusage would count the parent that it began as a copy of
_CHILD = """
import importlib, json, os, sys, time
from pathlib import Path
module, function, arguments = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
work = getattr(importlib.import_module(module), function)
wall, cpu = time.perf_counter(), time.process_time()
answer = work(**arguments)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
marks = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
used = os.times()
print(json.dumps({"answer": answer, "wall_s": wall, "cpu_s": cpu, "peak_bytes": 1024 * int(marks[0].split()[1]),
    "children_cpu_s": used.children_user + used.children_system}))
"""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Seconds over the rounds: the median, and the quarter below and above which the others lie."""

    median_s: float
    low_s: float
    high_s: float

    def __str__(self) -> str:
        return f"{self.median_s:.3g} s ({self.low_s:.3g} to {self.high_s:.3g})"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a function did in a process of its own: its answer, seconds without the imports, and the most memory."""

    answer: Any
    wall_s: float
    cpu_s: float
    peak_bytes: int
    children_cpu_s: float


def side_by_side(
    ways: Mapping[str, Callable[[], object]], rounds: int = 7, warm: int = 1, clock: Callable[[], float] | None = None
) -> dict[str, Spread]:
    """Time several ways in turn, round by round, so that whatever else the machine does falls on all of them.

    Args: clock: seconds; by default of the wall.
    """
    clock = clock or time.perf_counter
    for _ in range(warm):
        for way in ways.values():
            way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = clock()
            way()
            seconds[name].append(clock() - started)
    return {name: spread(values) for name, values in seconds.items()}


def spread(seconds: list[float]) -> Spread:
    """Median and quartiles."""
    if len(seconds) == 1:
        return Spread(median_s=seconds[0], low_s=seconds[0], high_s=seconds[0])
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Spread(median_s=median, low_s=low, high_s=high)


def in_a_process(function: Callable[..., object], threads: int | None = None, **arguments: object) -> Measured:
    """Run a module's function, as a user would meet it. Args: arguments, answer: what JSON can hold."""
    environment = {**os.environ, "PYTHONPATH": str(_ENGINE), "PYTHONUTF8": "1"}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-c", _CHILD, function.__module__, function.__name__, json.dumps(arguments)]
    done = subprocess.run(command, cwd=_ENGINE, env=environment, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"{function.__name__}: {done.stderr.strip()}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))
