"""`slicer.ScriptedLoadableModule`: the four base classes, written from their documented behaviour."""

import sys
import unittest
from pathlib import Path

import slicer
from PySide6 import QtGui, QtWidgets

__all__ = [
    "ScriptedLoadableModule",
    "ScriptedLoadableModuleLogic",
    "ScriptedLoadableModuleTest",
    "ScriptedLoadableModuleWidget",
]


def _stem(obj, ending):
    name = type(obj).__name__
    return name[: -len(ending)] if name.endswith(ending) else name


def _resource(module_path, filename):
    return str(Path(module_path).parent / "Resources" / filename)


class ScriptedLoadableModule:
    """Metadata of the module; `parent` is the module object of the application."""

    def __init__(self, parent):
        super().__init__()
        self.parent = parent
        self.moduleName = type(self).__name__
        for icon in (_resource(parent.path, f"Icons/{self.moduleName}.{e}") for e in ("svg", "png")):
            if Path(icon).exists():
                parent.icon = QtGui.QIcon(icon)
                break
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, filename):
        return _resource(self.parent.path, filename)

    def getDefaultModuleDocumentationLink(self, docPage=None):
        url = (
            slicer.app.documentationBaseUrl + docPage if docPage else slicer.app.moduleDocumentationUrl(self.moduleName)
        )
        return f'<p>See the <a href="{url}">documentation</a>.</p>'

    def runTest(self, msec=100, **kwargs):
        test_class = getattr(sys.modules[type(self).__module__], self.moduleName + "Test")
        test = test_class()
        test.messageDelay = msec
        test.runTest(**kwargs)


class ScriptedLoadableModuleWidget:
    """The panel; the application calls setup(), enter(), exit() and cleanup()."""

    def __init__(self, parent=None):
        super().__init__()  # lets VTKObservationMixin, when it is the next base, set itself up
        self.moduleName = _stem(self, "Widget")
        self.developerMode = slicer.util.settingsValue("Developer/DeveloperMode", False, slicer.util.toBool)
        standalone = parent is None
        if standalone:
            parent = slicer.qMRMLWidget()
            QtWidgets.QVBoxLayout(parent)
            parent.setMRMLScene(slicer.mrmlScene)
        self.parent = parent
        self.layout = parent.layout()
        if standalone:
            self.setup()
            parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def _onModuleAboutToBeUnloaded(self, name):
        if name == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename):
        return _resource(slicer.util.modulePath(self.moduleName), filename)

    def setup(self):
        """Overridden by the module; call it first there."""

    def cleanup(self):
        """Overridden by the module, called before the module goes away."""

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Access to the module's parameter node."""

    def __init__(self, parent=None):
        super().__init__()
        self.moduleName = _stem(self, "Logic")
        self.isSingletonParameterNode = True

    def getAllParameterNodes(self):
        return [
            node
            for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
            if node.GetAttribute("ModuleName") == self.moduleName
        ]

    def getParameterNode(self):
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                node.SetAttribute("ModuleName", self.moduleName)  # lost when the scene is closed
                return node
        else:
            existing = self.getAllParameterNodes()
            if existing:
                return existing[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def createParameterNode(self):
        node = slicer.vtkMRMLScriptedModuleNode()
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of <Module>Test; runTest() runs every test... method unless it is overridden."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.messageDelay = 0

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        slicer.util.delayDisplay(message, 0)

    def takeScreenshot(self, name, description, type=-1):
        self.delayDisplay(description)

    def runTest(self):
        for name in sorted(n for n in dir(self) if n.startswith("test") and callable(getattr(self, n))):
            self.setUp()
            getattr(self, name)()
            self.tearDown()
