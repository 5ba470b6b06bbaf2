"""One merge: the packages among the parts are applied to the volume, one after the other, then all is merged."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.results import Conflicts
from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Controllers.SegmentRun import CANCELLED, DONE, FAILED, WORKING, SegmentRun, freeResultFolder
from OrganIncrementLib.Logics.WeakNode import WeakNode
from OrganIncrementLib.Panels.TaskBar import TaskState

MERGED = "merged"  # stands where a model's hash does, and is the folder of merged results


@dataclass(frozen=True, kw_only=True)
class MergedEntry:
    """What a merged segmentation says of who made it, as a model's entry does."""

    name: str
    sha256: str = MERGED
    manifest: Any = None


class MergeRun:
    """state: working, then done, failed or cancelled. message: why it failed, for people. folder: the result.

    parts: folders of results. entries: models to apply first, with `options` of SegmentRun. Their results stay.
    """

    def __init__(self, services, volume, parts, entries, options) -> None:
        """Raises: LogicError for a volume that cannot be written; WorkspaceError where no result can be kept."""
        self.volumeName, self.state, self.message = volume.GetName() or _("Volume"), WORKING, ""
        self._services, self._volume, self._options = services, WeakNode(volume), options
        self._parts, self._entries = list(parts), list(entries)
        self._task, self._segment = BackgroundTask(self._onEnded), None
        self.folder = freeResultFolder(services.workspace, MERGED, self.volumeName)
        self._next()

    @property
    def running(self) -> bool:
        """Whether it is to be looked at again."""
        return self.state == WORKING

    @property
    def volume(self):
        """The volume node, None where its scene was closed."""
        return self._volume.node

    @property
    def entry(self) -> MergedEntry:
        """Of the result."""
        return MergedEntry(name=_("merged of {count}").format(count=len(self._parts)))

    def conflicts(self) -> tuple:
        """What the parts both claimed, the largest first. Raises: ContractError, OSError for a damaged file."""
        found = codec.read(Conflicts, self.folder / "conflicts.json").conflicts
        return tuple(sorted(found, key=lambda conflict: -conflict.volume_mm3))

    def tick(self) -> None:
        """Go on."""
        if self._segment is None:
            self._task.tick()
            return
        self._segment.tick()
        if self._segment.running:
            return
        done, self._segment = self._segment, None
        if done.state == DONE:
            self._parts.append(done.folder)
            self._next()
        else:
            self._end(done.state, done.message)

    def cancel(self) -> None:
        """Stop; results of packages that were applied already stay."""
        if self._segment is not None:
            self._segment.cancel()
        else:
            self._task.cancel()

    def close(self) -> None:
        """The module goes."""
        if self._segment is not None:
            self._segment.close()
        self._task.close()
        if self.running:
            self._end(CANCELLED, "")

    def taskState(self) -> TaskState | None:
        """What to show, None when it is over."""
        return self._segment.taskState() if self._segment is not None else self._task.state()

    def _next(self) -> None:
        if not self._entries:
            command = self._services.engine.run("merge", "--out", self.folder, *self._parts)
            self._task.start(command, _("Merging {count} segmentations").format(count=len(self._parts)))
            return
        volume, entry = self.volume, self._entries.pop(0)
        if volume is None:
            self._end(CANCELLED, _("The scene was closed before the volume was handed to the engine."))
            return
        self._segment = SegmentRun(self._services, volume, entry, **self._options)

    def _onEnded(self, command) -> None:
        if command.state == "cancelled":
            self._end(CANCELLED, "")
            return
        if command.state != "finished":
            self._end(FAILED, command.message or _("The engine gave no answer."))
            return
        try:
            self.conflicts()
            self._end(DONE, "")
        except (ContractError, OSError) as error:
            self._end(FAILED, _("Its list of conflicts cannot be read: {reason}").format(reason=error))

    def _end(self, state: str, message: str) -> None:
        self.state, self.message = state, message
        if state != DONE:
            shutil.rmtree(Path(self.folder), ignore_errors=True)  # was not there before; half a result is none
