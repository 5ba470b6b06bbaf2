"""`slicer.app`, its managers and the main window."""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from harness import records
from harness.application.slicer_io import IOManager
from harness.views.layout_manager import LayoutManager


class ModuleManager(QtCore.QObject):
    cpp_class = True
    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._modules = {}

    def add(self, module):
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        self.moduleLoaded.emit(module.name)

    def module(self, name):
        return self._modules.get(name)

    def factoryManager(self):
        return self

    def loadedModuleNames(self):
        return list(self._modules)

    modulesNames = registeredModuleNames = instantiatedModuleNames = loadedModuleNames

    def isLoaded(self, name):
        return name in self._modules


class ModuleSelector(QtCore.QObject):
    cpp_class = True
    moduleSelected = Signal(str)

    def __init__(self, window):
        super().__init__(window)
        self._window, self._name = window, ""

    def selectModule(self, name):
        module = slicer.app.moduleManager().module(name)
        if module is None:
            raise RuntimeError(f"No module named {name}")
        previous = slicer.app.moduleManager().module(self._name)
        if previous is not module:
            for target, hook in ((previous, "exit"), (module, "enter")):
                widget = target.widgetRepresentation() if target else None
                if widget is not None and hook == "enter":
                    self._window.showPanel(widget, module.title)
                python = widget.self() if widget is not None else None
                if hasattr(python, hook):
                    getattr(python, hook)()
        self._name = name
        self.moduleSelected.emit(name)

    selectedModule = Property(str, lambda s: s._name)


class MainWindow(QtWidgets.QMainWindow):
    """The module panel on the left, the views on the right."""

    cpp_class = True
    PANEL_WIDTH = 440

    def __init__(self, viewport):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("Slicer test harness")
        self._selector = ModuleSelector(self)
        self._title = QtWidgets.QLabel("Modules:")
        self._title.setStyleSheet("font-weight:bold; padding:4px; background:#e8ebef;")
        self._area = QtWidgets.QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        side = QtWidgets.QWidget()
        side.setFixedWidth(self.PANEL_WIDTH)
        column = QtWidgets.QVBoxLayout(side)
        column.setContentsMargins(2, 2, 2, 2)
        column.addWidget(self._title)
        column.addWidget(self._area, 1)
        center = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(center)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(side)
        row.addWidget(viewport, 1)
        self.setCentralWidget(center)
        self.statusBar().showMessage("")
        self.statusBar().messageChanged.connect(lambda text: text and records.status.append(text))
        self.resize(1280, 800)

    def moduleSelector(self):
        return self._selector

    def showPanel(self, widget, title):
        self._area.takeWidget()
        self._title.setText("Modules:  " + title)
        self._area.setWidget(widget)
        widget.show()

    def hidePanel(self, widget):
        """The panel goes: no module is selected any longer, if it was this one."""
        if self._area.widget() is widget:
            python = widget.self()
            if hasattr(python, "exit"):
                python.exit()
            self._area.takeWidget()
            self._selector._name = ""

    def pythonConsole(self):
        return None


class ApplicationSignals(QtCore.QObject):
    """Signals that QApplication does not have."""

    cpp_class = True
    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)


def _write_python_slicer(folder):
    """Slicer's own Python as a program; here it is the Python that runs the tests."""
    folder.mkdir()
    if os.name == "nt":
        (folder / "PythonSlicer.bat").write_text(f'@"{sys.executable}" %*\n', encoding="utf-8")
        return
    script = folder / "PythonSlicer"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    script.chmod(0o755)


class Application:
    """Facade over QApplication with what the Slicer application adds."""

    applicationName = "Slicer"
    mainApplicationName = "Slicer"
    applicationVersion = "5.13.0-harness"
    majorVersion, minorVersion = 5, 13
    revision = repositoryRevision = "0"
    os, arch = "linux", "amd64"
    documentationBaseUrl = "https://slicer.readthedocs.io/"
    isInstalled = True
    releaseType, platform = "Experimental", "linux-amd64"

    def __init__(self, qapplication, application_logic):
        self._qt, self._logic, self._layouts, self._window = qapplication, application_logic, None, None
        home = Path(tempfile.mkdtemp(prefix="slicer-harness-"))
        self.slicerHome, self.temporaryPath = str(home), str(home / "temporary")
        self.cachePath, self.defaultScenePath = str(home / "cache"), str(home / "scenes")
        self.extensionsInstallPath, self.startupWorkingPath = str(home / "extensions"), str(Path.cwd())
        self.launcherExecutableFilePath = str(home / "Slicer")
        for folder in (self.temporaryPath, self.cachePath, self.defaultScenePath, self.extensionsInstallPath):
            Path(folder).mkdir()
        _write_python_slicer(home / "bin")
        application_logic.SetTemporaryPath(self.temporaryPath)
        self._keep_cache()
        self._signals = ApplicationSignals()
        self._modules, self._io = ModuleManager(), IOManager()
        qapplication.setOrganizationName("harness")
        qapplication.setApplicationName("Slicer")
        self.slicerUserSettingsFilePath = str(home / "Slicer.ini")
        self.slicerRevisionUserSettingsFilePath = str(home / "Slicer-0.ini")
        self._settings, self._revision_settings = (
            QtCore.QSettings(path, QtCore.QSettings.IniFormat)
            for path in (self.slicerUserSettingsFilePath, self.slicerRevisionUserSettingsFilePath)
        )

    def _keep_cache(self):
        """Scenes are unpacked from an .mrb in the folder of the scene's cache."""
        cache, transfers = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
        cache.SetRemoteCacheDirectory(self.cachePath)
        cache.SetMRMLScene(slicer.mrmlScene)
        transfers.SetCacheManager(cache)
        slicer.mrmlScene.SetCacheManager(cache)
        slicer.mrmlScene.SetDataIOManager(transfers)

    def release(self):
        """Remove the folder of this process."""
        shutil.rmtree(self.slicerHome, ignore_errors=True)

    def startupEnvironment(self):
        """The environment in which the application was started."""
        return QtCore.QProcessEnvironment.systemEnvironment()

    environment = startupEnvironment

    def __getattr__(self, name):
        return getattr(self._qt, name)

    def connect(self, signal, target):
        """The start is already over when modules are loaded: startupCompleted follows at once."""
        own = hasattr(self._signals, signal.split("(")[0])
        (self._signals if own else self._qt).connect(signal, target)
        if signal.startswith("startupCompleted"):
            QtCore.QTimer.singleShot(0, target)

    def disconnect(self, signal, target=None):
        own = hasattr(self._signals, signal.split("(")[0])
        (self._signals if own else self._qt).disconnect(signal, target)

    def createWindow(self):
        self._layouts = LayoutManager(self._logic)
        self._window = MainWindow(self._layouts.viewport())
        self._window.show()
        self.processEvents()

    def applicationLogic(self):
        return self._logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def layoutManager(self):
        return self._layouts

    def moduleManager(self):
        return self._modules

    def coreIOManager(self):
        return self._io

    ioManager = coreIOManager

    def settings(self):
        return self._settings

    userSettings = settings

    def revisionUserSettings(self):
        return self._revision_settings

    def testingEnabled(self):
        return False  # message functions of slicer.util are replaced, see slicer_util.py

    def commandOptions(self):
        return type("Options", (), {"noMainWindow": False, "testingEnabled": False})()

    def processEvents(self, *args):
        QtWidgets.QApplication.processEvents()

    def runOnce(self):
        """One round of the outermost event loop, which also deletes what is to be deleted later."""
        QtWidgets.QApplication.processEvents()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)

    def settle(self, seconds=0.0):
        """Run the event loop for a while, for timers and queued work in tests."""
        end = time.monotonic() + seconds
        while True:
            self.runOnce()
            if time.monotonic() >= end:
                return
            time.sleep(0.005)

    def moduleDocumentationUrl(self, name):
        return self.documentationBaseUrl + name

    def pauseRender(self):
        pass

    resumeRender = pauseRender

    def setRenderPaused(self, paused):
        pass

    def restart(self):
        records.ask("restart")

    def launchDesigner(self, arguments=()):
        records.ask("designer", text=" ".join(arguments))

    def pythonConsole(self):
        return None

    def extensionsManagerModel(self):
        return None
