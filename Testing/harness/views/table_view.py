"""qMRMLTableView: the cells of a vtkMRMLTableNode."""

from typing import ClassVar

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

from harness.pythonqt.shim_tools import stored, with_setters
from harness.widgets.qmrml_base import SceneWidget, unobserve


@with_setters
class qMRMLTableView(SceneWidget, QtWidgets.QTableWidget):
    """The table of its table node, or of the one that its view node chooses; edited cells are written back."""

    mrmlSceneChanged = Signal(object)
    tableSelectionChanged = Signal()  # QTableView has a virtual method named selectionChanged
    signal_overloads: ClassVar = {"selectionChanged()": "tableSelectionChanged"}
    transposed = stored(bool, "transposed", False, lambda self: self._fill())
    firstRowLocked = stored(bool, "firstRowLocked", False)
    firstColumnLocked = stored(bool, "firstColumnLocked", False)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._view_node, self._table_node, self._view_tags, self._table_tags = None, None, [], []
        self.itemSelectionChanged.connect(self.tableSelectionChanged)
        self.itemChanged.connect(self._edited)

    def mrmlTableViewNode(self):
        return self._view_node

    def setMRMLTableViewNode(self, node):
        unobserve(self._view_tags)
        self._view_node = node
        if node is not None:
            self._view_tags += self._observe(node, ["ModifiedEvent"], self._table_chosen)
        self._table_chosen()

    def _table_chosen(self):
        self.setMRMLTableNode(self._view_node.GetTableNode() if self._view_node is not None else None)

    def mrmlTableNode(self):
        return self._table_node

    def setMRMLTableNode(self, node):
        if node is self._table_node:
            return
        unobserve(self._table_tags)
        self._table_node = node
        if node is not None:
            self._table_tags += self._observe(node, ["ModifiedEvent"], self._fill)
        self._fill()

    def _fill(self):
        node = self._table_node
        rows, columns = (node.GetNumberOfRows(), node.GetNumberOfColumns()) if node is not None else (0, 0)
        named = node is not None and node.GetUseColumnNameAsColumnHeader()
        names = [node.GetColumnName(c) if named else str(c + 1) for c in range(columns)]
        self.blockSignals(True)
        flipped = self.transposed
        self.setRowCount(columns if flipped else rows)
        self.setColumnCount(rows if flipped else columns)
        (self.setVerticalHeaderLabels if flipped else self.setHorizontalHeaderLabels)(names)
        locked = node is None or node.GetLocked()
        for row in range(rows):
            for column in range(columns):
                item = QtWidgets.QTableWidgetItem(node.GetCellText(row, column))
                if locked:
                    item.setFlags(item.flags() & ~QtCore.Qt.ItemIsEditable)
                self.setItem(*((column, row) if flipped else (row, column)), item)
        self.blockSignals(False)

    def _edited(self, item):
        row, column = (item.column(), item.row()) if self.transposed else (item.row(), item.column())
        if self._table_node is not None and self._table_node.GetCellText(row, column) != item.text():
            self._table_node.SetCellText(row, column, item.text())

    def release(self):
        """Let the nodes go, before the scene does."""
        self.setMRMLTableViewNode(None)
