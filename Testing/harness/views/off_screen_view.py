"""A widget that paints what VTK rendered off-screen, so that a picture of the window shows panel and views together."""

import contextlib
import time

import numpy as np
import vtk
from PySide6 import QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

# time spent drawing so far, on the clock and in this thread; software rendering is slow, and not the module's doing
drawing_s = [0.0, 0.0]


@contextlib.contextmanager
def drawing():
    """Count a block as drawing."""
    started, busy = time.perf_counter(), time.thread_time()
    try:
        yield
    finally:
        drawing_s[0] += time.perf_counter() - started
        drawing_s[1] += time.thread_time() - busy


class OffScreenView(QtWidgets.QWidget):
    """A VTK render window behind a Qt widget; drawn when the widget is painted, or when asked for its pixels."""

    cpp_class = True

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setMinimumSize(120, 100)
        self._picture, self._stale = None, True
        with drawing():
            self._make()

    def _make(self):
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(400, 300)
        self._renderer = vtk.vtkRenderer()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._interactor.Initialize()

    def scheduleRender(self):
        self._stale = True
        self.update()

    def prepare(self):
        """What has to be up to date before a frame is drawn."""

    def forceRender(self):
        with drawing():
            self._draw()

    def _draw(self):
        width, height = max(16, self.width), max(16, self.height)
        if tuple(self._window.GetSize()) != (width, height):
            self._window.SetSize(width, height)
            self._interactor.SetSize(width, height)
        self.prepare()
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.SetInputBufferTypeToRGB()
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3)
        self._pixels = np.ascontiguousarray(pixels[::-1])
        self._picture = QtGui.QImage(self._pixels.data, columns, rows, 3 * columns, QtGui.QImage.Format_RGB888)
        self._stale = False

    def pixels(self):
        """The current picture as an array (rows, columns, RGB), for assertions in tests."""
        self.forceRender()
        return self._pixels.copy()

    def paintEvent(self, event):
        if self._stale or self._picture is None or self._picture.size() != self.size:
            self.forceRender()
        painter = QtGui.QPainter(self)
        painter.drawImage(0, 0, self._picture)
        painter.end()

    def resizeEvent(self, event):
        self.scheduleRender()

    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def renderer(self):
        return self._renderer

    def release(self):
        """Free the graphics resources, while there is still an application."""
        self._window.Finalize()
