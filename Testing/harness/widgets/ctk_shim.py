"""The `ctk` module: PySide6 stand-ins for the ctk widgets that scripted modules use."""

import inspect
import sys
import types

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from harness import records
from harness.pythonqt import ui_loader
from harness.pythonqt.shim_tools import stored, with_setters
from harness.widgets import ctk_values


@with_setters
class ctkCollapsibleButton(QtWidgets.QWidget):
    """A section: a header button; the children are hidden while it is collapsed."""

    cpp_class = True
    HEADER = 24
    clicked = Signal(bool)
    toggled = Signal(bool)
    contentsCollapsed = Signal(bool)

    def __init__(self, *args):
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._header = QtWidgets.QToolButton(self)
        self._header.setToolButtonStyle(QtCore.Qt.ToolButtonTextBesideIcon)
        self._header.setSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        self._header.setStyleSheet(
            "QToolButton{text-align:left;font-weight:bold;background:#dfe3e8;border:1px solid #c0c6ce;}"
        )
        self._header.clicked.connect(self._toggle)
        self._collapsed_, self._hidden = False, []
        self.setContentsMargins(2, self.HEADER, 2, 2)
        self.setText(next((a for a in args if isinstance(a, str)), ""))
        self._arrow()

    def _toggle(self, *_):
        self.setCollapsed(not self._collapsed_)
        self.clicked.emit(not self._collapsed_)

    def _arrow(self):
        self._header.setArrowType(QtCore.Qt.RightArrow if self._collapsed_ else QtCore.Qt.DownArrow)

    def resizeEvent(self, event):
        self._header.setGeometry(0, 0, self.width, self.HEADER - 4)

    def setCollapsed(self, collapsed):
        if bool(collapsed) == self._collapsed_:
            return
        self._collapsed_ = bool(collapsed)
        if collapsed:
            self._hidden = [
                c
                for c in self.children()
                if isinstance(c, QtWidgets.QWidget) and c is not self._header and not c.isHidden()
            ]
            self.setMaximumHeight(self.HEADER)
        else:
            self.setMaximumHeight(16777215)
        for child in self._hidden:
            child.setVisible(not collapsed)
        self._arrow()
        self.toggled.emit(not collapsed)
        self.contentsCollapsed.emit(bool(collapsed))

    def click(self):
        self._header.click()

    collapsed = Property(bool, lambda s: s._collapsed_, setCollapsed)
    checked = Property(bool, lambda s: not s._collapsed_, lambda s, v: s.setCollapsed(not v))
    text = Property(str, lambda s: s._header.text, lambda s, v: s._header.setText(v))
    flat = stored(bool, "flat", False)
    contentsFrameShape = stored(int, "contentsFrameShape", 0)
    collapsedHeight = stored(int, "collapsedHeight", 10)


@with_setters
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    cpp_class = True
    toggled = QtWidgets.QGroupBox.toggled

    def __init__(self, *args):
        super().__init__(*args)
        self.setCheckable(True)
        self._collapsed_ = False

    def _put(self, collapsed):
        self._collapsed_ = bool(collapsed)
        self.setMaximumHeight(24 if collapsed else 16777215)
        self.setChecked(not collapsed)

    collapsed = Property(bool, lambda s: s._collapsed_, _put)
    collapsedHeight = stored(int, "collapsedHeight", 10)


class _PathRow(QtWidgets.QWidget):
    """A line edit with a browse button; the file dialog is answered from the records."""

    cpp_class = True
    Files, Dirs, Drives, NoDot, NoDotDot = 2, 1, 4, 0x2000, 0x4000
    Readable, Writable, Executable = 0x10, 0x20, 0x40
    AdjustToContents, AdjustToContentsOnFirstShow, AdjustToMinimumContentsLength = 0, 1, 2
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    wants_directory = False

    def __init__(self, *args):
        super().__init__(next((a for a in args if isinstance(a, QtWidgets.QWidget)), None))
        self._edit, self._browse = QtWidgets.QLineEdit(self), QtWidgets.QToolButton(self)
        self._browse.setText("...")
        box = QtWidgets.QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._edit, 1)
        box.addWidget(self._browse)
        self._edit.textChanged.connect(self.currentPathChanged)
        self._browse.clicked.connect(lambda *_: self.browse())

    def browse(self):
        directory = self.wants_directory or int(self.filters) & self.Dirs
        kind = "getExistingDirectory" if directory else "getOpenFileName"
        chosen = records.ask(kind, "", text=self.toolTip)
        if chosen:
            self._edit.setText(chosen)

    def addCurrentPathToHistory(self):
        return None

    def setCurrentPath(self, path):
        self._edit.setText("" if path is None else str(path))

    currentPath = Property(str, lambda s: s._edit.text, setCurrentPath)
    filters = stored(int, "filters", 0)
    nameFilters = stored("QStringList", "nameFilters", [])
    sizeAdjustPolicy = stored(int, "sizeAdjustPolicy", 0)
    minimumContentsLength = stored(int, "minimumContentsLength", 0)
    settingKey = stored(str, "settingKey", "")
    label = stored(str, "label", "")
    showHistoryButton = stored(bool, "showHistoryButton", True)
    showBrowseButton = stored(bool, "showBrowseButton", True)


@with_setters
class ctkPathLineEdit(_PathRow):
    pass


@with_setters
class ctkDirectoryButton(_PathRow):
    wants_directory = True
    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, *args):
        super().__init__(*args)
        self.currentPathChanged.connect(self.directoryChanged)
        self.currentPathChanged.connect(self.directorySelected)

    directory = Property(
        str,
        lambda s: s._edit.text,
        lambda s, v: s.setCurrentPath(QtCore.QFileInfo(str(v)).absoluteFilePath() if v else ""),
    )
    caption = stored(str, "caption", "")


class ctkCheckBox(QtWidgets.QCheckBox):
    cpp_class = True


@with_setters
class ctkComboBox(QtWidgets.QComboBox):
    cpp_class = True
    defaultText = stored(str, "defaultText", "")
    defaultIcon = stored(QtGui.QIcon, "defaultIcon", None)


class ctkCheckableComboBox(ctkComboBox):
    checkedIndexesChanged = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self.model().dataChanged.connect(lambda *_: self.checkedIndexesChanged.emit())
        self.model().rowsInserted.connect(self._inserted)

    def _inserted(self, parent, first, last):
        for row in range(first, last + 1):
            item = self.model().item(row)
            if item is not None and item.data(QtCore.Qt.CheckStateRole) is None:
                item.setCheckable(True)

    def checkableModel(self):
        return self.model()

    def checkedIndexes(self):
        model = self.model()
        return [
            model.index(r, 0) for r in range(self.count) if int(model.item(r).checkState()) == int(QtCore.Qt.Checked)
        ]

    def checkState(self, index):
        return self.model().itemFromIndex(index).checkState()

    def setCheckState(self, index, state):
        self.model().itemFromIndex(index).setCheckState(QtCore.Qt.CheckState(int(state)))

    def allChecked(self):
        return self.count > 0 and len(self.checkedIndexes()) == self.count

    def noneChecked(self):
        return not self.checkedIndexes()


class ctkPushButton(QtWidgets.QPushButton):
    cpp_class = True


@with_setters
class ctkCheckablePushButton(ctkPushButton):
    checkBoxToggled = Signal(bool)
    checkState = stored(int, "checkState", 0)
    checkBoxControlsButton = stored(bool, "checkBoxControlsButton", True)
    checkBoxControlsButtonToggleState = stored(bool, "checkBoxControlsButtonToggleState", True)
    checkBoxUserCheckable = stored(bool, "checkBoxUserCheckable", True)


class ctkMenuButton(ctkPushButton):
    pass


class ctkExpandButton(QtWidgets.QToolButton):
    cpp_class = True


@with_setters
class ctkColorPickerButton(ctkPushButton):
    colorChanged = Signal(QtGui.QColor)
    color = stored(QtGui.QColor, "color", QtGui.QColor("black"), lambda s: s.colorChanged.emit(s.color))
    displayColorName = stored(bool, "displayColorName", True)


@with_setters
class ctkSearchBox(QtWidgets.QLineEdit):
    cpp_class = True
    showSearchIcon = stored(bool, "showSearchIcon", False)
    alwaysShowClearIcon = stored(bool, "alwaysShowClearIcon", False)


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    cpp_class = True


@with_setters
class ctkMessageBox(QtWidgets.QMessageBox):
    cpp_class = True
    dontShowAgain = stored(bool, "dontShowAgain", False)
    dontShowAgainVisible = stored(bool, "dontShowAgainVisible", False)
    dontShowAgainSettingsKey = stored(str, "dontShowAgainSettingsKey", "")


class ctkDynamicSpacer(QtWidgets.QWidget):
    cpp_class = True


class ctkFlowLayout(QtWidgets.QHBoxLayout):
    """In one row; the real one starts new rows as needed."""

    cpp_class = True
    preferredExpandingDirections = stored(int, "preferredExpandingDirections", 0)
    alignItems = stored(bool, "alignItems", True)

    def setPreferredExpandingDirections(self, directions):
        self.preferredExpandingDirections = int(directions)

    def setAlignItems(self, align):
        self.alignItems = align


class ctkWidgetsUtils:
    @staticmethod
    def grabWidget(widget, rectangle=None):
        return widget.grab().toImage()


def build():
    """Create the `ctk` module, register its widgets for .ui files, put it into sys.modules."""
    ctk = types.ModuleType("ctk", "Stand-ins for ctk widgets")
    for source in (sys.modules[__name__], ctk_values):
        for name, member in vars(source).items():
            if name.startswith("ctk") and inspect.isclass(member):
                setattr(ctk, name, member)
                if issubclass(member, QtWidgets.QWidget):
                    ui_loader.custom_widgets[name] = member
    sys.modules["ctk"] = ctk
    return ctk
