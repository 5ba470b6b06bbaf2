"""The reviewer's module: walk the cases of a dataset by uncertainty, approve or flag them; needs nothing installed."""

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


class OrganReview(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("OrganReview")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = [_("The OrganIncrement maintainers")]
        parent.helpText = _(
            "Review the labels of a dataset, the most uncertain case first. Click a case, or press Enter, to open it. "
            "N and B go to the next and the previous uncertain region, A approves the case, F flags it. Every decision "
            "is recorded in the dataset's history; only approved cases are offered to training. No engine needs to be "
            "installed. Research use only. Not a medical device."
        )
        parent.acknowledgementText = _(
            "The uncertainty is that of: Y. Zhou et al., Uncertainty-aware incremental learning for multi-organ "
            "segmentation, arXiv 2103.05227."
        )


@parameterNodeWrapper
class OrganReviewParameters:
    """The module's state, kept in the scene."""

    datasetFolder: str
    casesShown: str = "to review"
    organ: str
    resultsKey: str
    runModel: str
    caseId: str
    image: slicer.vtkMRMLScalarVolumeNode
    label: slicer.vtkMRMLSegmentationNode
    model: slicer.vtkMRMLSegmentationNode
    uncertainty: slicer.vtkMRMLScalarVolumeNode
    labelVisible: bool = True
    modelVisible: bool = False
    uncertaintyVisible: bool = True
    uncertaintyOpacity: Annotated[float, WithinRange(0, 1)] = 0.5
    uncertaintyThreshold: Annotated[float, WithinRange(0, 100)] = 30.0  # per cent; uncertain regions begin there


class OrganReviewWidget(OrganModuleWidget):
    """The module's panel."""

    def makeController(self, ui):
        from OrganIncrementLib.Controllers.ReviewController import ReviewController

        return ReviewController(ui)

    def parametersOf(self, node):
        return OrganReviewParameters(node)

    def enter(self):
        """The module is shown: its keys work."""
        OrganModuleWidget.enter(self)
        if self.controller is not None:
            self.controller.setShown(True)

    def exit(self):
        """The module is hidden: its keys belong to others again."""
        if self.controller is not None:
            self.controller.setShown(False)
        OrganModuleWidget.exit(self)


class OrganReviewTest(ScriptedLoadableModuleTest):
    """The self-test in a real Slicer."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_opens_without_a_dataset()

    def test_opens_without_a_dataset(self):
        """The panel says what is missing, and nothing can be approved."""
        slicer.util.selectModule("OrganReview")
        panel = slicer.util.getModuleWidget("OrganReview")
        self.assertFalse(panel.ui.approveButton.enabled)
        self.assertTrue(panel.ui.approveButton.toolTip)
