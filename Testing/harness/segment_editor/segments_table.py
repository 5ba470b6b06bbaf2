"""qMRMLSegmentsTableView: visibility, colour and name of the segments of a segmentation."""

from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from harness.pythonqt.shim_tools import stored, with_setters
from harness.widgets.qmrml_base import SceneWidget, unobserve

VISIBLE, COLOR, NAME = range(3)


@with_setters
class qMRMLSegmentsTableView(SceneWidget, QtWidgets.QWidget):
    """A row for each segment; ticks and names are written to the nodes, which are observed."""

    mrmlSceneChanged = Signal(object)
    selectionChanged = Signal(object, object)
    segmentAboutToBeModified = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._table, self._node, self._tags, self._ids = QtWidgets.QTableWidget(0, 3, self), None, [], []
        self._shown, self._display = [], None
        self._table.setObjectName("SegmentsTable")
        self._table.setHorizontalHeaderLabels(["Visible", "Color", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.verticalHeader().hide()
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectRows)
        self._table.setColumnWidth(VISIBLE, 60)
        self._table.setColumnWidth(COLOR, 50)
        box = QtWidgets.QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._table)
        self.setMinimumHeight(90)
        self._table.itemSelectionChanged.connect(lambda: self.selectionChanged.emit(None, None))
        self._table.itemChanged.connect(self._edited)

    headerVisible = stored(bool, "headerVisible", True)
    visibilityColumnVisible = stored(bool, "visibilityColumnVisible", True)
    colorColumnVisible = stored(bool, "colorColumnVisible", True)
    opacityColumnVisible = stored(bool, "opacityColumnVisible", True)
    statusColumnVisible = stored(bool, "statusColumnVisible", False)
    layerColumnVisible = stored(bool, "layerColumnVisible", False)
    filterBarVisible = stored(bool, "filterBarVisible", False)
    readOnly = stored(bool, "readOnly", False, lambda self: self._fill())
    segmentCount = Property(int, lambda self: len(self._ids))
    selectionMode = Property(
        int, lambda s: int(s._table.selectionMode), lambda s, v: s._table.setSelectionMode(_selection_mode(v))
    )

    def tableWidget(self):
        return self._table

    def segmentationNode(self):
        return self._node

    def setSegmentationNode(self, node):
        if node is self._node:
            self._refresh_if_changed()
            return
        unobserve(self._tags)
        self._node = node
        if node is not None:
            self._tags = self._observe(node, ["ModifiedEvent", "AnyEvent"], self._refresh_if_changed)
        self._fill()

    def _state(self):
        if self._node is None:
            return []
        segmentation, display = self._node.GetSegmentation(), self._node.GetDisplayNode()
        return [
            (
                segment_id,
                segmentation.GetSegment(segment_id).GetName(),
                tuple(segmentation.GetSegment(segment_id).GetColor()),
                bool(display.GetSegmentVisibility(segment_id)) if display else True,
            )
            for segment_id in segmentation.GetSegmentIDs()
        ]

    def _refresh_if_changed(self):
        if self._state() != self._shown:
            self._fill()

    def _fill(self):
        selected = self.selectedSegmentIDs()
        self._shown = self._state()
        self._ids = [row[0] for row in self._shown]
        self._table.blockSignals(True)
        self._table.setRowCount(len(self._shown))
        for row, (_, name, color, visible) in enumerate(self._shown):
            check, swatch, label = (QtWidgets.QTableWidgetItem(t) for t in ("", "", name))
            check.setCheckState(QtCore.Qt.Checked if visible else QtCore.Qt.Unchecked)
            swatch.setBackground(QtGui.QColor.fromRgbF(*color))
            swatch.setFlags(swatch.flags() & ~QtCore.Qt.ItemIsEditable)
            if self.readOnly:
                label.setFlags(label.flags() & ~QtCore.Qt.ItemIsEditable)
            for column, item in enumerate((check, swatch, label)):
                self._table.setItem(row, column, item)
        self._table.blockSignals(False)
        self.setSelectedSegmentIDs(selected)

    def _edited(self, item):
        segment_id = self._ids[item.row()]
        self.segmentAboutToBeModified.emit(segment_id)
        if item.column() == VISIBLE and self._node.GetDisplayNode():
            self._node.GetDisplayNode().SetSegmentVisibility(segment_id, int(item.checkState()) != 0)
        elif item.column() == NAME:
            self._node.GetSegmentation().GetSegment(segment_id).SetName(item.text())

    def selectedSegmentIDs(self):
        rows = self._table.selectionModel().selectedRows()
        return [self._ids[i.row()] for i in rows if i.row() < len(self._ids)]

    def setSelectedSegmentIDs(self, ids):
        wanted = [segment_id for segment_id in ids if segment_id in self._ids]
        if wanted == self.selectedSegmentIDs():
            return
        self._table.clearSelection()
        for segment_id in wanted:
            self._table.selectRow(self._ids.index(segment_id))

    def clearSelection(self):
        self._table.clearSelection()

    def displayedSegmentIDs(self):
        return tuple(self._ids)

    def rowForSegmentID(self, segmentID):
        return self._ids.index(segmentID) if segmentID in self._ids else -1

    def segmentIDForRow(self, row):
        return self._ids[row] if 0 <= row < len(self._ids) else ""


def _selection_mode(value):
    return QtWidgets.QAbstractItemView.SelectionMode(int(value))
