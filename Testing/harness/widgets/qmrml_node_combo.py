"""qMRMLNodeComboBox over the real scene."""

from typing import ClassVar

from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

from harness.pythonqt.shim_tools import stored, with_setters
from harness.widgets.qmrml_base import SceneWidget, unobserve

CREATE, RENAME, DELETE = "Create new...", "Rename current...", "Delete current"


def _refreshing(kind, name, default):
    return stored(kind, name, default, lambda self: self._fill())


@with_setters
class qMRMLNodeComboBox(SceneWidget, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    currentNodeValid = Signal(bool)
    currentNodeRenamed = Signal(object)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    signal_overloads: ClassVar = {"currentNodeChanged(bool)": "currentNodeValid"}

    def __init__(self, parent=None):
        super().__init__(parent)
        self._box, self._nodes, self._current, self._tags = QtWidgets.QComboBox(self), [], None, []
        self._attributes, self._filling = [], False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._activated)
        self._box.setEnabled(False)

    nodeTypes = _refreshing("QStringList", "nodeTypes", [])
    hideChildNodeTypes = _refreshing("QStringList", "hideChildNodeTypes", [])
    showHidden = _refreshing(bool, "showHidden", False)
    showChildNodeTypes = _refreshing(bool, "showChildNodeTypes", True)
    noneEnabled = _refreshing(bool, "noneEnabled", False)
    noneDisplay = _refreshing(str, "noneDisplay", "None")
    addEnabled = _refreshing(bool, "addEnabled", True)
    removeEnabled = _refreshing(bool, "removeEnabled", True)
    renameEnabled = _refreshing(bool, "renameEnabled", False)
    editEnabled = stored(bool, "editEnabled", False)
    selectNodeUponCreation = stored(bool, "selectNodeUponCreation", True)
    baseName = stored(str, "baseName", "")
    interactionNodeSingletonTag = stored(str, "interactionNodeSingletonTag", "")

    def addAttribute(self, node_type, name, value=None):
        self._attributes.append((node_type, name, value))
        self._fill()

    def removeAttribute(self, node_type, name):
        self._attributes = [a for a in self._attributes if a[:2] != (node_type, name)]
        self._fill()

    def setNodeTypeLabel(self, label, node_type):
        self.__dict__.setdefault("_labels", {})[node_type] = label

    def nodeTypeLabel(self, node_type):
        return self.__dict__.get("_labels", {}).get(node_type, node_type.replace("vtkMRML", "").replace("Node", ""))

    def _sceneSet(self):
        unobserve(self._tags)
        if self._scene is not None:
            scene = type(self._scene)
            self._tags = self._observe(
                self._scene,
                [
                    scene.NodeAddedEvent,
                    scene.NodeRemovedEvent,
                    scene.EndBatchProcessEvent,
                    scene.EndCloseEvent,
                    scene.EndImportEvent,
                ],
                self._fill,
            )
        self._box.setEnabled(self._scene is not None)
        self._fill()

    def _accepts(self, node):
        exact = self.nodeTypes or ["vtkMRMLNode"]
        if self.showChildNodeTypes:
            fits = any(node.IsA(kind) for kind in exact) and not any(node.IsA(k) for k in self.hideChildNodeTypes)
        else:
            fits = node.GetClassName() in exact
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        for kind, name, value in self._attributes:
            if node.IsA(kind) and (
                node.GetAttribute(name) is None or (value is not None and node.GetAttribute(name) != str(value))
            ):
                return False
        return fits

    def _fill(self):
        if self._filling:
            return
        self._filling = True
        try:
            scene = self._scene
            everything = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())] if scene else []
            self._nodes = [n for n in everything if self._accepts(n)]
            self._box.blockSignals(True)
            self._box.clear()
            kind = (self.nodeTypes or ["vtkMRMLNode"])[0].replace("vtkMRML", "").replace("Node", "")
            self._box.addItem(self.noneDisplay if self.noneEnabled else "Select a " + kind)
            for node in self._nodes:
                self._box.addItem(node.GetName() or node.GetID())
            for text, shown in (
                (CREATE, self.addEnabled),
                (RENAME, self.renameEnabled and self._current),
                (DELETE, self.removeEnabled and self._current),
            ):
                if shown:
                    self._box.addItem(text)
            self._box.blockSignals(False)
        finally:
            self._filling = False
        self._select(self._current if self._current in self._nodes else None)  # never selects by itself

    def _select(self, node):
        changed, self._current = node is not self._current, node
        self._box.blockSignals(True)
        self._box.setCurrentIndex(self._nodes.index(node) + 1 if node is not None else 0)
        self._box.blockSignals(False)
        if changed:
            self.currentNodeChanged.emit(node)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")
            self.currentNodeValid.emit(node is not None)

    def _activated(self, index):
        text, position = self._box.itemText(index), index - 1
        if 0 <= position < len(self._nodes):
            self._select(self._nodes[position])
            self.nodeActivated.emit(self._current)
        elif text == CREATE:
            node = self.addNode()
            self.nodeAddedByUser.emit(node)
        elif text == DELETE:
            self.removeCurrentNode()
        elif self.noneEnabled:
            self._select(None)
            self.nodeActivated.emit(None)
        else:
            self._select(self._current)

    # -- programmatic interface
    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene else None
        if node is not None and node not in self._nodes:
            self._fill()
        if node is None or node in self._nodes:
            self._select(node)

    def setCurrentNodeID(self, node_id):
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene and node_id else None)

    currentNodeID = Property(str, lambda s: s._current.GetID() if s._current else "", setCurrentNodeID)
    currentNodeId = currentNodeID

    def setCurrentNodeIndex(self, index):
        self._select(self._nodes[index] if 0 <= index < len(self._nodes) else None)

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, index):
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def nodes(self):
        return list(self._nodes)

    def addNode(self, node_type=None):
        kind = node_type or (self.nodeTypes or ["vtkMRMLNode"])[0]
        base = self.baseName or kind.replace("vtkMRML", "").replace("Node", "")
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(base))
        for wanted, name, value in self._attributes:
            if node.IsA(wanted):
                node.SetAttribute(name, str(value if value is not None else ""))
        self._fill()
        if self.selectNodeUponCreation:
            self._select(node)
        self.nodeAdded.emit(node)
        return node

    def removeCurrentNode(self):
        node = self._current
        if node is not None:
            self.nodeAboutToBeRemoved.emit(node)
            self._scene.RemoveNode(node)

    def choose(self, text):
        """For tests: pick an entry the way a user does, by its text."""
        index = self._box.findText(text)
        if index < 0:
            raise ValueError(f"No entry {text!r} in {self.objectName}")
        self._box.setCurrentIndex(index)
        self._box.activated.emit(index)


@with_setters
class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    def __init__(self, parent=None):
        super().__init__(parent)
        self.nodeTypes = ["vtkMRMLColorNode"]
        self.noneEnabled, self.addEnabled, self.removeEnabled, self.showHidden = True, False, False, True


@with_setters
class qMRMLCheckableNodeComboBox(qMRMLNodeComboBox):
    checkedNodesChanged = Signal()

    def checkedNodes(self):
        return [n for n in self._nodes if n.GetID() in self.__dict__.setdefault("_checked", set())]

    def setCheckState(self, node, state):
        checked = self.__dict__.setdefault("_checked", set())
        (checked.add if int(state) else checked.discard)(node.GetID())
        self.checkedNodesChanged.emit()
