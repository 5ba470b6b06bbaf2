"""Slice and 3D views: the real slice logic and displayable managers."""

import slicer
import vtk

from harness.views.off_screen_view import OffScreenView

SLICE_MANAGERS = [
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
]
THREED_MANAGERS = [
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLColorLegendDisplayableManager",
]


def register_managers(application_logic):
    for factory, names in (
        (slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), SLICE_MANAGERS),
        (slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREED_MANAGERS),
    ):
        factory.SetMRMLApplicationLogic(application_logic)
        for name in names:
            if hasattr(slicer, name) and not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)


class RenderedView(OffScreenView):
    """Common part of the slice and the 3D view: the displayable managers that draw nodes into it."""

    factory_class = None

    def __init__(self, node, parent=None):
        super().__init__(parent)
        self._node = node
        self._managers = slicer.vtkMRMLDisplayableManagerGroup()
        self._managers.Initialize(self.factory_class.GetInstance(), self._renderer)
        self._managers.SetMRMLDisplayableNode(node)
        self._tag = self._managers.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: self.scheduleRender())

    def displayableManagerByClassName(self, name):
        return self._managers.GetDisplayableManagerByClassName(name)

    def cornerAnnotation(self):
        if not hasattr(self, "_corner"):
            self._corner = vtk.vtkCornerAnnotation()
            self._renderer.AddViewProp(self._corner)
        return self._corner

    def release(self):
        self._managers.RemoveObserver(self._tag)
        self._managers.SetMRMLDisplayableNode(None)
        super().release()


class qMRMLSliceView(RenderedView):
    factory_class = slicer.vtkMRMLSliceViewDisplayableManagerFactory

    def __init__(self, node, logic, parent=None):
        super().__init__(node, parent)
        self._logic = logic
        self._renderer.SetBackground(0, 0, 0)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._renderer.AddViewProp(self._actor)
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.scheduleRender())

    def mrmlSliceNode(self):
        return self._node

    def prepare(self):
        width, height = self._window.GetSize()
        if tuple(self._node.GetDimensions()[:2]) != (width, height):
            self._logic.ResizeSliceNode(width, height)
        # The displayable managers draw in pixel coordinates.
        camera = self._renderer.GetActiveCamera()
        camera.SetFocalPoint(width / 2, height / 2, 0)
        camera.SetPosition(width / 2, height / 2, 1)
        camera.SetParallelScale(height / 2)
        connection = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._actor.SetVisibility(connection is not None)
        if connection is not None:
            connection.GetProducer().Update()

    def convertDeviceToXYZ(self, xy):
        return [xy[0], self._window.GetSize()[1] - xy[1] - 1, 0]


class qMRMLThreeDView(RenderedView):
    factory_class = slicer.vtkMRMLThreeDViewDisplayableManagerFactory

    def __init__(self, node, parent=None):
        super().__init__(node, parent)
        self._renderer.SetGradientBackground(True)

    def mrmlViewNode(self):
        return self._node

    def prepare(self):
        self._renderer.SetBackground(self._node.GetBackgroundColor())
        self._renderer.SetBackground2(self._node.GetBackgroundColor2())
        self._renderer.ResetCameraClippingRange()

    def cameraNode(self):
        return slicer.modules.cameras.logic().GetViewActiveCameraNode(self._node)

    def resetFocalPoint(self):
        self.resetCamera()

    def resetCamera(self, *args, **kwargs):
        self._window.Render()  # lets the displayable managers create their actors first
        bounds = vtk.vtkBoundingBox()
        props = self._renderer.GetViewProps()
        for index in range(props.GetNumberOfItems()):
            prop = props.GetItemAsObject(index)
            node_bounds = prop.GetBounds() if prop.GetVisibility() and prop.GetUseBounds() else None
            if isinstance(prop, vtk.vtkActor) and node_bounds and self._is_content(prop):
                bounds.AddBounds(node_bounds)
        if bounds.IsValid():
            limits = [0.0] * 6
            bounds.GetBounds(limits)
            self._renderer.ResetCamera(limits)
            self._renderer.GetActiveCamera().Dolly(0.8)
        else:
            self._renderer.ResetCamera()
        self.scheduleRender()

    @staticmethod
    def _is_content(actor):
        if isinstance(actor, vtk.vtkFollower):  # the letters of the view's box
            return False
        data = actor.GetMapper().GetInput() if actor.GetMapper() else None
        return data is not None and data.GetNumberOfPolys() > 0  # the box itself has lines only

    def lookFromViewAxis(self, axis):
        self.lookFromAxis(axis)

    def lookFromAxis(self, axis, resetView=True):
        directions = {1: (1, 0, 0), 2: (-1, 0, 0), 3: (0, 1, 0), 4: (0, -1, 0), 5: (0, 0, 1), 6: (0, 0, -1)}
        camera = self._renderer.GetActiveCamera()
        focal, distance = camera.GetFocalPoint(), camera.GetDistance()
        direction = directions.get(int(axis), (0, 1, 0))
        camera.SetPosition([f + distance * d for f, d in zip(focal, direction, strict=True)])
        camera.SetViewUp((0, 1, 0) if abs(direction[2]) else (0, 0, 1))
        self.resetCamera()
