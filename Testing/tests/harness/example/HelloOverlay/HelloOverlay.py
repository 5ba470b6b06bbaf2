"""Example: overlay the bright voxels of a volume, segment them and show them in 3D."""

from typing import Annotated

import ctk  # noqa: F401  (registers the widgets of the form in the application)
import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class HelloOverlay(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Hello Overlay")
        parent.categories = ["Examples"]
        parent.dependencies = []
        parent.contributors = ["The extension's authors"]
        parent.helpText = _("Shows voxels above a threshold as a coloured overlay, a segmentation and in 3D.")
        parent.acknowledgementText = ""


@parameterNodeWrapper
class HelloOverlayParameterNode:
    inputVolume: slicer.vtkMRMLScalarVolumeNode
    threshold: Annotated[float, WithinRange(0, 1000)] = 400
    show3D: bool = True


class HelloOverlayWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        form = slicer.util.loadUI(self.resourcePath("UI/HelloOverlay.ui"))
        self.layout.addWidget(form)
        self.ui = slicer.util.childWidgetVariables(form)
        form.setMRMLScene(slicer.mrmlScene)
        self.logic = HelloOverlayLogic()
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.ui.foregroundSlider.connect("valueChanged(double)", self.onOpacity)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, lambda *_: self._attach(None))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: self.enter())
        self.enter()

    def enter(self):
        if self._parameterNode is None:
            self._attach(HelloOverlayParameterNode(self.logic.getParameterNode()))

    def exit(self):
        self._attach(None)

    def cleanup(self):
        self._attach(None)
        self.removeObservers()

    def _attach(self, parameterNode):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._update)
        self._parameterNode = parameterNode
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._update)
            self._update()

    def _update(self, caller=None, event=None):
        missing = [] if self._parameterNode and self._parameterNode.inputVolume else [_("choose an input volume")]
        self.ui.applyButton.enabled = not missing
        self.ui.applyButton.toolTip = (
            _("To apply: {what}.").format(what=", ".join(missing))
            if missing
            else _("Create the overlay, the segmentation and the 3D surface")
        )

    def onOpacity(self, value):
        slicer.util.setSliceViewerLayers(foregroundOpacity=value)

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("Could not create the overlay."), waitCursor=True):
            overlay, segmentation = self.logic.process(
                self._parameterNode.inputVolume, self._parameterNode.threshold, self._parameterNode.show3D
            )
            slicer.util.setSliceViewerLayers(
                background=self._parameterNode.inputVolume,
                foreground=overlay,
                foregroundOpacity=self.ui.foregroundSlider.value,
                fit=True,
            )
            self.ui.segmentsTable.setSegmentationNode(segmentation)
            volume = slicer.util.arrayFromSegmentBinaryLabelmap(
                segmentation, segmentation.GetSegmentation().GetNthSegmentID(0), self._parameterNode.inputVolume
            )
            spacing = self._parameterNode.inputVolume.GetSpacing()
            self.ui.resultLabel.text = _("{ml:.1f} mL above the threshold").format(
                ml=float(np.count_nonzero(volume)) * spacing[0] * spacing[1] * spacing[2] / 1000
            )
            if self._parameterNode.show3D:
                slicer.app.layoutManager().threeDWidget(0).threeDView().resetFocalPoint()


class HelloOverlayLogic(ScriptedLoadableModuleLogic):
    def process(self, inputVolume, threshold, show3D=True):
        """Returns (overlay volume, segmentation)."""
        if not inputVolume:
            raise ValueError("Input volume is missing")
        values = slicer.util.arrayFromVolume(inputVolume)
        mask = values >= threshold
        if not mask.any():
            raise ValueError(f"No voxel reaches {threshold:g}")
        matrix = vtk.vtkMatrix4x4()
        inputVolume.GetIJKToRASMatrix(matrix)

        overlay = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", inputVolume.GetName() + " overlay")
        overlay.SetIJKToRASMatrix(matrix)
        slicer.util.updateVolumeFromArray(overlay, np.where(mask, values, 0).astype(np.float32))
        overlay.CreateDefaultDisplayNodes()
        display = overlay.GetDisplayNode()
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeRainbow")
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(float(threshold), float(values.max()))
        display.SetThreshold(float(threshold), float(values.max()))
        display.ApplyThresholdOn()

        segmentation = slicer.mrmlScene.AddNewNodeByClass(
            "vtkMRMLSegmentationNode", inputVolume.GetName() + " segmentation"
        )
        segmentation.CreateDefaultDisplayNodes()
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(inputVolume)
        segmentId = segmentation.GetSegmentation().AddEmptySegment("bright", "Bright", (0.95, 0.6, 0.1))
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segmentId, inputVolume)
        segmentation.GetDisplayNode().SetAllSegmentsVisibility2DFill(False)  # outline: the overlay stays visible
        if show3D:
            segmentation.CreateClosedSurfaceRepresentation()
        return overlay, segmentation


class HelloOverlayTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_process()

    def test_process(self):
        self.delayDisplay("Starting the test")
        volume = slicer.util.addVolumeFromArray(np.arange(27000, dtype=np.int16).reshape(30, 30, 30) % 1000)
        overlay, segmentation = HelloOverlayLogic().process(volume, 500)
        self.assertEqual(segmentation.GetSegmentation().GetNumberOfSegments(), 1)
        self.assertEqual(overlay.GetDisplayNode().GetColorNodeID(), "vtkMRMLColorTableNodeRainbow")
        self.delayDisplay("Test passed")
