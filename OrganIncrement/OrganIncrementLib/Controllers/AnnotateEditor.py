"""The Segment Editor in the panel: its node, the case it draws on, its shortcuts; what it lacks is left out."""

import logging

import slicer

from OrganIncrementLib.Translation import _

TAG = "OrganAnnotate"


class AnnotateEditor:
    """Set up as Slicer's own module does. Where there is no such widget, the label is drawn in the module itself."""

    def __init__(self, ui) -> None:
        self._widget = self._made(ui)
        self._isEntered = False
        self._factory = self._effectFactory()
        if self._factory is not None:  # at Slicer's start, some tools are registered after the module is shown
            self._factory.connect("effectRegistered(QString)", self._onEffectRegistered)
        self._call("setMaximumNumberOfUndoStates", 10)
        for name in ("SegmentationNodeSelectorVisible", "SourceVolumeNodeSelectorVisible",
                     "SwitchToSegmentationsButtonVisible"):  # fmt: skip
            self._call(f"set{name}", False)

    def enter(self) -> None:
        """The module is shown: the editor gets its node, follows the views, and its keys work."""
        node = self._editorNode()
        if self._widget is None or node is None:
            return
        if self._call("mrmlSegmentEditorNode") is not node:
            self._call("setMRMLSegmentEditorNode", node)
            self._call("setMRMLScene", slicer.mrmlScene)
        if not self._isEntered:
            self._call("setupViewObservations")
            self._call("installKeyboardShortcuts")
            self._isEntered = True
        self._call("updateWidgetFromMRML")

    def exit(self) -> None:
        """The module is hidden, or the scene closes: no tool stays active, no key is taken."""
        if self._isEntered:
            self._isEntered = False
            self._call("setActiveEffect", None)
            self._call("uninstallKeyboardShortcuts")
            self._call("removeViewObservations")
        if slicer.mrmlScene.IsClosing():
            self._call("setSegmentationNode", None)

    def close(self) -> None:
        """The module goes."""
        self.exit()
        if self._factory is not None:
            self._factory.disconnect("effectRegistered(QString)", self._onEffectRegistered)
            self._factory = None

    def show(self, segmentation, volume) -> None:
        """Draw on a case; None for both: on nothing."""
        if segmentation is None:
            self._call("setActiveEffect", None)
        # before the widget has its node it takes none, and there is nothing to let go of
        if segmentation is not None or self._call("mrmlSegmentEditorNode") is not None:
            self._call("setSegmentationNode", segmentation)
            name = "setSourceVolumeNode" if hasattr(self._widget, "setSourceVolumeNode") else "setMasterVolumeNode"
            self._call(name, volume)
        if self._widget is not None:
            self._widget.enabled = segmentation is not None
            self._widget.toolTip = "" if segmentation is not None else _("Open a case first.")

    def choose(self, segmentId: str) -> None:
        """Draw this segment from now on."""
        if segmentId and segmentId != self.chosen():
            self._call("setCurrentSegmentID", segmentId)
            node = self._call("mrmlSegmentEditorNode")
            if node is not None and node.GetSelectedSegmentID() != segmentId:
                node.SetSelectedSegmentID(segmentId)

    def chosen(self) -> str:
        """The segment that is drawn now, empty where none is."""
        node = self._call("mrmlSegmentEditorNode")
        return (node.GetSelectedSegmentID() or "") if node is not None else ""

    def _made(self, ui):
        """The widget, in its place in the form; None where it cannot be made. Its node comes before its scene."""
        kind = getattr(slicer, "qMRMLSegmentEditorWidget", None)
        try:
            widget = kind() if kind is not None else None
        except Exception as error:  # whatever is wrong with it, the rest of the module works without
            logging.warning("OrganAnnotate: the Segment Editor cannot be shown: %s", error)
            widget = None
        ui.noEditorLabel.visible = widget is None
        if widget is not None:
            ui.segmentEditorHolder.layout().addWidget(widget)
            ui.segmentEditorWidget = widget
        return widget

    def _effectFactory(self):
        """Who knows all tools of the Segment Editor; None where nobody does, or there is no editor."""
        kind = getattr(slicer, "qSlicerSegmentEditorEffectFactory", None)
        return kind.instance() if hasattr(kind, "instance") and self._widget is not None else None

    def _onEffectRegistered(self) -> None:
        self._call("updateEffectList")

    def _editorNode(self):
        node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
        if node is not None:
            return node
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        if node is None:
            return None
        node.UnRegister(None)
        node.SetSingletonTag(TAG)
        return slicer.mrmlScene.AddNode(node)

    def _call(self, name: str, *arguments):
        function = getattr(self._widget, name, None)
        return function(*arguments) if callable(function) else None
