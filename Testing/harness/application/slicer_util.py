"""Changes to the wheel's `slicer.util`: nothing modal, dialogs are recorded."""

import contextlib
import logging

import slicer
from PySide6 import QtWidgets

from harness import records

Box = QtWidgets.QMessageBox


def _message(kind, level):
    def function(text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
        logging.log(level, text)
        records.ask(kind, None, text=str(text), title=windowTitle, **kwargs)

    return function


def _confirm(kind, default):
    def function(text, windowTitle=None, parent=None, **kwargs):
        return bool(records.ask(kind, default, text=str(text), title=windowTitle, **kwargs))

    return function


def messageBox(text, parent=None, **kwargs):
    return records.ask("messageBox", Box.Ok, text=str(text), **kwargs)


def delayDisplay(message, autoCloseMsec=1000, parent=None, **kwargs):
    logging.info(message)
    records.ask("delay", None, text=str(message))
    slicer.app.processEvents()


def selectModule(module):
    slicer.util.mainWindow().moduleSelector().selectModule(module if isinstance(module, str) else module.name)


@contextlib.contextmanager
def tryWithErrorDisplay(message=None, show=True, waitCursor=False):
    """As in the application: show the error, then let it go on."""
    try:
        yield
    except Exception as error:
        if show:
            slicer.util.errorDisplay(f"{message}\n\n{error}" if message else str(error))
        raise


def pip_install(requirements, **kwargs):
    records.ask("pip_install", None, text=str(requirements))


def build():
    util = slicer.util
    util.infoDisplay = _message("info", logging.INFO)
    util.warningDisplay = _message("warning", logging.WARNING)
    util.errorDisplay = _message("error", logging.ERROR)
    util.confirmOkCancelDisplay = _confirm("confirmOkCancel", True)
    util.confirmYesNoDisplay = _confirm("confirmYesNo", True)
    util.confirmRetryCloseDisplay = _confirm("confirmRetryClose", False)
    for function in (messageBox, delayDisplay, selectModule, tryWithErrorDisplay, pip_install):
        setattr(util, function.__name__, function)
