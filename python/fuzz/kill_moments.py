"""Where a job can be killed: every call of every Python function and every C function, place by place.

A place is a part of the story (planning, cache, checkpoint, …). In a run without a kill the calls within each place are
counted; a moment is a place and one of its calls, so that it can be repeated. What runs inside one C call is reached
by moments of the place `clock`, a share of the run's time, at which another process kills it.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

CLOCK = "clock"
PLACES = (
    "planning",
    "cache",
    "first checkpoint",
    "checkpoint",
    "step",
    "validation",
    "event",
    "packaging",
    "elsewhere",
)


@dataclass(frozen=True, kw_only=True)
class Moment:
    """share: of the place's calls, or of the run's seconds, after which the process is killed; 0 to 1."""

    place: str
    share: float


def drawn_stories(count: int, seed: int) -> list[tuple[Moment, ...]]:
    """Stories of one to three kills in a row: each place comes first equally often, later kills hit the resumed run."""
    rng = random.Random(seed)
    firsts = [(*PLACES, CLOCK)[i % (len(PLACES) + 1)] for i in range(count)]
    rng.shuffle(firsts)
    return [
        tuple(
            Moment(place=first if turn == 0 else rng.choice((*PLACES[1:], CLOCK)), share=rng.random())
            for turn in range(rng.choice((1, 1, 2, 3)))
        )
        for first in firsts
    ]


class Dial:
    """Counts the calls of each place in this process; at one of them, ends the process as `kill -9` does."""

    def __init__(self, fatal: Mapping[str, int]) -> None:
        self.counts: Counter[str] = Counter()
        self._fatal = dict(fatal)
        self._places = ["elsewhere"]

    def inside(self, place: str, function: Callable[..., Any], *, once: str | None = None) -> Callable[..., Any]:
        """The function, its calls counted under `place`; its first run under `once`."""
        runs = 0

        def counted(*args: Any, **settings: Any) -> Any:
            nonlocal runs
            runs += 1
            self._places.append(once if once and runs == 1 else place)
            try:
                return function(*args, **settings)
            finally:
                self._places.pop()

        return counted

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """For sys.setprofile."""
        place = self._places[-1]
        self.counts[place] += 1
        if self.counts[place] == self._fatal.get(place):
            os.kill(os.getpid(), signal.SIGKILL)


def dialled(dial: Dial) -> None:
    """Put the dial on every place of this process, which runs one job and ends."""
    from organincrement.contract import events
    from organincrement.training import loop
    from organincrement.workflows import cases_cache, train

    wraps: Sequence[tuple[ModuleType | type, str, str, str | None]] = (
        (cases_cache, "_prepare", "cache", None),
        (loop.Trainer, "save", "checkpoint", "first checkpoint"),
        (loop.Trainer, "_step", "step", None),
        (train, "validate", "validation", None),
        (train, "write_student", "packaging", None),
        (events.EventWriter, "write", "event", None),
    )
    for owner, name, place, once in wraps:
        setattr(owner, name, dial.inside(place, getattr(owner, name), once=once))


def run_to_moment(plan_file: Path, folder: Path, fatal: Mapping[str, int], report: Any) -> None:
    """In a process of its own: make the job or open it, run it, and send counts and seconds if it comes to its end.

    report: the writing end of a pipe; it says `ready` first. Making the job counts as the place `planning`.
    """
    from organincrement.workflows.train import run_job

    os.setsid()  # whatever this process starts can be found by its session
    os.register_at_fork(after_in_child=lambda: sys.setprofile(None))  # a data worker is not the job
    dial = Dial(fatal)
    dialled(dial)
    report.send("ready")
    started_s = time.perf_counter()
    sys.setprofile(dial)
    try:
        run_job(dial.inside("planning", job_of)(plan_file, folder))
    finally:
        sys.setprofile(None)
    report.send((dict(dial.counts), time.perf_counter() - started_s))


def job_of(plan_file: Path, folder: Path) -> Any:
    """The job of a folder, made of the plan where there is none yet."""
    from organincrement.contract.job import JobFolder
    from organincrement.workflows.train import create_job

    return JobFolder.open(folder) if (folder / "plan.json").exists() else create_job(plan_file, folder)
