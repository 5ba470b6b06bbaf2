"""Progress: a bar on a terminal, plain lines for logs and programs otherwise."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from tqdm import tqdm

from organincrement.contract.errors import ContractError
from organincrement.contract.job import JobFolder, JobStatus

PROGRESS_VARIABLE = "ORGANINCREMENT_PROGRESS"
_EVERY_S = 0.5
_LINE_EVERY_S = 15.0


class CaseCounter:
    """A bar over cases on a terminal; elsewhere lines such as `segment: 3 of 10 (pt_12) 35 of 128`.

    That is: three are done, and of pt_12, which is in work, 35 windows of 128. There is a line every 15 s, for logs; at
    most two a second, from the first moment on, where the environment has ORGANINCREMENT_PROGRESS=lines, for programs.
    """

    def __init__(self, what: str) -> None:
        on_terminal = sys.stderr.isatty()
        self._what = what
        self._bar = tqdm(desc=what, unit=" case", disable=not on_terminal, leave=False)
        asked = os.environ.get(PROGRESS_VARIABLE) == "lines"
        self._every_s = None if on_terminal else _EVERY_S if asked else _LINE_EVERY_S
        self._next_s = time.monotonic() + (0.0 if asked else _LINE_EVERY_S)
        self._lines = 0

    def __call__(self, done: int, total: int, case: str) -> None:
        """Show that so many cases are done, and the name of the last, or of the one in work."""
        self._bar.total, self._bar.n = total, done
        self._bar.set_postfix_str(case)
        self._line(f"{done} of {total}{_in_brackets(case)}", last=done == total)

    def working(self, done: int, total: int, case: str, part: int, parts: int) -> None:
        """Show how far the case in work is: so many parts of so many."""
        self._bar.total, self._bar.n = total, done
        self._bar.set_postfix_str(f"{case} {100 * part // max(1, parts)} %", refresh=False)
        self._bar.update(0)
        self._line(f"{done} of {total}{_in_brackets(case)} {part} of {parts}", last=False)

    def aside(self, line: object) -> None:
        """Print a result while the bar is there."""
        self._bar.clear()
        print(line, flush=True)

    def _line(self, text: str, *, last: bool) -> None:
        now_s = time.monotonic()
        if self._every_s is None or (now_s < self._next_s and not (last and self._lines)):
            return
        self._next_s, self._lines = now_s + self._every_s, self._lines + 1
        print(f"{self._what}: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> "CaseCounter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()


def _in_brackets(name: str) -> str:
    return f" ({' '.join(name.split())})" if name else ""


def duration(seconds: float) -> str:
    """`3 h 10 min`, `4 min 5 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def status_line(status: JobStatus) -> str:
    """State, progress, the last losses and validation, in a line or two."""
    parts = [status.state]
    if status.total_steps:
        parts.append(f"step {status.step} of {status.total_steps}")
    if status.state == "running" and status.progress:
        total = status.progress.total
        parts.append(f"loss {total:.4f}" if total is not None else "loss undefined")
        if status.eta_s is not None:
            parts.append(f"{duration(status.eta_s)} left")
    if status.validated:
        shown = {**status.validated.dice, **{f"{k} (as teacher)": v for k, v in status.validated.agreement.items()}}
        parts.append(", ".join(f"{organ} {value:.3f}" for organ, value in shown.items() if value is not None))
    if status.message:
        parts.append(status.message)
    return " · ".join(parts)


@contextmanager
def watching(job: JobFolder) -> Iterator[None]:
    """Show a job's progress, from its events, while the block runs the job or waits for it."""
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(JobFolder(job.path), over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _show(job: JobFolder, over: threading.Event) -> None:
    on_terminal = sys.stderr.isatty()
    bar = tqdm(total=None, unit=" step", disable=not on_terminal, leave=False, dynamic_ncols=True)
    quiet_s = _LINE_EVERY_S
    while not over.wait(_EVERY_S):
        try:
            status = job.status()
        except (ContractError, OSError):  # what hurts the job, the job itself says
            continue
        if status.total_steps:
            bar.total, bar.n = status.total_steps, status.step
            bar.refresh()
        quiet_s += _EVERY_S
        if not on_terminal and quiet_s > _LINE_EVERY_S and status.step:
            print(status_line(status), file=sys.stderr, flush=True)
            quiet_s = 0.0
    bar.close()
