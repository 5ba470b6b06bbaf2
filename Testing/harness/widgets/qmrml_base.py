"""qMRML stand-ins that only carry the scene, and the helpers the others share."""

import sys
from typing import ClassVar

import shiboken6
import slicer
from PySide6 import QtWidgets
from PySide6.QtCore import Signal

from harness.widgets import ctk_values


class SceneWidget:
    """Mixin: keeps the MRML scene and announces a change of it."""

    cpp_class = True
    signal_overloads: ClassVar = {}
    _scene = None

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._scene = scene
        self._sceneSet()
        if hasattr(self, "mrmlSceneChanged"):
            self.mrmlSceneChanged.emit(scene)

    def _sceneSet(self):
        pass

    def _observe(self, obj, events, function):
        """Call the function on VTK events for as long as the widget exists."""

        def callback(caller, event):
            if shiboken6.isValid(self):
                function()

        return [(obj, obj.AddObserver(event, callback)) for event in events]


def unobserve(tags):
    for obj, tag in tags:
        obj.RemoveObserver(tag)
    tags.clear()


class qMRMLWidget(SceneWidget, QtWidgets.QWidget):
    mrmlSceneChanged = Signal(object)


class qMRMLSliderWidget(SceneWidget, ctk_values.ctkSliderWidget):
    mrmlSceneChanged = Signal(object)


class qMRMLSpinBox(SceneWidget, ctk_values.ctkDoubleSpinBox):
    mrmlSceneChanged = Signal(object)


class qMRMLRangeWidget(SceneWidget, ctk_values.ctkRangeWidget):
    mrmlSceneChanged = Signal(object)


class qSlicerWidget(qMRMLWidget):
    pass


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The C++ side of a scripted module's panel; self() is the Python widget object."""

    _python, _name = None, ""

    def self(self):
        return self._python

    def makePython(self, name):
        """Make the module's Python widget and set it up; `slicer.modules` knows it before."""
        self._name = name
        self._python = getattr(sys.modules[name], name + "Widget")(self)
        setattr(slicer.modules, name + "Widget", self._python)
        self._python.setup()

    def reload(self):
        """A new Python widget of the class as it is now; what cleans up the old one is slicer.util's."""
        self.makePython(self._name)
