"""From what is chosen to a plan.json: made in the background while the user looks at the estimate, used by Start."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.plan import Plan
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Workspace import WorkspaceError

_AFTER_S = 0.8  # without another change, so that typing a number does not start five plans


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a plan is asked for; `changes` as (name, value) of settings that differ from the preset.

    `files`: marks the state of the datasets' cases, so that a plan made before the last approval is not used.
    """

    teachers: tuple[str, ...]
    datasets: tuple[str, ...]
    method: str
    preset: str
    device: str
    include: tuple[str, ...]
    changes: tuple[tuple[str, str], ...] = ()
    oldDatasets: tuple[str, ...] = ()
    vault: str = ""
    files: tuple[tuple[int, int], ...] = ()
    merges: tuple[tuple[str, str], ...] = ()

    def arguments(self, out: Path) -> list[str]:
        """The engine's command."""
        inputs = (
            ("--teacher", self.teachers), ("--dataset", self.datasets), ("--old-dataset", self.oldDatasets),
            ("--exemplars", (self.vault,) if self.vault else ()),
            ("--set", tuple(f"{name}={value}" for name, value in self.changes)),
            ("--merge", tuple(f"{old}={new}" for old, new in self.merges)),
        )  # fmt: skip
        given = [word for option, values in inputs if values for word in (option, *values)]
        return [
            "plan", *given, "--method", self.method, "--preset", self.preset, "--device", self.device,
            "--include", *self.include, "--out", str(out),
        ]  # fmt: skip


def asArgument(value: Any) -> str:
    """A setting's value as `--set` takes it: words as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def filesMark(dataset: Path) -> tuple[int, int]:
    """How many case files a dataset has, and when one was last written; cheap enough to ask before each start."""
    try:
        with os.scandir(dataset / "cases") as entries:
            times = [entry.stat().st_mtime_ns for entry in entries if entry.name.endswith(".json")]
    except OSError:
        return (0, 0)
    return (len(times), max(times, default=0))


class Planner:
    """`want(order)` whenever something changes; plan, notices and problem are of that order, once they are known."""

    def __init__(self, services, changed: Callable[[], None]) -> None:
        self._services, self._changed = services, changed
        self._task = BackgroundTask(self._onEnded)
        self._order: Order | None = None
        self._due_s: float | None = None
        self._number = 0
        self.plan: Plan | None = None
        self.path: Path | None = None
        self.problem = ""
        self.notices: tuple[str, ...] = ()  # what the engine found worth saying of a plan that it made

    @property
    def running(self) -> bool:
        """Whether a plan is being made, or soon will be."""
        return self._task.running or self._due_s is not None

    @property
    def state(self):
        """What to show of the plan that is being made."""
        return self._task.state()

    def want(self, order: Order | None) -> None:
        """Make a plan of this order soon, unless it is the one that is there; None: nothing to plan."""
        if order == self._order:
            return
        self.forget()
        self._order = order
        if order is not None:
            self._due_s = time.monotonic() + _AFTER_S

    def now(self) -> None:
        """Do not wait for further changes."""
        if self._due_s is not None:
            self._due_s = time.monotonic()

    def again(self) -> None:
        """Make the plan of the same order once more, because the one there cannot be used."""
        order = self._order
        self.forget()
        self.want(order)

    def take(self) -> Path | None:
        """The plan's file, for a job to be made of it; whoever takes it deletes it. None: it was taken."""
        path, self.path = (self.path, None) if self.plan is not None else (None, self.path)
        return path

    def forget(self) -> None:
        """Drop the plan and whatever makes one."""
        self._task.drop()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self._order = self.plan = self.path = self._due_s = None
        self.problem, self.notices = "", ()

    def tick(self) -> bool:
        """Look after it. Returns: whether there is something to show."""
        if self._due_s is not None and time.monotonic() >= self._due_s:
            self._due_s = None
            self._begin()
            return True
        return self._task.tick()

    def close(self) -> None:
        """The module goes."""
        self._task.close()
        self.forget()

    def _begin(self) -> None:
        try:
            self._number += 1
            folder = self._services.workspace.planFile().parent
        except WorkspaceError as error:
            self.problem = str(error)
            self._changed()
            return
        self.path = folder / f"plan-{os.getpid()}-{self._number}.json"
        self._task.start(self._services.engine.run(*self._order.arguments(self.path)), _("Planning"))

    def _onEnded(self, command: Any) -> None:
        if command.state == "finished":
            try:
                self.plan, self.notices = codec.read(Plan, self.path), command.said
            except (ContractError, OSError) as error:
                self.problem = str(error)
        else:
            self.problem = command.message
        self._changed()
