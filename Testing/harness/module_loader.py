"""`slicer.modules`: module objects for the real logics, and loading of scripted modules."""

import importlib.util
import sys
from pathlib import Path

import slicer
from PySide6 import QtWidgets


class qSlicerModule:
    """What `slicer.modules.volumes` is in the application: a name and a logic."""

    path = ""

    def __init__(self, name, logic=None):
        self.name = self.title = name
        self._logic = logic

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        return None

    createNewWidgetRepresentation = widgetRepresentation


class qSlicerScriptedLoadableModule(qSlicerModule):
    """The `parent` that a ScriptedLoadableModule gets, and the owner of its panel."""

    def __init__(self, name, path):
        super().__init__(name)
        self.path = path
        self.categories, self.dependencies, self.contributors = [], [], []
        self.helpText = self.acknowledgementText = self.defaultDocumentationLink = ""
        self.hidden, self.icon, self.index, self.widgetRepresentationCreationEnabled = False, None, -1, True
        self._python_module, self._panel = None, None

    def widgetRepresentation(self):
        if self._panel is None:
            self._panel = self.createNewWidgetRepresentation()
        return self._panel

    def createNewWidgetRepresentation(self):
        if not hasattr(sys.modules[self.name], self.name + "Widget"):
            return None
        panel = slicer.qSlicerScriptedLoadableModuleWidget()
        panel.setObjectName(self.name + "ModuleWidget")
        layout = QtWidgets.QVBoxLayout(panel)
        layout.setContentsMargins(4, 4, 4, 4)
        if self.helpText:
            help_box = sys.modules["ctk"].ctkCollapsibleButton("Help && Acknowledgement")
            text = QtWidgets.QLabel(self.helpText + "\n" + self.acknowledgementText)
            text.setWordWrap(True)
            QtWidgets.QVBoxLayout(help_box).addWidget(text)
            help_box.collapsed = True
            layout.addWidget(help_box)
        panel.setMRMLScene(slicer.mrmlScene)
        panel.makePython(self.name)
        layout.addStretch(1)
        return panel


def load_scripted_module(path):
    """Load <Name>.py like the application does at start-up; returns the module object."""
    path = Path(path).absolute()
    name, folder, path = path.stem, str(path.parent), str(path)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[name] = python_module
    spec.loader.exec_module(python_module)
    module = qSlicerScriptedLoadableModule(name, path)
    module.title = name
    module._python_module = python_module
    kind = getattr(python_module, name)
    slicer.app.moduleManager().add(module)
    instance = kind(module)
    module.title = module.title or name
    setattr(slicer.modules, name + "Instance", instance)
    if hasattr(instance, "setup"):
        instance.setup()
    return module


def close_panel(name):
    """Close a module's panel as at the application's exit; its next opening makes a new one."""
    module = slicer.app.moduleManager().module(name)
    if module is None or module._panel is None:
        return
    slicer.util.mainWindow().hidePanel(module._panel)
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(name)
    panel, module._panel = module._panel, None
    if hasattr(slicer.modules, name + "Widget"):
        delattr(slicer.modules, name + "Widget")
    panel.deleteLater()


def unload_scripted_module(name):
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(name)
