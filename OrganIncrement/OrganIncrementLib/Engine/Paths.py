"""Looking for files at paths that users, settings and saved scenes name: whatever cannot be looked at is not there."""

from pathlib import Path


def isThere(path: Path | str) -> bool:
    """Whether there is a file or folder; False too for a name too long, a drive that is gone, or one kept from us."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def isFolder(path: Path | str) -> bool:
    """Whether there is a folder; False as for `isThere`."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def isFile(path: Path | str) -> bool:
    """Whether there is a file; False as for `isThere`."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
