"""Work for tests of fanning out: what can go wrong with an item, without a model."""

import errno
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from organincrement.imaging.errors import ImageError
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out


@dataclass(frozen=True, kw_only=True)
class Squaring:
    """Squares numbers; what `faults` says of a number happens at it. A mark in `folder` for each begin and each try."""

    folder: Path
    faults: tuple[tuple[int, str], ...] = ()
    seconds: float = 0.0

    def begin(self) -> Callable[[int, Line], int]:
        mark(self.folder, "begin")
        if ("begin", "refused") in self.faults:
            raise ImageError("model: is no model")

        def do(item: int, line: Line) -> int:
            mark(self.folder, f"try-{item}")
            line.between()
            end_s = time.monotonic() + self.seconds
            while time.monotonic() < end_s:
                time.sleep(0.01)
                line.between()
            self._happen(dict(self.faults).get(item, ""), item, line)
            return item * item

        return do

    def _happen(self, fault: str, item: int, line: Line) -> None:
        tries = len(marks(self.folder, f"try-{item}"))
        if fault == "refused":
            raise ImageError(f"pt_{item}: is cut off; get it again")
        if fault == "broken" or (fault == "flaky" and tries == 1):
            raise OSError(5, "Input/output error", f"scan {item}")
        if fault == "missing":
            raise FileNotFoundError(2, "No such file or directory", f"scan {item}")
        if fault == "late":
            raise OSError(errno.ETIMEDOUT, "Connection timed out", f"scan {item}")
        if fault == "full":
            raise OSError(28, "No space left on device", f"scan {item}")
        if fault == "deadly" or (fault == "unlucky" and tries == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        if fault == "told":
            line.notice(f"item {item} is large")
            line.within(1, 2)


def mark(folder: Path, name: str) -> None:
    """Leave a file whose name tells of what happened in which process."""
    (folder / f"{name}.{os.getpid()}.{time.monotonic_ns()}").touch()


def marks(folder: Path, name: str) -> list[str]:
    """The processes that left such a mark, once for each time."""
    return [path.name.split(".")[1] for path in folder.glob(f"{name}.*")]


def squares(work: Squaring, numbers: range, crew: Crew, waiting: Waiting | None = None) -> dict[str, int]:
    """All results, by name."""
    return dict(fan_out(work, {f"pt_{n}": n for n in numbers}, crew, waiting or Waiting()))
