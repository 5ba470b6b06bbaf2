"""One program beside Slicer: started, looked at now and then, ended with all that it started; nothing here waits."""

import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from OrganIncrementLib.Engine.OutputFile import OutputFile
from OrganIncrementLib.Engine.ProcessTree import ProcessTree, ownTree
from OrganIncrementLib.Engine.Progress import Progress, progressOf
from OrganIncrementLib.Engine.Words import cannotStart, wordsFor
from OrganIncrementLib.Translation import _

PROGRESS_VARIABLE = "ORGANINCREMENT_PROGRESS"  # asks the engine for progress in plain lines
_KEPT_LINES = 50
_MOST_OUTPUT = 64 * 2**20  # characters; far more than any command of the engine writes
_READS_PER_POLL = 2
_LONGEST_LINE = 10_000


class BackgroundCommand:
    """A command in a process group of its own. Call `poll` from a timer until `running` is False.

    state: created, running, finished (exit code 0), failed, cancelled. Nothing raises: a command that cannot be started
    has failed, and `message` says why.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | str | None = None
    ) -> None:
        self.command = [str(part) for part in command]
        self.state = "created"
        self.exitCode: int | None = None
        self.progress: Progress | None = None
        self._environment = None if environment is None else dict(environment)
        self._cwd = cwd
        self._tree: ProcessTree | None = None
        self._out: OutputFile | None = None
        self._err: OutputFile | None = None
        self._outText: list[str] = []
        self._outLength = 0
        self._halfLine = ""
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._cannotStart = ""

    @property
    def running(self) -> bool:
        """Whether it is still going on."""
        return self.state == "running"

    @property
    def output(self) -> str:
        """What it has written to standard output so far."""
        return "".join(self._outText)

    @property
    def message(self) -> str:
        """For people: why it failed, in one sentence; else the last thing it said on the side, "" for nothing."""
        if self._cannotStart:
            return self._cannotStart
        if self.state == "cancelled":
            return _("Cancelled.")
        if self.state == "failed":
            return wordsFor(tuple(self._lines), self.exitCode)
        return wordsFor(self._lines, 0) if self._lines else ""

    @property
    def said(self) -> tuple[str, ...]:
        """The last lines that it wrote on the side, without those of its progress."""
        return tuple(self._lines)

    def start(self) -> "BackgroundCommand":
        """Start it, once. Returns: itself."""
        if self.state != "created":
            return self
        try:
            self._out = OutputFile()
            self._err = OutputFile()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            self._cannotStart = _("Temporary files cannot be written: {reason}.").format(reason=reason)
            self._end("failed")
            return self
        try:
            self._tree = ProcessTree(self._popen())
            self.state = "running"
            self._out.childHasIt()
            self._err.childHasIt()
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._cannotStart = cannotStart(self.command[0] if self.command else "", reason)
            self._end("failed")
        return self

    def poll(self) -> Progress | None:
        """Look at it: reads what is new, notices its end, goes on ending it after `cancel`. Returns: `progress`."""
        if self._tree is None or self.state != "running":
            return self.progress
        ended = self._tree.poll()  # asked first: what is read then is all that it wrote
        isAllRead = self._read()
        if ended and isAllRead:
            self.exitCode = self._tree.exitCode
            if self._tree.isEnding:
                self._end("cancelled")
            else:
                self._end("finished" if self.exitCode == 0 else "failed")
        return self.progress

    def cancel(self) -> None:
        """Ask it to end; later polls end it, and all that it started, where it takes too long. Returns at once."""
        if self.state == "created":
            self._end("cancelled")
        elif self._tree is not None and self.state == "running":
            self._tree.end()

    def close(self) -> None:
        """Nobody will poll any longer: end it now, without leave to tidy up."""
        if self._tree is not None and self.state == "running":
            self._tree.kill()
        if self.state in ("created", "running"):
            self._end("cancelled")

    def _popen(self) -> "subprocess.Popen[bytes]":
        if self._out is None or self._err is None or not self.command[0]:
            raise OSError("no program")
        return subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self._out.forChild, stderr=self._err.forChild,
            env=self._environment, cwd=self._cwd, **ownTree(),
        )  # fmt: skip

    def _read(self) -> bool:
        """Take over what is new. Returns: whether that was all."""
        for _i in range(_READS_PER_POLL):
            out, err = self._out.read() if self._out else "", self._err.read() if self._err else ""
            if out and self._outLength < _MOST_OUTPUT:
                self._outText.append(out)
                self._outLength += len(out)
            if err:
                self._takeLines(err)
            if not out and not err:
                return True
        return False

    def _takeLines(self, text: str) -> None:
        *lines, halfLine = (self._halfLine + text).replace("\r", "\n").split("\n")
        self._halfLine = halfLine[-_LONGEST_LINE:]
        for line in lines:
            progress = progressOf(line)
            if progress is not None:
                self.progress = progress
            elif line.strip():
                self._lines.append(line)

    def _end(self, state: str) -> None:
        if self._halfLine.strip():
            self._lines.append(self._halfLine)
            self._halfLine = ""
        self.state = state
        for file in (self._out, self._err):
            if file is not None:
                file.close()
