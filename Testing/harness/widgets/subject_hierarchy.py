"""The subject hierarchy in a combo box and as a tree, over the real vtkMRMLSubjectHierarchyNode."""

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from harness.pythonqt.shim_tools import stored, with_setters
from harness.widgets.qmrml_base import SceneWidget, unobserve

_EVENTS = ("Added", "Removed", "Modified", "Reparented")


@with_setters
class qMRMLSubjectHierarchyComboBox(SceneWidget, QtWidgets.QWidget):
    """Items in the order of the tree; an indentation stands for each level."""

    mrmlSceneChanged = Signal(object)
    currentItemChanged = Signal(object)
    noneEnabled = stored(bool, "noneEnabled", False, lambda self: self._fill())
    noneDisplay = stored(str, "noneDisplay", "Select subject hierarchy item", lambda self: self._fill())
    nodeTypes = stored("QStringList", "nodeTypes", [], lambda self: self._fill())
    hideChildNodeTypes = stored("QStringList", "hideChildNodeTypes", [], lambda self: self._fill())

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box, self._items, self._item, self._tags, self._levels = QtWidgets.QComboBox(self), [], 0, [], []
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._activated)

    def subjectHierarchyNode(self):
        if self._scene is None:
            return None
        return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self._scene)

    def _sceneSet(self):
        unobserve(self._tags)
        hierarchy = self.subjectHierarchyNode()
        if hierarchy is not None:
            events = [getattr(hierarchy, f"SubjectHierarchyItem{event}Event") for event in _EVENTS]
            self._tags = self._observe(hierarchy, events, self._fill)
        self._fill()

    def setLevelFilter(self, levels):
        self._levels = list(levels)
        self._fill()

    def _accepts(self, hierarchy, item):
        node = hierarchy.GetItemDataNode(item)
        if self._levels and hierarchy.GetItemLevel(item) not in self._levels:
            return False
        if not self.nodeTypes:
            return node is None or not node.GetHideFromEditors()
        wanted = node is not None and any(node.IsA(kind) for kind in self.nodeTypes)
        return wanted and not any(node.IsA(kind) for kind in self.hideChildNodeTypes)

    def _fill(self):
        hierarchy, ids = self.subjectHierarchyNode(), vtk.vtkIdList()
        if hierarchy is not None:
            hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), ids, True)
        found = [ids.GetId(index) for index in range(ids.GetNumberOfIds())]
        self._items = [item for item in found if self._accepts(hierarchy, item)]
        self._box.blockSignals(True)
        self._box.clear()
        self._box.addItem(self.noneDisplay)
        for item in self._items:
            self._box.addItem(hierarchy.GetItemName(item))
        self._box.blockSignals(False)
        self._select(self._item if self._item in self._items else 0)

    def _select(self, item):
        changed, self._item = item != self._item, item
        self._box.blockSignals(True)
        self._box.setCurrentIndex(self._items.index(item) + 1 if item else 0)
        self._box.blockSignals(False)
        if changed:
            self.currentItemChanged.emit(item)

    def _activated(self, index):
        if index or self.noneEnabled:
            self._select(self._items[index - 1] if index else 0)

    def currentItem(self):
        return self._item

    def setCurrentItem(self, item):
        if item == 0 or item in self._items:
            self._select(item)

    def currentNode(self):
        return self.subjectHierarchyNode().GetItemDataNode(self._item) if self._item else None

    def setCurrentNode(self, node):
        self.setCurrentItem(self.subjectHierarchyNode().GetItemByDataNode(node) if node is not None else 0)

    def clearSelection(self):
        self._select(0)

    def choose(self, text):
        """For tests: pick an entry the way a user does, by its text."""
        index = self._box.findText(text)
        if index < 0:
            raise ValueError(f"No entry {text!r} in {self.objectName}")
        self._box.setCurrentIndex(index)
        self._box.activated.emit(index)

    itemCount = Property(int, lambda s: len(s._items))


class qMRMLSubjectHierarchyTreeView(qMRMLSubjectHierarchyComboBox):
    """As the combo box: there is no tree in the tests."""
