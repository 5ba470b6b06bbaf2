"""The engine's organs, codes and colours in Slicer's terminology selector."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "Resources" / "Terminologies"
ORGANS_CONTEXT = "Segmentation category and type - OrganIncrement"
REGIONS_CONTEXT = "Anatomic codes - OrganIncrement"
_FILES = {ORGANS_CONTEXT: "OrganIncrementOrgans.json", REGIONS_CONTEXT: "OrganIncrementRegions.json"}


def register():
    """Load both contexts into Slicer; what is loaded stays. Does nothing where Slicer has no terminologies."""
    import slicer

    module = getattr(slicer.modules, "terminologies", None)
    logic = module.logic() if module is not None else None
    if logic is not None:
        loadInto(logic)


def loadInto(logic):
    """Load both contexts into a vtkSlicerTerminologiesModuleLogic, if they are not in it yet. Returns: their names."""
    import vtk

    loaded = vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(loaded)
    names = {loaded.GetValue(i) for i in range(loaded.GetNumberOfValues())}
    if ORGANS_CONTEXT not in names:  # the two come together
        for fileName in _FILES.values():
            logic.LoadContextFromFile(str(FOLDER / fileName))
    return tuple(_FILES)
