"""The application side of the MRML stack: scene, application logic and the module logics."""

import colorsys

import slicer
import vtk

LOGICS = {  # module name -> logic class in the wheel
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


def create_scene():
    """Make the scene and application logic; returns (scene, application logic)."""
    scene = slicer.vtkMRMLScene()
    application_logic = slicer.vtkSlicerApplicationLogic()
    application_logic.SetMRMLScene(scene)
    application_logic.SetSliceLogics(vtk.vtkCollection())
    application_logic.SetViewLogics(vtk.vtkCollection())
    return scene, application_logic


def create_logics(scene, application_logic):
    """One logic per module, observing the scene; node classes are registered on the way."""
    logics = {}
    # The wheel has no share directory (terminologies, extra colour files); the complaints are noise.
    shown = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.GlobalWarningDisplayOff()
    order = sorted(LOGICS, key=lambda n: n not in ("Terminologies", "Units", "Colors", "SubjectHierarchy"))
    for module in order:
        kind = getattr(slicer, LOGICS[module], None)
        if kind is None:
            continue
        logic = kind()
        logic.SetMRMLApplicationLogic(application_logic)
        if module == "Colors":
            application_logic.SetColorLogic(logic)
        logic.SetMRMLScene(scene)
        application_logic.SetModuleLogic(module, logic)
        logics[module] = logic
    _file_color_tables(scene)
    vtk.vtkObject.SetGlobalWarningDisplay(shown)
    return logics


def _file_color_tables(scene):
    """Tables with the IDs of files that the application ships; the colours are made up here."""

    def ramp(first, last):
        return lambda t: colorsys.hsv_to_rgb(first + (last - first) * t, 1.0, 1.0)

    tables = {
        "GenericColors": (256, lambda t: colorsys.hsv_to_rgb((t * 255 * 0.618034) % 1.0, 0.55, 0.9)),
        "ColdToHotRainbow": (256, ramp(0.67, 0.0)),
        "HotToColdRainbow": (256, ramp(0.0, 0.67)),
        "DivergingBlueRed": (256, lambda t: (min(1, 2 * t), 1 - abs(2 * t - 1), min(1, 2 - 2 * t))),
    }
    for name, (count, color) in tables.items():
        node = slicer.vtkMRMLColorTableNode()
        node.SetTypeToUser()
        node.SetNumberOfColors(count)
        for index in range(count):
            node.SetColor(
                index, str(index), *color(index / (count - 1)), 0.0 if name == "GenericColors" and not index else 1.0
            )
        node.SetName(name)
        node.SetSingletonTag(f"File{name}.txt")
        node.SetHideFromEditors(False)
        node.SaveWithSceneOff()
        scene.AddNode(node)
