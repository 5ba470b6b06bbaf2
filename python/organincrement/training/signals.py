"""Why a job stops before its end."""


class PauseRequested(Exception):  # noqa: N818 - a request, not an error
    """The pause flag was found between two steps or two windows."""


class CancelRequested(Exception):  # noqa: N818
    """The cancel flag was found."""


class Diverged(RuntimeError):  # noqa: N818
    """The loss stayed not finite after a second try with a smaller step."""


class DiskFull(RuntimeError):  # noqa: N818
    """A checkpoint could not be written; `needed_bytes` is what it takes."""

    def __init__(self, needed_bytes: int) -> None:
        super().__init__(f"the disk is full: a checkpoint needs {needed_bytes / 2**20:.0f} MiB")
        self.needed_bytes = needed_bytes
