"""Effects of the Segment Editor: parameters in the editor's node, changes by the real logic."""

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

from harness.widgets.ctk_values import ctkRangeWidget, ctkSliderWidget

_LOGIC = slicer.vtkSlicerSegmentEditorLogic
_MODES = (  # the logic wants members of its own enumeration, which cannot be made from numbers
    _LOGIC.ModificationModeSet,
    _LOGIC.ModificationModeAdd,
    _LOGIC.ModificationModeRemove,
    _LOGIC.ModificationModeRemoveAll,
)


class Effect(QtCore.QObject):
    """What qSlicerSegmentEditorAbstractEffect offers to scripts; `self()` is the Python side of a scripted effect."""

    cpp_class = False
    ModificationModeSet, ModificationModeAdd, ModificationModeRemove, ModificationModeRemoveAll = range(4)
    name = title = ""
    perSegment = True
    defaults = ()  # pairs of parameter name and value

    def __init__(self, editor):
        super().__init__(editor)
        self._editor = editor
        self._frame = QtWidgets.QFrame()
        self._form = QtWidgets.QFormLayout(self._frame)
        self._form.setContentsMargins(0, 0, 0, 0)
        self.setupOptionsFrame()

    def self(self):
        return self

    def optionsFrame(self):
        return self._frame

    def setupOptionsFrame(self):
        """Add widgets to the options."""

    def updateGUIFromMRML(self):
        """Show the parameters."""

    def activate(self):
        for key, value in self.defaults:
            self.setParameterDefault(key, value)
        self.updateGUIFromMRML()

    def active(self):
        return self._editor.activeEffect() is self

    # -- parameters
    def parameterSetNode(self):
        return self._editor.mrmlSegmentEditorNode()

    def _key(self, name):
        return f"{self.name}.{name}"

    def parameter(self, name):
        node = self.parameterSetNode()
        own = node.GetAttribute(self._key(name))
        return own if own is not None else node.GetAttribute(name) or ""

    def parameterDefined(self, name):
        return self.parameter(name) != ""

    def integerParameter(self, name):
        return int(float(self.parameter(name) or 0))

    def doubleParameter(self, name):
        return float(self.parameter(name) or 0)

    def setParameter(self, name, value):
        self.parameterSetNode().SetAttribute(self._key(name), str(value))
        self.updateGUIFromMRML()

    def setCommonParameter(self, name, value):
        self.parameterSetNode().SetAttribute(name, str(value))
        self.updateGUIFromMRML()

    def setParameterDefault(self, name, value):
        if not self.parameterDefined(name):
            self.parameterSetNode().SetAttribute(self._key(name), str(value))

    # -- changes
    def defaultModifierLabelmap(self):
        logic = self._editor.segmentEditorLogic()
        return logic.GetModifierLabelmap() if logic.ResetModifierLabelmapToDefault() else None

    def saveStateForUndo(self):
        self._editor.saveStateForUndo()

    def modifySelectedSegmentByLabelmap(self, labelmap, mode, bypassMasking=False):
        node = self.parameterSetNode()
        logic = self._editor.segmentEditorLogic()
        logic.UpdateMaskLabelmap()
        logic.ModifySegmentByLabelmap(
            node.GetSegmentationNode(),
            node.GetSelectedSegmentID(),
            labelmap,
            _MODES[mode],
            self.perSegment,
            bypassMasking,
        )


class PaintEffect(Effect):
    """Paint; in the harness also by `paint(center_ras_mm, radius_mm)`, since there is no mouse in the views."""

    name = title = "Paint"
    mode = Effect.ModificationModeAdd
    defaults = (("BrushAbsoluteDiameter", 20.0), ("BrushSphere", 1))

    def setupOptionsFrame(self):
        self._diameter = ctkSliderWidget()
        self._diameter.setRange(1, 200)
        self._diameter.connect("valueChanged(double)", self._onDiameter)
        self._form.addRow("Diameter:", self._diameter)

    def updateGUIFromMRML(self):
        self._diameter.blockSignals(True)
        self._diameter.setValue(self.doubleParameter("BrushAbsoluteDiameter"))
        self._diameter.blockSignals(False)

    def _onDiameter(self, value):
        if self.parameterSetNode() is not None:
            self.setParameter("BrushAbsoluteDiameter", value)

    def paint(self, center_ras_mm, radius_mm=None):
        """One stroke of a spherical brush; radius by default half of the brush's diameter."""
        radius_mm = self.doubleParameter("BrushAbsoluteDiameter") / 2 if radius_mm is None else radius_mm
        labelmap = self.defaultModifierLabelmap()
        if labelmap is None:
            raise RuntimeError("There is nothing to paint on: choose a segmentation, a source volume and a segment")
        fill(labelmap, sphere(labelmap, self.parameterSetNode().GetSegmentationNode(), center_ras_mm, radius_mm))
        self.saveStateForUndo()
        self.modifySelectedSegmentByLabelmap(labelmap, self.mode)


class EraseEffect(PaintEffect):
    """The brush that takes away."""

    name = title = "Erase"
    mode = Effect.ModificationModeRemove


class ThresholdEffect(Effect):
    """Every voxel of the source volume within a range."""

    name = title = "Threshold"
    defaults = (("MinimumThreshold", 0.0), ("MaximumThreshold", 0.0))

    def setupOptionsFrame(self):
        self._range = ctkRangeWidget()
        self._range.connect("valuesChanged(double,double)", self._onRange)
        self._apply = QtWidgets.QPushButton("Apply")
        self._apply.connect("clicked(bool)", self.onApply)
        self._form.addRow("Threshold range:", self._range)
        self._form.addRow(self._apply)

    def activate(self):
        volume = self._editor.sourceVolumeNode()
        if volume is not None and not self.doubleParameter("MaximumThreshold"):
            low, high = volume.GetImageData().GetScalarRange()
            self.setParameterDefault("MinimumThreshold", low + (high - low) / 4)
            self.setParameterDefault("MaximumThreshold", high)
        super().activate()

    def updateGUIFromMRML(self):
        volume = self._editor.sourceVolumeNode()
        self._range.blockSignals(True)
        if volume is not None and volume.GetImageData() is not None:
            self._range.setRange(*volume.GetImageData().GetScalarRange())
        self._range.setValues(self.doubleParameter("MinimumThreshold"), self.doubleParameter("MaximumThreshold"))
        self._range.blockSignals(False)

    def _onRange(self, low, high):
        self.parameterSetNode().SetAttribute(self._key("MinimumThreshold"), str(low))
        self.parameterSetNode().SetAttribute(self._key("MaximumThreshold"), str(high))

    def onApply(self):
        """Replace the selected segment by the voxels in the range; then no effect is active, as in the application."""
        low, high = self.doubleParameter("MinimumThreshold"), self.doubleParameter("MaximumThreshold")
        logic = self._editor.segmentEditorLogic()
        labelmap = self.defaultModifierLabelmap()
        if labelmap is None or not logic.UpdateAlignedSourceVolume():
            return
        values = array_of(logic.GetAlignedSourceVolume())
        fill(labelmap, (values >= low) & (values <= high))
        self.saveStateForUndo()
        self.modifySelectedSegmentByLabelmap(labelmap, self.ModificationModeSet)
        self._editor.setActiveEffectByName("")


def array_of(image):
    """The voxels of a vtkOrientedImageData, (k, j, i)."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def fill(labelmap, mask_KJI):
    """Write a mask into a labelmap of the same extent."""
    array_of(labelmap)[:] = mask_KJI
    labelmap.GetPointData().GetScalars().Modified()
    labelmap.Modified()


def sphere(labelmap, segmentation_node, center_ras_mm, radius_mm):
    """The voxels of a labelmap whose centres lie within a sphere given in world coordinates."""
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkSlicerSegmentEditorLogic.ImageToWorldMatrix(labelmap, segmentation_node, matrix)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    extent = labelmap.GetExtent()
    k, j, i = np.meshgrid(*(np.arange(extent[2 * a], extent[2 * a + 1] + 1) for a in (2, 1, 0)), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ ijk_to_ras.T
    return ((points[..., :3] - np.asarray(center_ras_mm, float)) ** 2).sum(axis=-1) <= radius_mm**2


EFFECTS = (PaintEffect, EraseEffect, ThresholdEffect)
