"""One segmentation: the volume is written, a slice at a time, then the engine works; no node is kept meanwhile."""

import contextlib
import shutil
import tempfile
import time
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from OrganIncrementLib.Controllers.BackgroundTask import BackgroundTask
from OrganIncrementLib.Engine.BackgroundCommand import BackgroundCommand
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.VolumeExport import exporting
from OrganIncrementLib.Logics.WeakNode import WeakNode
from OrganIncrementLib.Panels.TaskBar import TaskState
from OrganIncrementLib.Workspace import safeName

WRITE_S = 0.04  # of each tick: the window stays alive
WRITING, WORKING, DONE, FAILED, CANCELLED = "writing", "working", "done", "failed", "cancelled"


class SegmentRun:
    """state: writing, working, then done, failed or cancelled. message: why it failed, for people.

    folder: where the result is when it is done. Its input, a copy of the patient's scan, is removed at the end.
    """

    def __init__(self, services, volume, entry, *, uncertaintyKind, largestComponent):
        """Raises: LogicError for a volume that cannot be written; WorkspaceError where no result can be kept."""
        self.volumeName, self.entry = volume.GetName() or _("Volume"), entry
        self.state, self.message = WRITING, ""
        self._volume, self._services = WeakNode(volume), services
        self._options = ["--uncertainty", uncertaintyKind, *(["--largest-component"] if largestComponent else [])]
        self.folder = freeResultFolder(services.workspace, entry.sha256, self.volumeName)
        self._input = Path(tempfile.mkdtemp(prefix="OrganIncrement-", dir=slicer.app.temporaryPath))
        self._task, self._written = BackgroundTask(self._onEnded), 0.0
        try:
            self._writer = exporting(volume, self._input / f"{self.folder.name}.nrrd")
        except LogicError:
            self._cleanUp()
            raise

    @property
    def running(self):
        """Whether it is to be looked at again."""
        return self.state in (WRITING, WORKING)

    @property
    def volume(self):
        """The volume node, None where its scene was closed."""
        return self._volume.node

    def tick(self):
        """Go on."""
        if self.state == WRITING:
            self._write()
        elif self.state == WORKING:
            self._task.tick()

    def cancel(self):
        """Stop; nothing of it stays."""
        if self.state == WRITING:
            self._end(CANCELLED)
        elif self.state == WORKING:
            self._task.cancel()

    def close(self):
        """The module goes."""
        self._task.close()
        if self.running:
            self._end(CANCELLED)

    def taskState(self):
        """What to show, None when it is over."""
        if self.state == WRITING:
            text = _("Handing {volume} to the engine").format(volume=self.volumeName)
            return TaskState(text=text, done=int(100 * self._written), total=100)
        return self._task.state() if self.state == WORKING else None

    def _write(self):
        end_s = time.monotonic() + WRITE_S
        try:
            while time.monotonic() < end_s:
                if self.volume is None:
                    self.message = _("The scene was closed before the volume was handed to the engine.")
                    self._end(CANCELLED)
                    return
                self._written = next(self._writer)
        except StopIteration:
            self._startEngine()
        except LogicError as error:
            self.message = str(error)
            self._end(FAILED)

    def _startEngine(self):
        engine = self._services.engine
        image = self._input / f"{self.folder.name}.nrrd"
        arguments = ["segment", "--model", self.entry.path, "--out", self.folder.parent, *self._options, image]
        text = _("Segmenting {volume} with {model}").format(volume=self.volumeName, model=self.entry.name)
        self.state = WORKING
        self._task.start(BackgroundCommand(engine.command(*arguments), engine.environment()), text)

    def _onEnded(self, command):
        isWhole = command.state == "finished" and (self.folder / "report.json").is_file()
        said = command.message or _("The engine gave no answer.")
        noResult = _("The engine ended without a result: choose another Python for it (section 3, Advanced, Engine…).")
        self.message = "" if isWhole else noResult if command.state == "finished" else said
        self._end(DONE if isWhole else CANCELLED if command.state == "cancelled" else FAILED)

    def _end(self, state):
        self.state = state
        self._cleanUp()
        if state != DONE:
            shutil.rmtree(self.folder, ignore_errors=True)  # was not there before; half a result is none

    def _cleanUp(self):
        if getattr(self, "_writer", None) is not None:
            with contextlib.suppress(LogicError):
                self._writer.close()
            self._writer = None
        shutil.rmtree(self._input, ignore_errors=True)


def freeResultFolder(workspace, sha256, name):
    """Where a result of a scan may go. Another folder for each run: scans of two patients may have one name."""
    plain = safeName(name).replace(".", "-")
    number, folder = 1, workspace.resultFolder(sha256, plain)
    while folder.exists():
        number += 1
        folder = workspace.resultFolder(sha256, f"{plain}-{number}")
    return folder
