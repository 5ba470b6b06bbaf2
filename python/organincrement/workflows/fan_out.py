"""One kind of work for many items, shared out: in this process, in processes of this computer, or on Dask's workers.

Whoever does the work, the results are the same. An item that fails does not stop the others; a process that is lost is
no item's fault: what it was at is done again by another.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from organincrement.training.signals import CancelRequested, PauseRequested, is_disk_full
from organincrement.workflows.errors import REFUSALS, WorkflowError
from organincrement.workflows.scan_in_work import ScanInWork, Working, nobody_asks

_NAMES_TOLD = 5


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who does the work.

    scheduler: address of a Dask scheduler, whose workers see the same files under the same paths. processes: without a
    scheduler, so many on this computer; 1: this one; None: as many as pay. retries: how often an item is tried again,
    where it is not this process that does it; one that is refused, by an error of the engine's own, is not.
    """

    scheduler: str | None = None
    processes: int | None = 1
    retries: int = 2

    @property
    def is_shared(self) -> bool:
        """Whether others than this process do the work."""
        return self.scheduler is not None or self.processes != 1

    def seen(self, path: Path) -> Path:
        """A path as whoever does the work sees it: workers elsewhere have another present folder."""
        return path if self.scheduler is None else path.absolute()


@dataclass(frozen=True, kw_only=True)
class Line:
    """What whoever is at an item tells those who wait: as the fields of `Waiting`, but for this item alone."""

    between: Callable[[], None] = lambda: None
    within: Callable[[int, int], None] = lambda part, parts: None
    notice: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Who waits for the work.

    between: called often; may raise to stop it all. notice: told, in a line, of what goes otherwise than asked.
    progress: told how many items are done, of how many, and the last one's name. working: told of parts of one as well.
    """

    between: Callable[[], None] = lambda: None
    notice: Callable[[str], None] = lambda line: None
    progress: Callable[[int, int, str], None] = lambda done, total, name: None
    working: Working = nobody_asks


Item = TypeVar("Item", contravariant=True)
Result = TypeVar("Result", covariant=True)


class Work(Protocol[Item, Result]):
    """What is to be done: plain data that can be pickled, and so can its items and results, which are small."""

    def begin(self) -> Callable[[Item, Line], Result]:
        """Open what all items need, such as a model; once in each process. Returns: what does one item."""


@dataclass(frozen=True)
class Failed:
    """In place of a result: why there is none."""

    error: Exception


class WorkerLost(RuntimeError):  # noqa: N818
    """The processes that were at an item ended, one after another."""

    def __init__(self, times: int) -> None:
        super().__init__(f"the process at it ended {times} times without an answer: killed, or out of memory")


def fan_out(work: Work[Any, Any], items: Mapping[str, Any], crew: Crew, waiting: Waiting) -> Iterator[tuple[str, Any]]:
    """Do the work for every item, by name. Yields: name and result, as soon as there is one, in no certain order.

    Raises: at the end, the error of an item that failed, or where several did, one with their number (WorkflowError
    where all were refused, else RuntimeError); at once what `between` or `work.begin` raises, OSError on a full disk.
    """
    failures: dict[str, Exception] = {}
    done = 0
    with closing(_outcomes(work, items, crew, waiting)) as outcomes:
        for name, outcome in outcomes:
            done += 1
            if isinstance(outcome, Failed):
                failures[name] = outcome.error
                _tell_of(failures, waiting.notice)
            waiting.progress(done, len(items), name)
            if not isinstance(outcome, Failed):
                yield name, outcome
    if failures:
        raise _told_at_the_end(failures, len(items), waiting.notice)


def is_final(error: BaseException) -> bool:
    """Whether another try would end alike: every layer's own error is a ValueError, and speaks of the input."""
    return isinstance(error, ValueError)


def stops_all(error: BaseException) -> bool:
    """Whether no further item is to be begun."""
    return isinstance(error, PauseRequested | CancelRequested) or is_disk_full(error)


def _outcomes(
    work: Work[Any, Any], items: Mapping[str, Any], crew: Crew, waiting: Waiting
) -> Iterator[tuple[str, Any]]:
    if crew.scheduler is not None:
        from organincrement.workflows.fan_out_dask import on_workers

        return on_workers(work, items, crew, waiting)
    if crew.processes not in (None, 1) and len(items) > 1:
        from organincrement.workflows.fan_out_pool import in_processes

        return in_processes(work, items, crew, waiting)
    return _here(work, items, waiting)


def _here(work: Work[Any, Any], items: Mapping[str, Any], waiting: Waiting) -> Iterator[tuple[str, Any]]:
    """One item after another in this process; nothing is tried twice."""
    stopped: list[BaseException] = []

    def between() -> None:
        try:
            waiting.between()
        except BaseException as stop:
            stopped.append(stop)
            raise

    do = work.begin()
    at = ScanInWork(waiting.working, len(items))
    for done, (name, item) in enumerate(items.items()):
        at.begin(done, name)
        try:
            outcome = do(item, Line(between=between, within=at.within, notice=waiting.notice))
        except Exception as error:
            if stops_all(error) or any(error is stop for stop in stopped):
                raise
            outcome = Failed(error)
        yield name, outcome


def _tell_of(failures: Mapping[str, Exception], notice: Callable[[str], None]) -> None:
    """A single failure is told by the error that is raised at the end; from the second on, each when it happens."""
    new = list(failures.items())
    for name, error in new if len(new) == 2 else new[-1:] if len(new) > 2 else ():
        notice(_line_of(name, error))


def _told_at_the_end(failures: Mapping[str, Exception], of: int, notice: Callable[[str], None]) -> Exception:
    """The error to raise; where it is one of several items' own, and does not say which one's, that has been told."""
    if len(failures) == 1:
        name, error = next(iter(failures.items()))
        if of > 1 and name not in str(error):
            notice(_line_of(name, error))
        return error
    names = ", ".join(list(failures)[:_NAMES_TOLD]) + (" …" if len(failures) > _NAMES_TOLD else "")
    kind = WorkflowError if all(isinstance(error, REFUSALS) for error in failures.values()) else RuntimeError
    others = "; the others are done" if len(failures) < of else ""
    return kind(f"{len(failures)} of {of} failed ({names}) as said above{others}")


def _line_of(name: str, error: Exception) -> str:
    return f"{name}: {' '.join(str(error).split()) or type(error).__name__}"
