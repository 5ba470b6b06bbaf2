"""Which application has a job's buttons: the first one that shows it, as long as it does."""

import time
from contextlib import ExitStack
from pathlib import Path

from organincrement.contract.errors import ContractError
from organincrement.contract.files import locked

_NAME = "viewer.lock"
_ASK_EVERY_S = 1.0


class ViewerLock:
    """A lock on a file in the job's folder, which the system frees when its application ends, however that happens."""

    def __init__(self, jobFolder: Path) -> None:
        self._path = jobFolder / _NAME
        self._held: ExitStack | None = None
        self._askAgain_s = 0.0

    def tryToHold(self) -> bool:
        """Whether this application holds it, or could take it now; asked for at most once a second."""
        if self._held is not None:
            return True
        now_s = time.monotonic()
        if now_s < self._askAgain_s:
            return False
        self._askAgain_s = now_s + _ASK_EVERY_S
        stack = ExitStack()
        try:
            stack.enter_context(locked(self._path, timeout_s=-1.0))
        except (ContractError, OSError):  # held elsewhere, or the folder may not be written: nothing to press then
            stack.close()
            return False
        self._held = stack
        return True

    def release(self) -> None:
        """Let others have it."""
        if self._held is not None:
            self._held.close()
            self._held = None
