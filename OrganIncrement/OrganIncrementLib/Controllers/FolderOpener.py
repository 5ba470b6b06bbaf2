"""Showing a folder of this computer to the user, in the system's file browser."""

from pathlib import Path

import qt


def openFolder(folder: Path | str) -> None:
    """Open a folder outside of Slicer."""
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))
