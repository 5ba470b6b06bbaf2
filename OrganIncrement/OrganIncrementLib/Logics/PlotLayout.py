"""A layout with two plots beside the slice views, and which chart is in which plot view."""

import slicer

LAYOUT = 20417  # a number of our own; Slicer's end below 1000, and other extensions take what they like
LOSS_VIEW, DICE_VIEW = "OrganIncrementLoss", "OrganIncrementDice"
_SLICE = """<item><view class="vtkMRMLSliceNode" singletontag="{name}">
 <property name="orientation" action="default">{orientation}</property>
 <property name="viewlabel" action="default">{name[0]}</property>
 <property name="viewcolor" action="default">{color}</property></view></item>"""
_PLOT = """<item><view class="vtkMRMLPlotViewNode" singletontag="{name}">
 <property name="viewlabel" action="default">{label}</property></view></item>"""


def register() -> None:
    """At Slicer's start: make the layout known, since a scene may have been saved with it.

    A Slicer that does not know its layout shows no view at all. A window that was closed with it, and is restored, gets
    the usual views, because the plots are gone.
    """
    node = _layoutNode()
    if node is None:
        return
    if not node.IsLayoutDescription(LAYOUT):
        node.AddLayoutDescription(LAYOUT, description())
    if node.GetViewArrangement() == LAYOUT:
        node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def showLayout(layout: int | None = None) -> int | None:
    """Switch to a layout, by default the one with two plots. Returns: the number before; None without layouts."""
    node = _layoutNode()
    if node is None:
        return None
    before = node.GetViewArrangement()
    if layout is None:
        layout = LAYOUT
        if not node.IsLayoutDescription(LAYOUT):
            node.AddLayoutDescription(LAYOUT, description())
    if before != layout:
        node.SetViewArrangement(layout)
    return before


def restoreLayout(layout: int) -> None:
    """Go back to a layout, unless the user has chosen another one since."""
    node = _layoutNode()
    if node is not None and node.GetViewArrangement() == LAYOUT:
        node.SetViewArrangement(layout)


def assignCharts(lossId: str, diceId: str) -> None:
    """Put the charts into the layout's plot views; where there is only one view, it shows the Dice."""
    own = {name: slicer.mrmlScene.GetSingletonNode(name, "vtkMRMLPlotViewNode") for name in (LOSS_VIEW, DICE_VIEW)}
    if all(own.values()):
        own[LOSS_VIEW].SetPlotChartNodeID(lossId)
        own[DICE_VIEW].SetPlotChartNodeID(diceId)
    scene, name = slicer.mrmlScene, "vtkMRMLPlotViewNode"
    for n in range(scene.GetNumberOfNodesByClass(name)):
        view = scene.GetNthNodeByClass(n, name)
        if view.GetSingletonTag() not in (LOSS_VIEW, DICE_VIEW):
            view.SetPlotChartNodeID(diceId)


def description() -> str:
    """The layout in Slicer's XML: three slices and 3-D at the left, two plots at the right."""
    slices = [("Red", "Axial", "#F34A33"), ("Yellow", "Sagittal", "#EDD54C"), ("Green", "Coronal", "#6EB04B")]
    red, yellow, green = (_SLICE.format(name=name, orientation=way, color=color) for name, way, color in slices)
    space = '<item><view class="vtkMRMLViewNode" singletontag="1"/></item>'
    left = (
        '<layout type="vertical"><item><layout type="horizontal">' + red + space + "</layout></item>"
        '<item><layout type="horizontal">' + yellow + green + "</layout></item></layout>"
    )
    plots = _PLOT.format(name=LOSS_VIEW, label="L") + _PLOT.format(name=DICE_VIEW, label="D")
    right = '<layout type="vertical">' + plots + "</layout>"
    return f'<layout type="horizontal" split="true"><item>{left}</item><item>{right}</item></layout>'


def _layoutNode():
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if node is not None:
        return node
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode() if manager is not None and hasattr(manager, "layoutLogic") else None
