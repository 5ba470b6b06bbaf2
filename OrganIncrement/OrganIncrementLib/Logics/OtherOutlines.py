"""Takes what the three modules showed of another scan out of sight: outlines over the wrong scan look like a label."""

import slicer

from OrganIncrementLib.Logics import SegmentationDisplay
from OrganIncrementLib.Logics.UncertaintyDisplay import hideLegends

OF_THE_MODULES = ("OrganIncrement.modelSha256", "OrganIncrement.review", "OrganIncrement.annotate")  # attributes


def setAside(*shown) -> None:
    """Hide the segmentations that the modules made, but for those shown now, and all legends; nothing is removed."""
    SegmentationDisplay.closeComparison()
    ids = {node.GetID() for node in shown if node is not None}
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        isOurs = any(node.GetAttribute(name) is not None for name in OF_THE_MODULES)
        if isOurs and node.GetID() not in ids:
            node.SetDisplayVisibility(False)
    hideLegends()
