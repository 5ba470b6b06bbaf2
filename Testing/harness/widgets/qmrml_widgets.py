"""The other `slicer.qMRML*` stand-ins, and their registration."""

import inspect
import sys

import slicer
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from harness.pythonqt import ui_loader
from harness.pythonqt.shim_tools import with_setters
from harness.widgets import ctk_values, qmrml_base, qmrml_node_combo, subject_hierarchy
from harness.widgets.qmrml_base import SceneWidget
from harness.widgets.qmrml_node_combo import qMRMLNodeComboBox


@with_setters
class qMRMLSegmentSelectorWidget(SceneWidget, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes, self._segments = qMRMLNodeComboBox(self), QtWidgets.QComboBox(self)
        self._nodes.nodeTypes, self._nodes.addEnabled, self._nodes.noneEnabled = (
            ["vtkMRMLSegmentationNode"],
            False,
            True,
        )
        box = QtWidgets.QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self._nodes)
        box.addWidget(self._segments)
        self._nodes.currentNodeChanged.connect(self._node_changed)
        self._segments.currentIndexChanged.connect(lambda *_: self.currentSegmentChanged.emit(self.currentSegmentID()))

    def _sceneSet(self):
        self._nodes.setMRMLScene(self._scene)

    def _node_changed(self, node):
        self._segments.clear()
        for segment_id in node.GetSegmentation().GetSegmentIDs() if node else ():
            self._segments.addItem(node.GetSegmentation().GetSegment(segment_id).GetName(), segment_id)
        self.currentNodeChanged.emit(node)

    def currentNode(self):
        return self._nodes.currentNode()

    def setCurrentNode(self, node):
        self._nodes.setCurrentNode(node)

    def currentSegmentID(self):
        return self._segments.currentData() or ""

    def setCurrentSegmentID(self, segment_id):
        self._segments.setCurrentIndex(self._segments.findData(segment_id))


class qSlicerSimpleMarkupsWidget(SceneWidget, QtWidgets.QWidget):
    """A markups selector; the table and placing with the mouse are missing."""

    mrmlSceneChanged = Signal(object)
    markupsNodeChanged = Signal()

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes = qMRMLNodeComboBox(self)
        self._nodes.nodeTypes = ["vtkMRMLMarkupsNode"]
        self._nodes.noneEnabled = True
        QtWidgets.QVBoxLayout(self).addWidget(self._nodes)
        self._nodes.currentNodeChanged.connect(lambda *_: self.markupsNodeChanged.emit())

    def _sceneSet(self):
        self._nodes.setMRMLScene(self._scene)

        self._table = QtWidgets.QTableWidget(0, 2, self)
        self.layout().addWidget(self._table)

    def markupsSelectorComboBox(self):
        return self._nodes

    def tableWidget(self):
        return self._table

    def currentNode(self):
        return self._nodes.currentNode()

    def setCurrentNode(self, node):
        self._nodes.setCurrentNode(node)


@with_setters
class qMRMLVolumeThresholdWidget(SceneWidget, ctk_values.ctkRangeWidget):
    """Lower and upper threshold of a volume's display node."""

    mrmlSceneChanged = Signal(object)
    thresholdValuesChanged = Signal(float, float)
    Off, Auto, Manual = 0, 1, 2

    def __init__(self, parent=None):
        super().__init__(parent)
        self._volume = None
        self.valuesChanged.connect(self._write)

    def mrmlVolumeNode(self):
        return self._volume

    def setMRMLVolumeNode(self, node):
        self._volume = node
        if node is not None and node.GetImageData():
            self.setRange(*node.GetImageData().GetScalarRange())
            display = node.GetDisplayNode()
            if display and display.GetApplyThreshold():
                self.setValues(display.GetLowerThreshold(), display.GetUpperThreshold())

    def _write(self, low, high):
        display = self._volume.GetDisplayNode() if self._volume else None
        if display:
            display.SetThreshold(low, high)
            display.SetApplyThreshold(True)
        self.thresholdValuesChanged.emit(low, high)

    lowerThreshold = Property(float, lambda s: s._values[0], lambda s, v: s.setMinimumValue(v))
    upperThreshold = Property(float, lambda s: s._values[1], lambda s, v: s.setMaximumValue(v))


def build():
    """Put the stand-ins into the slicer namespace and make them known to the form loader."""
    from harness.segment_editor import segment_editor_widget, segments_table  # these need the widgets' base
    from harness.views import plot_view, table_view

    own = (qmrml_base, qmrml_node_combo, subject_hierarchy, sys.modules[__name__])
    for source in (*own, plot_view, table_view, segments_table, segment_editor_widget):
        for name, member in vars(source).items():
            if name.startswith(("qMRML", "qSlicer")) and inspect.isclass(member):
                setattr(slicer, name, member)
                ui_loader.custom_widgets[name] = member
