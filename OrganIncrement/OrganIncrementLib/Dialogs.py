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

    def allow(self, title: str, text: str, details: str) -> bool:
        """Ask for leave to do something dangerous: No is the default button, and what Escape means."""
        import qt
        import slicer

        box = qt.QMessageBox(slicer.util.mainWindow())
        box.setIcon(qt.QMessageBox.Warning)
        box.setWindowTitle(title)
        box.setText(text)
        box.setInformativeText(details)
        box.setStandardButtons(qt.QMessageBox.Yes | qt.QMessageBox.No)
        box.setDefaultButton(qt.QMessageBox.No)
        box.setEscapeButton(qt.QMessageBox.No)
        return bool(int(box.exec_()) == int(qt.QMessageBox.Yes))

    def fileOrFolder(self, title: str, filter: str, takeFolder: str, startFolder: Path | str = "") -> Path | None:
        """A file, or by the button `takeFolder` the folder that is marked or open: both in one dialog."""
        return FileOrFolder(title, filter, takeFolder, startFolder).ask()

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


class FileOrFolder:
    """Qt's own dialog for files, with one more button: the system's dialogs take either files or folders."""

    def __init__(self, title: str, filter: str, takeFolder: str, startFolder: Path | str) -> None:
        import qt
        import slicer

        self._dialog = qt.QFileDialog(slicer.util.mainWindow(), title, str(startFolder), filter)
        self._dialog.setOption(qt.QFileDialog.DontUseNativeDialog, True)
        self._dialog.setFileMode(qt.QFileDialog.ExistingFile)
        self._accepted, self._marked, self._chosen = qt.QDialog.Accepted, "", ""
        button = qt.QPushButton(takeFolder, self._dialog)
        button.setObjectName("takeFolderButton")
        button.setAutoDefault(False)
        button.setToolTip(_("Take the folder that is marked; where none is, the one that is open"))
        layout = self._dialog.layout()
        layout.addWidget(button, layout.rowCount(), 0, 1, layout.columnCount())
        button.connect("clicked(bool)", self._onFolder)
        self._dialog.connect("currentChanged(QString)", self._onMarked)
        self._dialog.connect("directoryEntered(QString)", self._onEntered)
        self._dialog.connect("fileSelected(QString)", self._onFile)

    def ask(self) -> Path | None:
        """Show it. Returns: what was chosen, None for nothing."""
        try:
            self._dialog.exec_()
            return _path(self._chosen)
        finally:
            self._dialog.deleteLater()

    def _onMarked(self, path: Any) -> None:
        self._marked = str(path)

    def _onEntered(self, path: Any) -> None:
        self._marked = ""

    def _onFile(self, path: Any) -> None:
        self._chosen = self._chosen or str(path)

    def _onFolder(self) -> None:
        isFolder = bool(self._marked) and Path(self._marked).is_dir()
        self._chosen = self._marked if isFolder else str(self._dialog.directory().absolutePath())
        self._dialog.done(self._accepted)
