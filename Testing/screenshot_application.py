"""The harness as an application to take pictures of: the modules on a work folder, pictures of it all."""

import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULES = HERE.parent / "OrganIncrement"
SIZE = (1600, 1000)
CT = (400, 40)  # window and level


class Application:
    """The harness with the modules, on the work folder; each picture begins with an empty scene."""

    def __init__(self, work: Path, out: Path) -> None:
        import harness

        self.slicer = harness.boot()
        self.work, self.out = work, out
        for store in (self.slicer.app.settings(), self.slicer.app.userSettings()):
            store.setValue("OrganIncrement/folder", str(work))
            store.setValue("OrganIncrement/engine/python", sys.executable)

    def open(self, name: str):
        """The panel of a module, made anew on an empty scene, with four-up views."""
        from harness import module_loader

        slicer = self.slicer
        module_loader.close_panel(name)
        slicer.mrmlScene.Clear(0)
        if slicer.app.moduleManager().module(name) is None:
            module_loader.load_scripted_module(str(MODULES / name / f"{name}.py"))
        slicer.util.mainWindow().resize(*SIZE)
        slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        slicer.util.selectModule(name)
        self.wait(seconds=1.0)
        return slicer.util.getModuleWidget(name)

    def wait(self, until=None, seconds: float = 1800.0) -> None:
        """Run the event loop until something is true, or so long. Raises: TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.slicer.app.processEvents()
            if until is not None and until():
                return
            time.sleep(0.01)
        if until is not None:
            raise TimeoutError(f"line {until.__code__.co_firstlineno} waited {seconds:g} s in vain")

    def load(self, path: Path, name: str):
        """A CT in the views."""
        node = self.slicer.util.loadVolume(str(path), {"name": name})
        node.GetDisplayNode().SetAutoWindowLevel(False)
        node.GetDisplayNode().SetWindowLevel(*CT)
        self.slicer.util.setSliceViewerLayers(background=node, fit=True)
        return node

    def windowScans(self) -> None:
        """All open CTs (not uncertainty maps) as a radiologist looks at them; the 3-D view looks at the organs."""
        for node in self.slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            if node.GetImageData() and node.GetImageData().GetScalarRange()[0] < 0 and node.GetDisplayNode():
                node.GetDisplayNode().SetAutoWindowLevel(False)
                node.GetDisplayNode().SetWindowLevel(*CT)
        self.slicer.util.resetSliceViews()
        for viewNode in self.slicer.util.getNodesByClass("vtkMRMLViewNode"):
            viewNode.SetBoxVisible(0)
            viewNode.SetAxisLabelsVisible(0)
        view = self.slicer.app.layoutManager().threeDWidget(0).threeDView()
        view.resetFocalPoint()
        view.renderWindow().GetRenderers().GetFirstRenderer().ResetCamera()

    def zoom(self, share: float) -> None:
        """Let the slice views show so much of what they show now, about the same centre."""
        for node in self.slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            width, height, depth = node.GetFieldOfView()
            node.SetFieldOfView(width * share, height * share, depth)

    def show3D(self) -> None:
        """Surfaces of all visible segmentations, as with the Segment Editor's button Show 3D."""
        for node in self.slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            node.CreateClosedSurfaceRepresentation()

    def showFrom(self, ui, first: str) -> None:
        """Scroll the panel so that a widget is at its top."""
        from PySide6 import QtCore, QtWidgets

        widget, parent = getattr(ui, first), getattr(ui, first).parent()
        while parent is not None and not isinstance(parent, QtWidgets.QScrollArea):
            parent = parent.parent()
        self.slicer.app.processEvents()
        if parent is not None:
            top = widget.mapTo(parent.widget(), QtCore.QPoint(0, 0)).y()
            parent.verticalScrollBar().setValue(top - 4)

    def save(self, name: str) -> None:
        """Write the window's picture."""
        from harness import records, screenshot

        self.wait(seconds=1.0)
        self.out.mkdir(parents=True, exist_ok=True)
        screenshot.save(self.out / f"slicer-{name}.png", SIZE)
        said = [text for text in records.texts() if text] + [text.splitlines()[-1] for _, _, text in records.errors]
        print(f"slicer-{name}.png" + (f"   said: {said}" if said else ""), flush=True)
        records.reset()


def choose(combo, text: str) -> None:
    """Pick the first entry that holds a text, as a user does."""
    combo.currentIndex = next(i for i in range(combo.count) if text in combo.itemText(i))


def row(table, text: str) -> int:
    """The row whose first cell holds a text."""
    return next(i for i in range(table.rowCount) if text in table.item(i, 0).text())
