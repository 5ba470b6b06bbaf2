"""Clicks and keys as a user makes them, through Qt's own events."""

import time

from PySide6 import QtCore, QtTest, QtWidgets


def click(widget, position=None):
    """A click with the left button, in the middle of the widget."""
    where = position if position is not None else widget.rect.center()
    QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, where)


def click_cell(table, row, column=0):
    """Click a cell of a QTableWidget, QTableView or of a widget that holds one."""
    view = _view(table)
    index = view.model().index(row, column)
    if not index.isValid():
        raise ValueError(f"There is no cell in row {row}, column {column}")
    view.scrollTo(index)
    click(view.viewport(), view.visualRect(index).center())


def double_click_cell(table, row, column=0):
    """Double-click a cell."""
    view = _view(table)
    index = view.model().index(row, column)
    click_cell(table, row, column)
    where = view.visualRect(index).center()
    QtTest.QTest.mouseDClick(view.viewport(), QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, where)


def press(widget, key, modifiers=QtCore.Qt.NoModifier):
    """Press and release a key: "n", "A" or qt.Qt.Key_Delete. Shortcuts of the window see it first."""
    activate(widget.window())
    if isinstance(key, str):
        key = QtCore.Qt.Key(ord(key.upper()))
    QtTest.QTest.keyClick(widget, QtCore.Qt.Key(int(key)), modifiers)


def activate(window, seconds=5.0):
    """Make a window the active one, and wait until it is: the shortcuts of another are not heard."""
    end = time.monotonic() + seconds
    window.activateWindow()
    QtWidgets.QApplication.processEvents()
    while QtWidgets.QApplication.activeWindow() is not window:
        if time.monotonic() > end:
            raise TimeoutError(f"{window} did not become the active window")
        window.raise_()
        window.activateWindow()
        QtWidgets.QApplication.processEvents(QtCore.QEventLoop.AllEvents, 20)


def type_into(widget, text):
    """Type text into a line edit or the like, after what is in it."""
    QtTest.QTest.keyClicks(widget, text)


def _view(table):
    if isinstance(table, QtWidgets.QAbstractItemView):
        return table
    return table.findChild(QtWidgets.QAbstractItemView)
