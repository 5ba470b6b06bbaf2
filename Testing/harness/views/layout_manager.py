"""The layout manager: builds the views that the layout node describes."""

import logging
import xml.etree.ElementTree as ElementTree

import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from harness.views.view_frames import qMRMLPlotWidget, qMRMLSliceWidget, qMRMLTableWidget, qMRMLThreeDWidget


class LayoutManager(QtCore.QObject):
    """`slicer.app.layoutManager()`: builds the views of the layout node's current description."""

    cpp_class = True
    layoutChanged = Signal(int)

    def __init__(self, application_logic, parent=None):
        super().__init__(parent)
        self._viewport = QtWidgets.QWidget()
        self._box = QtWidgets.QVBoxLayout(self._viewport)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._application_logic = application_logic
        self._slices, self._threed, self._plots, self._tables, self._content = {}, {}, {}, {}, None
        self._layout_logic = slicer.vtkMRMLLayoutLogic()
        self._layout_logic.SetMRMLApplicationLogic(application_logic)
        self._layout_logic.SetMRMLScene(slicer.mrmlScene)
        self._node = self._layout_logic.GetLayoutNode()
        self._node.AddObserver("ModifiedEvent", lambda *_: self._rebuild())
        self._shown = None
        self.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    # -- layouts
    def setLayout(self, number):
        self._node.SetViewArrangement(int(number))
        self._rebuild()

    layout = Property(int, lambda s: s._node.GetViewArrangement(), setLayout)

    def layoutLogic(self):
        return self._layout_logic

    def viewport(self):
        return self._viewport

    def _rebuild(self):
        description = self._node.GetCurrentLayoutDescription()
        if not description or description == self._shown:
            return
        self._shown = description
        for widget in self._all():
            widget.hide()
            widget.setParent(None)
        if self._content is not None:
            self._box.removeWidget(self._content)
            self._content.setParent(None)
            self._content.deleteLater()
        self._content = self._build(ElementTree.fromstring(description)) or QtWidgets.QWidget()
        self._box.addWidget(self._content)
        self._content.show()
        self.layoutChanged.emit(self._node.GetViewArrangement())

    def _build(self, element):
        if element.tag == "view":
            return self._view(element)
        kind = element.get("type", "vertical")
        parts = [(self._build(item[0]), item) for item in element.findall("item") if len(item)]
        frame = QtWidgets.QTabWidget() if kind == "tab" else QtWidgets.QWidget()
        if kind == "tab":
            for part, item in parts:
                frame.addTab(part, item.get("name", ""))
            return frame
        box = (
            QtWidgets.QGridLayout
            if kind == "grid"
            else QtWidgets.QHBoxLayout
            if kind == "horizontal"
            else QtWidgets.QVBoxLayout
        )(frame)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        for part, item in parts:
            if part is None:
                continue
            if kind == "grid":
                box.addWidget(part, int(item.get("row", 0)), int(item.get("column", 0)))
            else:
                box.addWidget(part, 1)
            part.show()
        return frame

    def _view(self, element):
        tag = element.get("singletontag") or "1"
        properties = {p.get("name"): p.text for p in element.iterfind("property")}
        kinds = {
            "vtkMRMLSliceNode": (self._slices, self._new_slice),
            "vtkMRMLViewNode": (self._threed, self._new_threed),
            "vtkMRMLPlotViewNode": (self._plots, self._new_plot),
            "vtkMRMLTableViewNode": (self._tables, self._new_table),
        }
        if element.get("class") not in kinds:
            logging.info("Views of class %s are shown as an empty box", element.get("class"))
            return QtWidgets.QLabel(element.get("class"))
        views, make = kinds[element.get("class")]
        if tag not in views:
            views[tag] = make(tag, properties)
        return views[tag]

    def _new_threed(self, tag, properties):
        logic = slicer.vtkMRMLViewLogic()
        logic.SetName(tag)
        logic.SetMRMLApplicationLogic(self._application_logic)
        self._application_logic.GetViewLogics().AddItem(logic)
        logic.SetMRMLScene(slicer.mrmlScene)
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLViewNode") or logic.AddViewNode(tag)
        return qMRMLThreeDWidget(node, properties.get("viewlabel", "1"))

    def _new_plot(self, tag, properties):
        return qMRMLPlotWidget(_view_node("vtkMRMLPlotViewNode", tag), properties.get("viewlabel", "P"))

    def _new_table(self, tag, properties):
        return qMRMLTableWidget(_view_node("vtkMRMLTableViewNode", tag), properties.get("viewlabel", "T"))

    def _new_slice(self, tag, properties):
        logic = slicer.vtkMRMLSliceLogic()
        logic.SetMRMLApplicationLogic(self._application_logic)
        self._application_logic.GetSliceLogics().AddItem(logic)
        node = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        if node is not None:
            logic.SetMRMLScene(slicer.mrmlScene)
            logic.SetSliceNode(node)
        else:
            logic.SetMRMLScene(slicer.mrmlScene)
            node = logic.AddSliceNode(tag)
        if properties.get("orientation"):
            node.SetOrientation(properties["orientation"])
        return qMRMLSliceWidget(logic, properties.get("viewlabel", tag[:1]), properties.get("viewcolor", "#aaaaaa"))

    def release(self):
        for widget in self._all():
            widget.view().release()

    def _all(self):
        return [*self._slices.values(), *self._threed.values(), *self._plots.values(), *self._tables.values()]

    # -- access to views
    def sliceViewNames(self):
        return list(self._slices)

    def sliceWidget(self, name):
        return self._slices.get(name)

    def threeDWidget(self, which):
        return _chosen(self._threed, which)

    def plotWidget(self, which):
        return _chosen(self._plots, which)

    def tableWidget(self, which):
        return _chosen(self._tables, which)

    def mrmlSliceLogics(self):
        return self._application_logic.GetSliceLogics()

    threeDViewCount = Property(int, lambda s: len(s._threed))
    tableViewCount = Property(int, lambda s: len(s._tables))
    plotViewCount = Property(int, lambda s: len(s._plots))

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        for widget in self._threed.values():
            widget.threeDView().resetCamera()


def _view_node(kind, tag):
    """The view node of a layout's view, made as the application's view factory makes it."""
    node = slicer.mrmlScene.GetSingletonNode(tag, kind)
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetName(tag)
        node.SetLayoutName(tag)
        node.SetSingletonTag(tag)
        node = slicer.mrmlScene.AddNode(node)
    return node


def _chosen(widgets, which):
    if isinstance(which, str):
        return widgets.get(which)
    return list(widgets.values())[which] if 0 <= which < len(widgets) else None
