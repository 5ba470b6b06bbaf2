"""The local half of fanning out: processes of this computer, each with a pipe of its own and its share of the threads.

They are started anew, not forked: a fork of a process that has computed on several threads, or on a GPU, hangs.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from organincrement.workflows.fan_out import Crew, Failed, Line, Waiting, Work, WorkerLost, is_final, stops_all

_CONTEXT = multiprocessing.get_context("spawn")
_LOOK_EVERY_S = 0.2
_TELL_EVERY_S = 0.25
_MOST: int = 60 if sys.platform == "win32" else sys.maxsize  # Windows waits for 63 pipes at once at most


class NotBegun(Exception):  # noqa: N818
    """What all items need could not be opened; `args[0]` is why."""


def threads_here() -> int:
    """On how many threads this process may compute."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(
    work: Work[Any, Any], items: Mapping[str, Any], crew: Crew, waiting: Waiting
) -> Iterator[tuple[str, Any]]:
    """Yields: name and result, or Failed, of every item. Raises: as `fan_out`; no process is left then."""
    hired = min(crew.processes or 1, len(items), _MOST)
    pool = _Pool(work=work, items=items, crew=crew, waiting=waiting, threads=max(1, threads_here() // hired))
    try:
        for _ in range(hired):
            pool.hire()
        while pool.done < len(items):
            yield from pool.look()
    finally:
        pool.end()


@dataclass(eq=False)
class _Hand:
    """One process; `name` is of the item that it is at, `share` how much of that is done."""

    process: Any
    line: Connection
    name: str = ""
    share: tuple[int, int] = (0, 1)


@dataclass(kw_only=True)
class _Pool:
    """Hands out items, hears what the processes say, and replaces nobody who is lost while others are left: where
    memory was short, fewer get through."""

    work: Work[Any, Any]
    items: Mapping[str, Any]
    crew: Crew
    waiting: Waiting
    threads: int
    done: int = 0
    hands: list[_Hand] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    queue: deque[str] = field(init=False)

    def __post_init__(self) -> None:
        self.queue = deque(self.items)

    def hire(self) -> None:
        """Start a process, and give it the work and an item."""
        line, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_serve, args=(theirs, self.threads), daemon=True)
        with _starting():
            process.start()
            self.hands.append(_Hand(process, line))
        theirs.close()  # so that its end is the end of the pipe, for whoever reads and for whoever writes
        with suppress(OSError):  # it is lost, and the look at its pipe will find so
            line.send(self.work)
        self._next_for(self.hands[-1])

    def look(self) -> Iterator[tuple[str, Any]]:
        """Hear what was said within a moment."""
        self.waiting.between()
        for line in wait([hand.line for hand in self.hands], _LOOK_EVERY_S):
            hand = next(hand for hand in self.hands if hand.line is line)
            try:
                kind, value = hand.line.recv()
            except (EOFError, OSError, pickle.UnpicklingError):
                yield from self._lost(hand)
                continue
            if kind == "within":
                hand.share = value
                self._tell()
            elif kind == "notice":
                self.waiting.notice(value)
            else:
                yield from self._answered(hand, value)

    def end(self) -> None:
        """No process is left."""
        for hand in self.hands:
            hand.process.kill()
            hand.process.join()
            hand.line.close()
        self.hands.clear()

    def _answered(self, hand: _Hand, outcome: Any) -> Iterator[tuple[str, Any]]:
        name = hand.name
        if isinstance(outcome, Failed):
            if isinstance(outcome.error, NotBegun):
                raise outcome.error.args[0]
            if stops_all(outcome.error):
                raise outcome.error
            self.tries[name] += 1
            if not is_final(outcome.error) and self.tries[name] <= self.crew.retries:
                self.queue.append(name)
                self._next_for(hand)
                return
        self._next_for(hand)
        self.done += 1
        yield name, outcome

    def _lost(self, hand: _Hand) -> Iterator[tuple[str, Any]]:
        hand.process.join()
        hand.line.close()
        self.hands.remove(hand)
        if hand.name:
            self.tries[hand.name] += 1
            if self.tries[hand.name] > self.crew.retries:
                self.done += 1
                yield hand.name, Failed(WorkerLost(self.tries[hand.name]))
            else:
                self.queue.appendleft(hand.name)
        if self.queue and not self.hands:
            self.hire()
        elif self.queue:
            self.waiting.notice(f"a process ended unexpectedly, by want of memory perhaps; {len(self.hands)} go on")
            for idle in [other for other in self.hands if not other.name]:
                self._next_for(idle)

    def _next_for(self, hand: _Hand) -> None:
        hand.name, hand.share = (self.queue.popleft() if self.queue else ""), (0, 1)
        if hand.name:
            try:
                hand.line.send(self.items[hand.name])
            except OSError:  # it is lost, and the look at its pipe will find so
                return
            self._tell()

    def _tell(self) -> None:
        """Of the items in work, the one that is furthest is told of: what is told only grows."""
        at_work = [hand for hand in self.hands if hand.name]
        if at_work:
            first = max(at_work, key=lambda hand: hand.share[0] / max(1, hand.share[1]))
            self.waiting.working(self.done, len(self.items), first.name, *first.share)


@contextmanager
def _starting() -> Iterator[None]:
    """For the start of a process: what is written to it before it reads is short, and Ctrl-C is held back in it.

    A start waits until all is written, for ever where the process is lost before it reads: the pipe takes 64 KiB, and a
    command line may name thousands of scans. Ctrl-C is the parent's to answer; imports would tell it in tracebacks.
    """
    arguments, sys.argv = sys.argv, sys.argv[:1]
    if sys.platform != "win32":
        resource_tracker.getfd()  # the first start would start it, and let Ctrl-C through
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        sys.argv = arguments
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(line: Connection, threads: int) -> None:
    """A process's life: the work comes in, then items, answers go out; the end of pipe or parent is the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # or what it starts could not be interrupted
    threading.Thread(target=_end_with_parent, daemon=True).start()
    do, to_parent, told_s = None, threading.Lock(), 0.0

    def say(kind: str, value: Any) -> None:
        with to_parent:
            line.send((kind, value))

    def within(part: int, parts: int) -> None:
        nonlocal told_s
        if time.monotonic() - told_s > _TELL_EVERY_S:
            told_s = time.monotonic()
            say("within", (part, parts))

    try:
        work: Work[Any, Any] = line.recv()
    except (EOFError, OSError):
        return
    while True:
        try:
            item = line.recv()
        except (EOFError, OSError):
            return
        try:
            do = do or begun(work, threads)
            answer = do(item, Line(within=within, notice=lambda text: say("notice", text)))
        except Exception as error:
            answer = Failed(portable(error))
        say("answer", answer)


def begun(work: Work[Any, Any], threads: int) -> Any:
    """Begin the work on so many threads. Raises: NotBegun."""
    if "torch" in sys.modules:  # a check of files has no need of it, and starts without
        sys.modules["torch"].set_num_threads(threads)
    try:
        return work.begin()
    except Exception as error:
        raise NotBegun(portable(error)) from error


def portable(error: Exception) -> Exception:
    """The error, or one that says the same where it cannot be handed to another process."""
    try:
        made, arguments = error.__reduce__()[:2]  # type: ignore[misc]  # what a pickle of it holds
        whole = str(made(*arguments)) == str(error)  # type: ignore[operator]
    except Exception:
        whole = False
    return error if whole else RuntimeError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
