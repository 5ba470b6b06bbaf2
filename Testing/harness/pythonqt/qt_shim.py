"""The `qt` module: PySide6 with PythonQt behaviour, dialogs answered from the records."""

import os
import sys
import types

# Enums: members reachable on the class (Qt.AlignLeft) and usable as integers, like in PythonQt.
os.environ.setdefault("PYSIDE6_OPTION_PYTHON_ENUM", "15")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from harness.pythonqt import immortal

immortal.protect()

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets  # noqa: E402

from harness import records  # noqa: E402
from harness.pythonqt import qt_patch  # noqa: E402

try:
    from PySide6 import QtNetwork
except ImportError:  # needs a system library that may be missing
    QtNetwork = None


def _file_dialogs():
    def recorded(kind, default):
        def function(parent=None, caption="", directory="", filter="", *args, **kwargs):
            return records.ask(kind, default, text=str(caption), directory=str(directory), filter=str(filter))

        return staticmethod(function)

    # PythonQt returns the plain path, not PySide6's (path, filter) pair.
    for name, default in (
        ("getOpenFileName", ""),
        ("getSaveFileName", ""),
        ("getExistingDirectory", ""),
        ("getOpenFileNames", []),
    ):
        setattr(QtWidgets.QFileDialog, name, recorded(name, default))


def _message_boxes():
    Box = QtWidgets.QMessageBox

    def recorded(kind, default):
        def function(parent=None, title="", text="", buttons=Box.Ok, defaultButton=Box.NoButton, *args):
            button = defaultButton if int(defaultButton) else default
            return records.ask(kind, button, title=str(title), text=str(text))

        return staticmethod(function)

    for kind, default in (
        ("information", Box.Ok),
        ("warning", Box.Ok),
        ("critical", Box.Ok),
        ("question", Box.Yes),
        ("about", None),
    ):
        setattr(Box, kind, recorded(kind, default))

    def run(self, *args):
        default = Box.Ok
        for candidate in (Box.Ok, Box.Yes, Box.Save, Box.Close):
            if int(self.standardButtons) & int(candidate):
                default = candidate
                break
        return records.ask("messageBox", default, title=self.windowTitle, text=self.text, widget=self)

    Box.exec = Box.exec_ = Box.open = run


def _other_modals():
    def run(self, *args):
        """Show the dialog, let the prepared answer work on it, then close it (default: rejected)."""
        self.show()
        QtWidgets.QApplication.processEvents()
        result = records.ask(
            "dialog", int(QtWidgets.QDialog.Rejected), title=self.windowTitle, text=self.windowTitle, widget=self
        )
        self.done(int(result or 0))
        return result

    QtWidgets.QDialog.exec = QtWidgets.QDialog.exec_ = run
    for cls in (
        QtWidgets.QFileDialog,
        QtWidgets.QInputDialog,
        QtWidgets.QProgressDialog,
        QtWidgets.QColorDialog,
        QtWidgets.QFontDialog,
    ):
        if "exec" in cls.__dict__:
            cls.exec = cls.exec_ = run
    QtWidgets.QInputDialog.getText = staticmethod(
        lambda parent=None, title="", label="", *a, **k: records.ask("getText", "", title=title, text=label)
    )
    QtWidgets.QMenu.exec = QtWidgets.QMenu.exec_ = lambda self, *a: records.ask("menu", None, widget=self)
    QtGui.QDesktopServices.openUrl = staticmethod(lambda url: records.ask("openUrl", True, text=url.toString()))


def _timers():
    """PySide6's QTimer.singleShot makes a connection by way of a method that is PythonQt's here."""
    waiting = set()

    def single_shot(milliseconds, target, member=None):
        timer = QtCore.QTimer()
        timer.setSingleShot(True)
        function = getattr(target, qt_patch.split_signature(member)[0]) if member else target

        def expired():
            waiting.discard(timer)
            function()

        timer.timeout.connect(expired)
        waiting.add(timer)
        timer.start(int(milliseconds))

    vars(QtCore.QTimer)["singleShot"].original = single_shot


def build():
    """Create the `qt` module and put it into sys.modules."""
    qt_patch.patch([m for m in (QtCore, QtGui, QtWidgets, QtUiTools, QtNetwork) if m])
    _file_dialogs()
    _message_boxes()
    _other_modals()
    _timers()
    qt = types.ModuleType("qt", "PySide6 behaving like PythonQt")
    for module in (QtCore, QtGui, QtWidgets, QtUiTools, QtNetwork):
        for name in dir(module) if module else ():
            if not name.startswith("_"):
                setattr(qt, name, getattr(module, name))
    qt.QRegExp = QtCore.QRegularExpression
    qt.QRegExpValidator = QtGui.QRegularExpressionValidator
    qt.QVariant = lambda value=None: value
    from harness.pythonqt.ui_loader import UiLoader

    qt.QUiLoader = UiLoader
    sys.modules["qt"] = qt
    return qt
