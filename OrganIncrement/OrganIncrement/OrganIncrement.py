"""The radiologist's module: choose a teacher and a dataset, train a student, compare, segment, see the uncertainty."""

import sys
from pathlib import Path
from typing import Annotated

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleTest

for _folder in Path(__file__).resolve().parents[:2]:  # beside an installed module, one folder up in the source tree
    if (_folder / "OrganIncrementLib").is_dir() and str(_folder) not in sys.path:
        sys.path.append(str(_folder))

from OrganIncrementLib.ModuleWidget import OrganModuleWidget  # noqa: E402
from OrganIncrementLib.Startup import registerAtStartup  # noqa: E402


class OrganIncrement(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("OrganIncrement")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = [_("The OrganIncrement maintainers")]
        parent.helpText = _(
            "Teach a segmentation model one more organ, without the data that it was trained on: choose a teacher "
            "(a model of this module, nnU-Net, TotalSegmentator, MONAI and others), choose a dataset in which the new "
            "organ is contoured, and train a student that segments the old organs and the new one. Then compare "
            "student and teacher, apply either to a scan, see how far each voxel can be trusted, and hand models and "
            "results to other programs. Everything stays on this computer. Research use only. Not a medical device."
        )
        parent.acknowledgementText = _(
            "Please cite: Y. Zhou et al., Uncertainty-aware incremental learning for multi-organ segmentation, "
            "arXiv 2103.05227; F. Isensee et al., nnU-Net, Nature Methods 18 (2021); F. Cermelli et al., Modeling the "
            "background for incremental learning in semantic segmentation, CVPR 2020; Z. Li and D. Hoiem, Learning "
            "without forgetting, IEEE TPAMI 40 (2018). The method that you choose names its own paper."
        )
        registerAtStartup()


@parameterNodeWrapper
class OrganIncrementParameters:
    """The module's state, kept in the scene."""

    # sections 1 to 3: what to train
    teacherPath: str
    datasetPath: str
    importImages: str
    importLabels: str
    importOrgan: str
    importValue: Annotated[int, WithinRange(1, 65535)] = 1
    importFormat: str = "folders"
    importOrgans: str  # JSON: organs that were added, with their values
    importStatus: str = "approved"
    organMap: str  # JSON: what organs of the teacher count as
    moreTeachers: str  # JSON lists of paths, as the next two
    moreDatasets: str
    oldDatasets: str
    vaultPath: str
    vaultDataset: str
    vaultMethod: str
    vaultCount: Annotated[int, WithinRange(1, 100000)] = 30
    method: str = "bla-uag"
    preset: str = "practical"
    methodSettings: str  # JSON: what differs from the presets, by method
    device: str = "auto"
    includeUnapproved: bool = False
    showBaselines: bool = False
    jobPath: str

    # sections 4 and 5: what came of it
    resultModel: str
    evaluationDataset: str
    exportFormat: str = "file"
    resultFormat: str = "nifti"
    inputVolume: slicer.vtkMRMLScalarVolumeNode
    segmentModel: str
    uncertaintyKind: str = "entropy"
    largestComponent: bool = False
    overlayVisible: bool = True
    show3D: bool = True
    shownResult: str = "student"
    uncertaintyOpacity: Annotated[float, WithinRange(0, 1)] = 0.5
    mergeParts: str  # JSON: folders of results and packages
    uncertaintyThreshold: Annotated[float, WithinRange(0, 100)] = 30.0  # per cent; uncertain regions begin there


class OrganIncrementWidget(OrganModuleWidget):
    """The module's panel."""

    formNames = ("OrganIncrement", "OrganIncrementResult", "OrganIncrementMerge")

    def makeController(self, ui):
        from OrganIncrementLib.Controllers.IncrementController import IncrementController

        return IncrementController(ui)

    def parametersOf(self, node):
        return OrganIncrementParameters(node)


class OrganIncrementTest(ScriptedLoadableModuleTest):
    """The self-test in a real Slicer: the panel opens, says what is missing, and outlives its scene."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_startSaysWhatIsMissing()
        self.test_closedSceneIsNoHarm()

    def test_startSaysWhatIsMissing(self):
        slicer.util.selectModule("OrganIncrement")
        ui = slicer.util.getModuleWidget("OrganIncrement").ui
        if not ui.startButton.enabled:
            self.assertTrue(ui.startButton.toolTip)
        self.delayDisplay("Start says what is missing")

    def test_closedSceneIsNoHarm(self):
        slicer.util.selectModule("OrganIncrement")
        slicer.mrmlScene.Clear(0)
        widget = slicer.util.getModuleWidget("OrganIncrement")
        self.assertEqual(widget.ui.teacherComboBox.currentIndex, 0)
        self.delayDisplay("The panel outlives its scene")
