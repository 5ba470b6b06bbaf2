"""Why a job stops before its end."""

import errno


class PauseRequested(Exception):  # noqa: N818 - a request, not an error
    """The pause flag was found between two steps or two windows."""


class CancelRequested(Exception):  # noqa: N818
    """The cancel flag was found."""


class Diverged(RuntimeError):  # noqa: N818
    """The loss stayed not finite after a second try with a smaller step."""


class PlanChanged(ValueError):  # noqa: N818
    """The checkpoints were made by another plan than the one in the job folder."""


class DiskFull(RuntimeError):  # noqa: N818
    """A checkpoint could not be written; `needed_bytes` is what it takes."""

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(f"the disk is full: a checkpoint needs {needed_bytes / 2**20:.0f} MiB")
        self.needed_bytes = needed_bytes


def is_disk_full(error: BaseException) -> bool:
    """Whether something could not be written for want of room."""
    of_system = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return of_system or isinstance(error, DiskFull)
