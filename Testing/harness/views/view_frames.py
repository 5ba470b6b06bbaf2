"""The frames around the views: coloured bar, label, offset slider of a slice."""

from PySide6 import QtWidgets

from harness.views.plot_view import qMRMLPlotView
from harness.views.slice_and_3d_views import qMRMLSliceView, qMRMLThreeDView
from harness.views.table_view import qMRMLTableView
from harness.widgets.ctk_values import ctkSliderWidget


def _bar(label, color):
    bar = QtWidgets.QFrame()
    bar.setFixedHeight(22)
    bar.setStyleSheet(f"QFrame{{background:{color};}} QLabel{{font-weight:bold;padding-left:4px;}}")
    row = QtWidgets.QHBoxLayout(bar)
    row.setContentsMargins(2, 0, 2, 0)
    row.addWidget(QtWidgets.QLabel(label))
    return bar, row


class _ViewWidget(QtWidgets.QWidget):
    cpp_class = True

    def _build(self, view, label, color):
        self._bar, row = _bar(label, color)
        box = QtWidgets.QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(0)
        box.addWidget(self._bar)
        box.addWidget(view, 1)
        return row


class qMRMLSliceWidget(_ViewWidget):
    def __init__(self, logic, label, color, parent=None):
        super().__init__(parent)
        self._logic, self._node = logic, logic.GetSliceNode()
        self._view = qMRMLSliceView(self._node, logic, self)
        row = self._build(self._view, label, color)
        self._offset = ctkSliderWidget()
        self._offset.setDecimals(2)
        row.addWidget(self._offset, 1)
        self._offset.connect("valueChanged(double)", logic.SetSliceOffset)
        self._tags = [(o, o.AddObserver("ModifiedEvent", self._update)) for o in (self._node, logic)]

    def _update(self, *_):
        low, high = self._offset_limits()
        offset = self._logic.GetSliceOffset()
        self._offset.blockSignals(True)
        self._offset.setRange(min(low, offset), max(high, offset))
        self._offset.setValue(offset)
        self._offset.blockSignals(False)

    def _offset_limits(self):
        bounds = [0.0] * 6
        self._logic.GetLowestVolumeSliceBounds(bounds)
        return (bounds[4], bounds[5]) if bounds[4] <= bounds[5] else (-100.0, 100.0)

    def sliceView(self):
        return self._view

    view = sliceView

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._node

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceController(self):
        return self

    def fitSliceToBackground(self):
        self._view.forceRender()
        self._logic.FitSliceToBackground()
        self._view.scheduleRender()

    def setSliceVisible(self, visible):
        self._node.SetSliceVisible(visible)

    def setSliceOffsetValue(self, value):
        self._logic.SetSliceOffset(value)


class qMRMLThreeDWidget(_ViewWidget):
    def __init__(self, node, label, parent=None):
        super().__init__(parent)
        self._node = node
        self._view = qMRMLThreeDView(node, self)
        self._build(self._view, label, "#9a9ae6").addStretch(1)

    def threeDView(self):
        return self._view

    view = threeDView

    def mrmlViewNode(self):
        return self._node

    def threeDController(self):
        return self

    def resetFocalPoint(self):
        self._view.resetFocalPoint()

    def setMRMLViewNode(self, node):
        self._node = node


class qMRMLPlotWidget(_ViewWidget):
    def __init__(self, node, label, parent=None):
        super().__init__(parent)
        self._node = node
        self._view = qMRMLPlotView(self)
        self._view.setMRMLPlotViewNode(node)
        self._build(self._view, label, "#e1ba3c").addStretch(1)

    def plotView(self):
        return self._view

    view = plotView

    def mrmlPlotViewNode(self):
        return self._node

    def plotController(self):
        return self

    def fitPlotToAxes(self):
        self._view.fitToContent()


class qMRMLTableWidget(_ViewWidget):
    def __init__(self, node, label, parent=None):
        super().__init__(parent)
        self._node = node
        self._view = qMRMLTableView(self)
        self._view.setMRMLTableViewNode(node)
        self._build(self._view, label, "#e1ba3c").addStretch(1)

    def tableView(self):
        return self._view

    view = tableView

    def mrmlTableViewNode(self):
        return self._node

    def tableController(self):
        return self
