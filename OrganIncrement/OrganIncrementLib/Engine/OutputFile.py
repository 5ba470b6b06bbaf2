"""What a child process writes, through a temporary file: reading never waits for it."""

import codecs
import contextlib
import os
import sys
import tempfile
from typing import IO

_BLOCK_BYTES = 65536


class OutputFile:
    """Give `forChild` to the process, then call `read` as often as you like; text is UTF-8, damaged bytes replaced."""

    def __init__(self) -> None:
        descriptor, self._path = tempfile.mkstemp(prefix="organincrement-", suffix=".out")
        os.close(descriptor)
        # two openings, because a child shares the position of what it is given
        self.forChild: IO[bytes] | None = open(self._path, "ab", buffering=0)  # noqa: SIM115, PTH123
        self._reader: IO[bytes] | None = open(self._path, "rb", buffering=0)  # noqa: SIM115, PTH123
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        if sys.platform != "win32":  # nothing stays behind, whatever ends first; Windows cannot
            os.unlink(self._path)  # noqa: PTH108

    def childHasIt(self) -> None:
        """The process is started: only it keeps its end."""
        if self.forChild is not None:
            self.forChild.close()
            self.forChild = None

    def read(self) -> str:
        """What is new, at most 64 KiB of it; "" where there is nothing new now."""
        if self._reader is None:
            return ""
        return self._decoder.decode(self._reader.read(_BLOCK_BYTES) or b"")

    def close(self) -> None:
        """Let go of the file, and delete it where that was not possible before."""
        self.childHasIt()
        if self._reader is not None:
            self._reader.close()
            self._reader = None
            with contextlib.suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108
