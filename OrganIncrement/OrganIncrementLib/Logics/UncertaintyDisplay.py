"""The uncertainty map over the scan: in the foreground of the slice views, with its own colours and their legend."""

import slicer

from OrganIncrementLib.Logics.UncertaintyColors import tableNode
from OrganIncrementLib.Translation import _

MARK = "OrganIncrement.Uncertainty"
DEFAULT_OPACITY = 0.6
# The letters are made as large as the labels allow: leading blanks keep them small. No per cent sign in the format:
# whether it must be doubled depends on the version of VTK.
LABEL_FORMAT = "%7.0f"
LEGEND_SIZE = (0.1, 0.4)  # of the view
TITLE_POINTS, LABEL_POINTS = 12, 10


class UncertaintyDisplay:
    """Shows one uncertainty volume at a time, and puts back what the slice views showed before.

    It keeps ids, no nodes, so that nothing of a closed scene stays.
    """

    def __init__(self) -> None:
        self._nodeId = ""
        self._referenceId = ""
        self._before: dict[str, tuple[str, str, float]] = {}
        self._opacity = DEFAULT_OPACITY
        self._threshold = 0.0
        self._visible = True

    @property
    def isShown(self) -> bool:
        """Whether a map is shown, visible or not."""
        return self._node() is not None

    def show(self, uncertaintyNode, referenceNode) -> None:
        """Put a map over its scan, in place of the one shown before. The scan is, and stays, the background."""
        previous = self._node()
        if previous is not None and previous.GetID() != uncertaintyNode.GetID():
            self._release(previous)
        elif previous is None:
            self._before = {}
        self._nodeId = uncertaintyNode.GetID()
        self._referenceId = referenceNode.GetID() if referenceNode is not None else ""
        uncertaintyNode.SetAttribute(MARK, "1")
        uncertaintyNode.CreateDefaultDisplayNodes()
        display = uncertaintyNode.GetDisplayNode()
        display.SetAndObserveColorNodeID(tableNode().GetID())
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(0, 100)
        display.SetInterpolate(True)
        self._applyThreshold()
        self._apply()

    def setOpacity(self, opacity: float) -> None:
        """How much of the map is seen over the scan, 0 to 1."""
        self._opacity = min(1.0, max(0.0, float(opacity)))
        self._apply()

    def setThreshold(self, percent: float) -> None:
        """Show only voxels that are at least this uncertain, 0 to 100."""
        self._threshold = min(100.0, max(0.0, float(percent)))
        self._applyThreshold()

    def setVisible(self, visible: bool) -> None:
        """Take the map and its legend away for a look at the scan alone, or bring them back."""
        self._visible = bool(visible)
        self._apply()

    def hide(self) -> None:
        """End the display: the slice views show again what they showed before, but for what was changed since."""
        node = self._node()
        for composite in _composites():
            before = self._before.get(composite.GetID())
            if before is None:
                continue
            background, foreground, opacity = before
            if composite.GetForegroundVolumeID() in (self._nodeId, None):
                composite.SetForegroundVolumeID(_existing(foreground))
                composite.SetForegroundOpacity(opacity)
            if background and background != self._nodeId and composite.GetBackgroundVolumeID() == self._referenceId:
                composite.SetBackgroundVolumeID(_existing(background) or self._referenceId)
        if node is not None:
            _removeLegend(node)
        self._nodeId, self._referenceId, self._before = "", "", {}

    def _node(self):
        node = slicer.mrmlScene.GetNodeByID(self._nodeId) if self._nodeId else None
        # A scene that was opened since may have given the id to another node.
        return node if node is not None and node.GetAttribute(MARK) else None

    def _release(self, node) -> None:
        for composite in _composites():
            if composite.GetForegroundVolumeID() == node.GetID():
                composite.SetForegroundVolumeID(None)
        _removeLegend(node)

    def _apply(self) -> None:
        node = self._node()
        if node is None:
            return
        for composite in _composites():
            if composite.GetID() not in self._before:
                before = (composite.GetBackgroundVolumeID() or "", composite.GetForegroundVolumeID() or "")
                self._before[composite.GetID()] = (*before, composite.GetForegroundOpacity())
            if self._referenceId and composite.GetBackgroundVolumeID() != self._referenceId:
                composite.SetBackgroundVolumeID(self._referenceId)
            if self._visible:
                composite.SetForegroundVolumeID(node.GetID())
                composite.SetForegroundOpacity(self._opacity)
            elif composite.GetForegroundVolumeID() == node.GetID():
                composite.SetForegroundVolumeID(None)
        _showLegend(node, self._visible)

    def _applyThreshold(self) -> None:
        node = self._node()
        display = node.GetDisplayNode() if node is not None else None
        if display is None:
            return
        display.SetAutoThreshold(False)
        display.SetThreshold(self._threshold, 100)
        display.SetApplyThreshold(self._threshold > 0)


def hideLegends() -> None:
    """Hide the legends of all maps, when another scan is shown; showing a map again brings its legend back."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(MARK):
            _showLegend(node, False)


def _showLegend(node, visible: bool) -> None:
    """The scale bar in the slice views; a Slicer without colour legends shows the map without it."""
    logic = getattr(slicer, "vtkSlicerColorLogic", None)
    if logic is None or not hasattr(logic, "AddDefaultColorLegendDisplayNode"):
        return
    legend = logic.GetColorLegendDisplayNode(node)
    if legend is None:
        if not visible:
            return
        legend = logic.AddDefaultColorLegendDisplayNode(node)
        if legend is None:
            return
        legend.SetTitleText(_("Uncertainty (%)"))
        legend.SetLabelFormat(LABEL_FORMAT)
        legend.SetNumberOfLabels(5)
        legend.SetVisibility3D(False)
        legend.SetSize(*LEGEND_SIZE)
        for text, size in (
            (legend.GetTitleTextProperty(), TITLE_POINTS),
            (legend.GetLabelTextProperty(), LABEL_POINTS),
        ):
            text.SetFontFamilyToArial()
            text.SetFontSize(size)
    legend.SetVisibility(visible)


def _removeLegend(node) -> None:
    logic = getattr(slicer, "vtkSlicerColorLogic", None)
    if logic is None or not hasattr(logic, "GetColorLegendDisplayNode"):
        return
    legend = logic.GetColorLegendDisplayNode(node)
    if legend is not None:
        slicer.mrmlScene.RemoveNode(legend)


def _existing(nodeId: str) -> str | None:
    return nodeId if nodeId and slicer.mrmlScene.GetNodeByID(nodeId) is not None else None


def _composites() -> list:
    scene, name = slicer.mrmlScene, "vtkMRMLSliceCompositeNode"
    return [scene.GetNthNodeByClass(n, name) for n in range(scene.GetNumberOfNodesByClass(name))]
