"""The only place with modal boxes: messages, questions, and choosing files."""

from pathlib import Path
from typing import Any

from OrganIncrementLib.Translation import _


class Dialogs:
    """Thin over `slicer.util` and QFileDialog. Texts are shown as they are: whole sentences that say what to do.

    What is chosen comes back as a Path, None where the user changed their mind.
    """

    def error(self, text: str) -> None:
        """Something did not work."""
        import slicer

        slicer.util.errorDisplay(text, windowTitle=_("OrganIncrement"))

    def warn(self, text: str) -> None:
        """Something worked, but not as the user may expect."""
        import slicer

        slicer.util.warningDisplay(text, windowTitle=_("OrganIncrement"))

    def info(self, text: str) -> None:
        """Something worth knowing."""
        import slicer

        slicer.util.infoDisplay(text, windowTitle=_("OrganIncrement"))

    def confirm(self, text: str) -> bool:
        """Ask a question that is answered by yes or no."""
        import slicer

        return bool(slicer.util.confirmYesNoDisplay(text, windowTitle=_("OrganIncrement")))

    def openFile(self, title: str, filter: str = "", startFolder: Path | str = "") -> Path | None:
        """A file that is there; filter as Qt writes it: `Models (*.oimodel);;All files (*)`."""
        import qt
        import slicer

        return _path(qt.QFileDialog.getOpenFileName(slicer.util.mainWindow(), title, str(startFolder), filter))

    def saveFile(self, title: str, filter: str = "", startFolder: Path | str = "") -> Path | None:
        """Where to write a file; `startFolder` may end in a suggested name."""
        import qt
        import slicer

        return _path(qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, str(startFolder), filter))

    def folder(self, title: str, start: Path | str = "") -> Path | None:
        """A folder that is there, or is made in the dialog."""
        import qt
        import slicer

        return _path(qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), title, str(start)))


def _path(chosen: Any) -> Path | None:
    """Qt gives a text, or (in some bindings) a text and the filter; empty where nothing was chosen."""
    if isinstance(chosen, tuple | list):
        chosen = chosen[0] if chosen else ""
    return Path(str(chosen)) if chosen else None
