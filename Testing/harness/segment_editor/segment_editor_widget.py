"""qMRMLSegmentEditorWidget: nodes, segments, effects, undo, over the real logic and the real editor node."""

import logging

import slicer
from PySide6 import QtGui
from PySide6.QtCore import Property, Signal

from harness.pythonqt.shim_tools import stored, with_setters
from harness.segment_editor.editor_form import EditorForm
from harness.segment_editor.effects import EFFECTS
from harness.widgets.qmrml_base import SceneWidget, unobserve


def _visibility(name):
    """A property that says whether a part of the form is there."""
    return Property(
        bool, lambda s: not getattr(s._form, name).isHidden(), lambda s, v: getattr(s._form, name).setVisible(bool(v))
    )


@with_setters
class qMRMLSegmentEditorWidget(SceneWidget, EditorForm):
    """Everything that is chosen is kept in the vtkMRMLSegmentEditorNode, without which the widget does nothing."""

    mrmlSceneChanged = Signal(object)
    currentSegmentIDChanged = Signal(str)
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)

    segmentationNodeSelectorVisible = _visibility("segmentationRow")
    sourceVolumeNodeSelectorVisible = _visibility("sourceRow")
    masterVolumeNodeSelectorVisible = sourceVolumeNodeSelectorVisible
    addRemoveSegmentButtonsVisible = _visibility("addRemove")
    show3DButtonVisible = _visibility("show3D")
    switchToSegmentationsButtonVisible = _visibility("switchButton")
    specifyGeometryButtonVisible = _visibility("geometryButton")
    maskingSectionVisible = _visibility("masking")
    undoEnabled = _visibility("undoRow")
    autoShowSourceVolumeNode = stored(bool, "autoShowSourceVolumeNode", True)
    unorderedEffectsVisible = stored(bool, "unorderedEffectsVisible", True, lambda self: self.updateEffectList())
    readOnly = stored(bool, "readOnly", False, lambda self: self.updateWidgetFromMRML())
    effectColumnCount = stored(int, "effectColumnCount", 2)
    effectButtonStyle = stored(int, "effectButtonStyle", 2)
    jumpToSelectedSegmentEnabled = stored(bool, "jumpToSelectedSegmentEnabled", False)
    defaultTerminologyEntry = stored(str, "defaultTerminologyEntry", "", lambda self: self._set_terminology())
    defaultTerminologyEntrySettingsKey = stored(str, "defaultTerminologyEntrySettingsKey", "")
    maximumNumberOfUndoStates = Property(
        int,
        lambda s: s._logic.GetMaximumNumberOfUndoStates(),
        lambda s, v: s._logic.SetMaximumNumberOfUndoStates(int(v)),
    )

    def __init__(self, parent=None):
        super().__init__(parent)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._editor, self._tags, self._scene_tags, self._active, self._order = None, [], [], None, []
        self._announced = ("", None, None)
        self._shortcuts = []
        self._effects = [effect(self) for effect in EFFECTS]
        self.buildForm()
        for effect in self._effects:
            self._form.addEffect(effect)
        self._connect_form()
        self._history_tags = self._observe(
            self._logic, [slicer.vtkSlicerSegmentEditorLogic.SegmentationHistoryChangedEvent], self._show_history
        )
        self.updateWidgetFromMRML()

    def _connect_form(self):
        form = self._form
        form.segmentations.currentNodeChanged.connect(self._segmentation_chosen)
        form.volumes.currentNodeChanged.connect(self._volume_chosen)
        form.table.selectionChanged.connect(self._segment_chosen)
        form.add.clicked.connect(self.onAddSegment)
        form.remove.clicked.connect(self.onRemoveSegment)
        form.show3D.toggled.connect(self.onCreateSurfaceToggled)
        form.undo.clicked.connect(self.undo)
        form.redo.clicked.connect(self.redo)
        form.effectClicked.connect(self.setActiveEffectByName)

    # -- nodes
    def segmentEditorLogic(self):  # in the harness only, for the effects
        return self._logic

    def mrmlSegmentEditorNode(self):
        return self._editor

    def setMRMLSegmentEditorNode(self, node):
        if node is self._editor:
            return
        self.setActiveEffect(None)
        unobserve(self._tags)
        self._editor = node
        self._logic.SetSegmentEditorNode(node)
        if node is not None:
            self._tags = self._observe(node, ["ModifiedEvent"], self.updateWidgetFromMRML)
        self.updateWidgetFromMRML()

    def _sceneSet(self):
        unobserve(self._scene_tags)
        self._form.segmentations.setMRMLScene(self._scene)
        self._form.volumes.setMRMLScene(self._scene)
        self._logic.SetMRMLScene(self._scene)
        if self._scene is not None:
            scene = type(self._scene)
            events = [scene.EndCloseEvent, scene.NodeRemovedEvent]
            self._scene_tags = self._observe(self._scene, events, self._node_gone)

    def _node_gone(self):
        if self._editor is not None and not self._scene.IsNodePresent(self._editor):
            self.setMRMLSegmentEditorNode(None)
        else:
            self.updateWidgetFromMRML()

    def segmentationNode(self):
        return self._editor.GetSegmentationNode() if self._editor is not None else None

    def segmentationNodeID(self):
        return self.segmentationNode().GetID() if self.segmentationNode() is not None else ""

    def setSegmentationNode(self, node):
        if self._has_editor("setSegmentationNode"):
            self._editor.SetAndObserveSegmentationNode(node)
            self._logic.ClearUndoState()

    def setSegmentationNodeID(self, nodeID):
        self.setSegmentationNode(self._scene.GetNodeByID(nodeID))

    def sourceVolumeNode(self):
        return self._editor.GetSourceVolumeNode() if self._editor is not None else None

    def sourceVolumeNodeID(self):
        return self.sourceVolumeNode().GetID() if self.sourceVolumeNode() is not None else ""

    def setSourceVolumeNode(self, node):
        if self._has_editor("setSourceVolumeNode"):
            self._editor.SetAndObserveSourceVolumeNode(node)

    def setSourceVolumeNodeID(self, nodeID):
        self.setSourceVolumeNode(self._scene.GetNodeByID(nodeID))

    masterVolumeNode, setMasterVolumeNode = sourceVolumeNode, setSourceVolumeNode

    def _has_editor(self, what):
        if self._editor is None:
            logging.error("qMRMLSegmentEditorWidget.%s failed: call setMRMLSegmentEditorNode first", what)
        return self._editor is not None

    def _segmentation_chosen(self, node):
        if self._editor is not None and node is not self.segmentationNode():
            self.setSegmentationNode(node)

    def _volume_chosen(self, node):
        if self._editor is not None and node is not self.sourceVolumeNode():
            self.setSourceVolumeNode(node)

    # -- segments
    def currentSegmentID(self):
        return (self._editor.GetSelectedSegmentID() or "") if self._editor is not None else ""

    def setCurrentSegmentID(self, segmentID):
        if self._has_editor("setCurrentSegmentID"):
            self._editor.SetSelectedSegmentID(segmentID)

    def _segment_chosen(self, *_):
        selected = self._form.table.selectedSegmentIDs()
        if self._editor is not None and selected and selected[0] != self.currentSegmentID():
            self._editor.SetSelectedSegmentID(selected[0])

    def selectNextSegment(self):
        self._logic.SelectNextSegment(True)

    def selectPreviousSegment(self):
        self._logic.SelectPreviousSegment(True)

    def onAddSegment(self, *_):
        self._logic.AddEmptySegment()  # selects it, which updates the widget

    def onRemoveSegment(self, *_):
        self.setActiveEffect(None)
        self._logic.RemoveSelectedSegment()
        self.updateWidgetFromMRML()

    def onCreateSurfaceToggled(self, on):
        if self.segmentationNode() is not None:
            self._logic.ToggleSegmentationSurfaceRepresentation(bool(on))
            self.updateWidgetFromMRML()

    def _set_terminology(self):
        self._logic.SetDefaultTerminologyEntry(self.defaultTerminologyEntry)

    # -- effects
    def availableEffectNames(self):
        return tuple(effect.name for effect in self._effects)

    def effectByName(self, name):
        return next((effect for effect in self._effects if effect.name == name), None)

    def effectCount(self):
        return len(self._effects)

    def effectByIndex(self, index):
        return self._effects[index]

    def effectNameOrder(self):
        return tuple(self._order)

    def setEffectNameOrder(self, names):
        self._order = list(names)
        self.updateEffectList()

    def updateEffectList(self):
        shown = [e.name for e in self._effects if e.name in self._order or self.unorderedEffectsVisible]
        rank = {name: position for position, name in enumerate(self._order)}
        self._form.showEffects(sorted(shown, key=lambda name: rank.get(name, len(rank))))

    def activeEffect(self):
        return self._active

    def setActiveEffect(self, effect):
        if effect is self._active:
            return
        self._active = effect
        if self._editor is not None:
            self._editor.SetActiveEffectName(effect.name if effect is not None else "")
        if effect is not None:
            effect.activate()
        self._form.showActive(effect)

    def setActiveEffectByName(self, name):
        """The empty name is no effect."""
        effect = self.effectByName(name)
        ready = self.segmentationNode() is not None and self.sourceVolumeNode() is not None and not self.readOnly
        self.setActiveEffect(effect if ready else None)

    # -- undo
    def saveStateForUndo(self):
        self._logic.SaveStateForUndo()
        self._show_history()

    def undo(self, *_):
        self._logic.Undo()
        self.updateWidgetFromMRML()

    def redo(self, *_):
        self._logic.Redo()
        self.updateWidgetFromMRML()

    def _show_history(self):
        self._form.undo.setEnabled(self._logic.CanUndo())
        self._form.redo.setEnabled(self._logic.CanRedo())

    def installKeyboardShortcuts(self, parent=None):
        self.uninstallKeyboardShortcuts()
        for keys, slot in (("Ctrl+Z", self.undo), ("Ctrl+Y", self.redo)):
            shortcut = QtGui.QShortcut(QtGui.QKeySequence(keys), parent or self)
            shortcut.activated.connect(slot)
            self._shortcuts.append(shortcut)

    def uninstallKeyboardShortcuts(self):
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []

    def setupViewObservations(self):
        """Nothing to do: there is no mouse in the views."""

    removeViewObservations = setupViewObservations

    # -- state
    def updateWidgetFromMRML(self):
        """Show what the editor node says; a first segment and a reference geometry are chosen where there is none."""
        segmentation, volume = self.segmentationNode(), self.sourceVolumeNode()
        self._complete(segmentation, volume)
        self._form.show(self, segmentation, volume, self.currentSegmentID())
        self._show_history()
        self._announce(self.currentSegmentID(), segmentation, volume)

    def _complete(self, segmentation, volume):
        if segmentation is None:
            return
        if volume is not None and not self._logic.GetReferenceImageGeometryString():
            segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        ids = segmentation.GetSegmentation().GetSegmentIDs()
        if self.currentSegmentID() not in ids:
            self._editor.SetSelectedSegmentID(ids[0] if ids else "")

    def _announce(self, segment_id, segmentation, volume):
        before, self._announced = self._announced, (segment_id, segmentation, volume)
        if segmentation is not before[1]:
            self.segmentationNodeChanged.emit(segmentation)
        if volume is not before[2]:
            if volume is not None and self.autoShowSourceVolumeNode:
                slicer.util.setSliceViewerLayers(background=volume, fit=True)
            self.sourceVolumeNodeChanged.emit(volume)
        if segment_id != before[0]:
            self.currentSegmentIDChanged.emit(segment_id)
