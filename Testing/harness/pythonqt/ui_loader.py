"""`qt.QUiLoader`: real Qt form loading, with the stand-in widgets and the form's connections.

QUiLoader can only make connections that exist with the very same C++ signature.  The stand-ins
are Python classes, so the <connections> of the form are removed before loading and made here.
"""

import logging
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from PySide6 import QtCore, QtUiTools, QtWidgets

from harness.pythonqt import qt_patch

custom_widgets = {}  # class name in the .ui file -> Python class


class UiLoader(QtUiTools.QUiLoader):
    cpp_class = False

    def __init__(self, parent=None):
        super().__init__(parent)
        self.unknown_classes = []
        self.bases = {}

    def createWidget(self, className, parent=None, name=""):
        known = custom_widgets.get(className)
        if known is None and className in self.bases:
            self.unknown_classes.append(className)
            logging.warning("No stand-in for %s (%s): using its base class", className, name)
            base = self.bases[className]
            known = custom_widgets.get(base) or getattr(QtWidgets, base, QtWidgets.QWidget)
        if known is not None:
            widget = known(parent) if parent is not None else known()
            widget.setObjectName(name)
            return widget
        return super().createWidget(className, parent, name)

    def load(self, device, parent=None):
        if isinstance(device, (str, bytes)) or hasattr(device, "__fspath__"):
            text = Path(device if not isinstance(device, bytes) else device.decode()).read_bytes()
        else:
            if not device.isOpen():
                device.open(QtCore.QIODevice.ReadOnly)
            text = bytes(device.readAll().data())
        root = ElementTree.fromstring(text)
        self.bases = {
            c.findtext("class"): c.findtext("extends", "QWidget") for c in root.iterfind("customwidgets/customwidget")
        }
        connections = [
            {key: c.findtext(key) for key in ("sender", "signal", "receiver", "slot")}
            for c in root.iterfind("connections/connection")
        ]
        section = root.find("connections")
        if section is not None:
            root.remove(section)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.ReadOnly)
        if hasattr(device, "fileName"):
            info = QtCore.QFileInfo(device.fileName if isinstance(device.fileName, str) else device.fileName())
            self.setWorkingDirectory(info.absoluteDir())
        qt_patch.loading_form[0] = True
        try:
            widget = super().load(buffer, parent)
        finally:
            qt_patch.loading_form[0] = False
        if widget is not None:
            for connection in connections:
                _connect(widget, **connection)
        return widget


def _named(root, name):
    return root if root.objectName == name else root.findChild(QtCore.QObject, name)


def _connect(root, sender, signal, receiver, slot):
    source, target = _named(root, sender), _named(root, receiver)
    if source is None or target is None:
        logging.warning("Form connection %s.%s -> %s.%s: object not found", sender, signal, receiver, slot)
        return
    try:
        qt_patch.connect(source, signal, target, slot)
    except AttributeError as error:
        logging.warning("Form connection %s.%s -> %s.%s: %s", sender, signal, receiver, slot, error)
