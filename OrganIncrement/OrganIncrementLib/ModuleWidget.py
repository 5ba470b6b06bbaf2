"""What the widgets of the three modules share: form, parameter node, scene close and import, one timer, cleanup."""

import sys
from types import SimpleNamespace

import qt
import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic, ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

TICK_MS = 200


class OrganModuleWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Loads a module's forms (`Resources/UI/<name>.ui`, one below the other) and gives their widgets to its controller.

    A subclass says which forms (`formNames`; by default the module's name), which controller (`makeController(ui)`)
    and which parameter node wrapper (`parametersOf(node)`). The controller has `attach(parameters)`,
    `parametersModified()`, `detach()`, `tick()` and `close()`, and keeps no node across a detach.
    """

    formNames: tuple[str, ...] = ()

    def __init__(self, parent=None):
        self.ui = None
        self.logic = None
        self.controller = None
        self._parameterNode = None
        self._guiTag = self._observerTag = None
        self._timer = None
        self._isHidden = False
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)  # last: without a parent it makes one and calls setup

    def makeController(self, ui):
        """The controller of this module; imported here, so that Slicer's start does not pay for it."""
        raise NotImplementedError

    def parametersOf(self, node):
        """The parameter node wrapper around a plain parameter node."""
        raise NotImplementedError

    def setup(self):
        """Make the panel: form, controller, observers, timer."""
        ScriptedLoadableModuleWidget.setup(self)
        self.ui = SimpleNamespace()
        for name in self.formNames or (self.moduleName,):
            form = slicer.util.loadUI(self.resourcePath(f"UI/{name}.ui"))
            self.layout.addWidget(form)
            vars(self.ui).update(vars(slicer.util.childWidgetVariables(form)))
            form.setMRMLScene(slicer.mrmlScene)
        if hasattr(self.layout, "addStretch"):
            self.layout.addStretch(1)  # sections keep their height, free space is below them
        self.logic = ScriptedLoadableModuleLogic()
        self.logic.moduleName = self.moduleName
        self.controller = self.makeController(self.ui)
        for event, slot in (
            (slicer.mrmlScene.StartCloseEvent, self._onSceneCloses),
            (slicer.mrmlScene.EndCloseEvent, self._onSceneIsThere),
            (slicer.mrmlScene.EndImportEvent, self._onSceneIsThere),
        ):
            self.addObserver(slicer.mrmlScene, event, slot)
        self._attach()
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self._onTick)
        self._timer.start()

    def enter(self):
        """The module is shown: take the parameter node up again, which a closed scene may have taken away."""
        self._isHidden = False
        self._attach()

    def exit(self):
        """The module is hidden: its widgets no longer follow the parameter node; jobs are watched on."""
        self._isHidden = True
        self._detach()

    def cleanup(self):
        """The module goes, or is reloaded: nothing of it may tick or observe any longer."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.disconnect("timeout()", self._onTick)
            self._timer = None
        try:
            self._detach()
        finally:  # whatever has gone already, no process may stay behind
            self.removeObservers()
            controller, self.controller = self.controller, None
            if controller is not None:
                controller.close()

    def onReload(self):
        """Developers' reload: what the modules share is read again too."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "OrganIncrementLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def _attach(self):
        if self._parameterNode is not None or self.controller is None:
            return
        self._parameterNode = self.parametersOf(self.logic.getParameterNode())
        self._guiTag = self._parameterNode.connectGui(self.ui)
        # not by the mixin, which keeps what it observed, and so every node that was ever attached, until cleanup
        self._observerTag = self._parameterNode.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onParametersModified)
        self.controller.attach(self._parameterNode)

    def _detach(self):
        if self._parameterNode is None:
            return
        self._parameterNode.disconnectGui(self._guiTag)
        self._parameterNode.RemoveObserver(self._observerTag)
        self._parameterNode = self._guiTag = self._observerTag = None
        self.controller.detach()

    def _onParametersModified(self, caller=None, event=None):
        if not slicer.mrmlScene.IsImporting():  # what comes is not whole yet: _onSceneIsThere takes it up
            self.controller.parametersModified()

    def _onSceneCloses(self, caller=None, event=None):
        self._detach()

    def _onSceneIsThere(self, caller=None, event=None):
        self._detach()  # an imported scene may have brought another parameter node
        if not self._isHidden:  # a hidden module takes no keys and no views; `enter` attaches it
            self._attach()

    def _onTick(self):
        if self.controller is not None:
            self.controller.tick()
