"""Start everything: call boot() before importing anything that imports slicer, qt or ctk."""

import atexit
import importlib
import os
import sys
import traceback
import types
from pathlib import Path

_started = None


def _record_exceptions():
    """Exceptions in slots and VTK observers end here; keep them, so that a test can look."""
    from harness import records

    previous = sys.excepthook

    def hook(kind, value, trace):
        records.errors.append((kind, value, "".join(traceback.format_exception(kind, value, trace))))
        previous(kind, value, trace)

    sys.excepthook = hook


def _qt_message(kind, context, text):
    """What Qt says goes to the standard error, but for a remark on every window without a screen."""
    if "propagateSizeHints" not in text:
        print("Qt:", text, file=sys.stderr)


def _kit_names():
    """`import vtkITK`, `import vtkSegmentationCorePython`...: the wheel has them in a package."""
    import pkgutil

    import slicer_core

    for info in pkgutil.iter_modules(slicer_core.__path__):
        module = sys.modules.get("slicer_core." + info.name)
        if module is not None:
            stem = info.name.removesuffix("Python")
            for alias in (stem, stem + "Python"):
                sys.modules.setdefault(alias, module)
    from harness.python_layer import sample_data, sitk_utils

    sys.modules.setdefault("SampleData", sample_data)
    sys.modules.setdefault("sitkUtils", sitk_utils)


def _own_python_layer():
    import slicer

    for name, source in (
        ("i18n", "i18n"),
        ("ScriptedLoadableModule", "scripted_module"),
        ("parameterNodeWrapper", "parameter_node"),
        ("packaging", "packaging_stub"),
    ):
        module = importlib.import_module("harness.python_layer." + source)
        sys.modules["slicer." + name] = module
        setattr(slicer, name, module)


def _upstream_python_layer(folder):
    """Use the Python files of a Slicer source tree (its Base/Python/slicer folder)."""
    import slicer

    folder = Path(folder).absolute()
    for candidate in (folder, folder / "slicer", folder / "Base" / "Python" / "slicer"):
        if (candidate / "ScriptedLoadableModule.py").is_file():
            slicer.__path__.append(str(candidate))
            break
    else:
        raise RuntimeError(
            f"SLICER_PYTHON_DIR={folder} has no ScriptedLoadableModule.py, neither in it nor in slicer/ nor in "
            "Base/Python/slicer/; name a Slicer source tree, its Base/Python, or the slicer package in it, or unset it"
        )
    for name in ("i18n", "ScriptedLoadableModule", "parameterNodeWrapper", "packaging"):
        setattr(slicer, name, importlib.import_module("slicer." + name))


def shut_down():
    """Take the views, the scene and the widgets apart in order, before Python tears them down."""
    import gc

    import slicer
    from PySide6 import QtWidgets

    for name in slicer.app.moduleManager().loadedModuleNames():
        panel = getattr(slicer.app.moduleManager().module(name), "_panel", None)
        if panel is not None:
            slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(name)
    if slicer.app.layoutManager() is not None:
        slicer.app.layoutManager().release()
    for widget in QtWidgets.QApplication.topLevelWidgets():
        widget.close()
        widget.deleteLater()
    QtWidgets.QApplication.sendPostedEvents(None, 52)  # 52: deferred deletion
    slicer.app.processEvents()
    gc.collect()
    slicer.app.release()


def boot(upstream=None, window=True):
    """Prepare qt, ctk and slicer; returns the slicer module.  Calling it again does nothing."""
    global _started
    if _started is not None:
        return _started
    application = _start_qt()
    import slicer
    import slicer.util  # noqa: F401  # the modules say slicer.util without importing it
    import vtk

    slicer.vtk = vtk
    _start_slicer(slicer, application)
    upstream = upstream or os.environ.get("SLICER_PYTHON_DIR")
    _upstream_python_layer(upstream) if upstream else _own_python_layer()
    if window:
        slicer.app.createWindow()
    _record_exceptions()
    from harness import records

    records.vtk_messages()  # from here on VTK errors and warnings go to the records
    atexit.register(shut_down)
    _started = slicer
    return slicer


def _start_qt():
    """The QApplication, without a display; the modules `qt` and `ctk`."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
    from harness.pythonqt import qt_shim

    qt = qt_shim.build()
    qt.qInstallMessageHandler(_qt_message)
    application = qt.QApplication.instance() or qt.QApplication(["slicer-harness"])
    application.setStyle("Fusion")
    application.setQuitOnLastWindowClosed(False)
    from harness.widgets import ctk_shim

    ctk_shim.build()
    return application


def _start_slicer(slicer, application):
    """Scene, logics, widgets, `slicer.app`, `slicer.modules`, `slicer.util`."""
    from harness import module_loader
    from harness.application import scene_setup

    slicer.mrmlScene, logic = scene_setup.create_scene()
    slicer.modules = types.SimpleNamespace()
    slicer.selfTests = {}
    logics = scene_setup.create_logics(slicer.mrmlScene, logic)
    from harness.application import slicer_app, slicer_util
    from harness.views import slice_and_3d_views
    from harness.widgets import qmrml_widgets

    qmrml_widgets.build()
    slicer.qSlicerScriptedLoadableModule = module_loader.qSlicerScriptedLoadableModule
    slicer.qSlicerSubjectHierarchyScriptedPlugin = type(
        "qSlicerSubjectHierarchyScriptedPlugin",
        (),
        {"__init__": lambda self, parent=None: None, "setPythonSource": lambda self, path: None},
    )
    slicer.app = slicer_app.Application(application, logic)
    for name, module_logic in logics.items():
        slicer.app.moduleManager().add(module_loader.qSlicerModule(name, module_logic))
    slicer_util.build()
    _kit_names()
    slice_and_3d_views.register_managers(logic)
