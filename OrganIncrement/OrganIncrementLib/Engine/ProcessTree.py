"""A process and all that it started: noticed when it ends, and ended as a whole."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any

_TERMINATE_AFTER_S = 2.0
_KILL_AFTER_S = 3.0
_WINDOWS = sys.platform == "win32"


def ownTree() -> dict[str, Any]:
    """What Popen needs, so that the process can be ended with its children, and nobody sees a console window."""
    if _WINDOWS:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def killTree(pid: int) -> "subprocess.Popen[bytes] | None":
    """End a process and what it started, at once; for one in a group of its own, whoever started it.

    Returns: on Windows the program that does it, which is to be polled.
    """
    if _WINDOWS:
        command = ["taskkill", "/F", "/T", "/PID", str(pid)]
        with contextlib.suppress(OSError):
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ownTree()
            )
        return None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
    return None


class ProcessTree:
    """Wraps a process made with `ownTree()`; `poll` reaps it, and goes on with what `end` began.

    It is first interrupted, as by Ctrl+C, so that it can put away what is half done; then terminated; then killed.
    (Windows knows no such request for programs without a window: there it is ended at once.)
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._endingSince_s: float | None = None
        self._sent = 0  # of the three requests to end
        self._isSwept = False
        self._killer: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the first process."""
        return self._process.pid

    @property
    def exitCode(self) -> int | None:
        """Of the first process; None while it lives."""
        return self._process.returncode

    @property
    def isEnding(self) -> bool:
        """Whether `end` was called."""
        return self._endingSince_s is not None

    def end(self) -> None:
        """Begin to end it; does not wait."""
        if self._endingSince_s is None:
            self._endingSince_s = time.monotonic()
            self._goOnEnding()

    def kill(self) -> None:
        """End it at once."""
        self._endingSince_s = self._endingSince_s or time.monotonic()
        if _WINDOWS:
            self._killer = killTree(self._process.pid)
        else:
            self._signal(signal.SIGKILL)
        if self._killer is None:  # which finds no children of a process that has gone
            with contextlib.suppress(OSError):
                self._process.kill()
        self._process.poll()

    def poll(self) -> bool:
        """Whether it is over: the first process, and after `end` or a failure the others as well."""
        code = self._process.poll()
        if self._killer is not None:
            self._killer.poll()
        if self._endingSince_s is not None:
            return self._goOnEnding()
        if code not in (None, 0) and not self._isSwept and not _WINDOWS:
            self._isSwept = True
            self._signal(signal.SIGKILL)  # a crash must not leave workers behind
        return code is not None

    def _goOnEnding(self) -> bool:
        """Send what is due. Returns: whether all is over."""
        if self._endingSince_s is None:
            return False
        age_s = time.monotonic() - self._endingSince_s
        if _WINDOWS:
            return self._goOnEndingInWindows(age_s)
        steps = ((0.0, signal.SIGINT), (_TERMINATE_AFTER_S, signal.SIGTERM), (_KILL_AFTER_S, signal.SIGKILL))
        for number, (after_s, what) in enumerate(steps):
            if self._sent == number and age_s >= after_s:
                self._sent = number + 1
                self._signal(what)
        if self._process.poll() is None:
            return False
        # once killed, children of a dead parent are reaped by the system when it gets to it
        return self._sent == len(steps) or not self._signal(0)

    def _goOnEndingInWindows(self, age_s: float) -> bool:
        if self._sent == 0:
            self._sent = 1
            self._killer = killTree(self._process.pid)
        elif age_s > _KILL_AFTER_S:
            with contextlib.suppress(OSError):
                self._process.kill()
        return self._process.poll() is not None

    def _signal(self, number: int) -> bool:
        """Send to the whole group. Returns: False where there is nobody left."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # macOS says so of zombies
            return False
        return True
