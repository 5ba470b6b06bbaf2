"""The annotator's module: a dataset, its cases, drawing in the Segment Editor, checks, saving, handing in."""

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


class OrganAnnotate(ScriptedLoadableModule):
    """What Slicer shows of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("OrganAnnotate")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = [_("The OrganIncrement maintainers")]
        parent.helpText = _(
            "Make a dataset of scans with one or more organs drawn on them: add open volumes or whole folders, draw in "
            "the Segment Editor, have the labels checked, save them and hand them in to a reviewer. Nothing is trained "
            "here. Research use only. Not a medical device."
        )
        parent.acknowledgementText = _(
            "How such datasets are trained with: Y. Zhou et al., Uncertainty-aware incremental learning for "
            "multi-organ segmentation, arXiv 2103.05227."
        )


@parameterNodeWrapper
class OrganAnnotateParameters:
    """The module's state, kept in the scene."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode  # to be added as a case
    inputSegmentation: slicer.vtkMRMLSegmentationNode  # to copy a segment from
    caseVolume: slicer.vtkMRMLScalarVolumeNode
    caseSegmentation: slicer.vtkMRMLSegmentationNode
    datasetFolder: str = ""
    caseId: str = ""
    savedDigest: str = ""  # of the label that the dataset holds, to notice unsaved changes
    seenLabel: str = ""  # SHA-256 of the label file when it was loaded, to notice what others saved
    seenStatus: str = ""
    organId: str = ""
    modelPath: str = ""
    candidateFolder: str = ""
    suggestCount: Annotated[int, WithinRange(1, 1000)] = 5


class OrganAnnotateWidget(OrganModuleWidget):
    """The module's panel."""

    formNames = ("OrganAnnotate", "OrganAnnotateImport", "OrganAnnotateDraw")

    def makeController(self, ui):
        from OrganIncrementLib.Controllers.AnnotateController import AnnotateController

        return AnnotateController(ui)

    def parametersOf(self, node):
        return OrganAnnotateParameters(node)


class OrganAnnotateTest(ScriptedLoadableModuleTest):
    """The self-test in a real Slicer: the panel opens, and says what is missing."""

    def runTest(self):
        self.setUp()
        slicer.util.selectModule("OrganAnnotate")
        ui = slicer.util.getModuleWidget("OrganAnnotate").ui
        self.assertFalse(ui.saveButton.enabled)
        self.assertTrue(ui.saveButton.toolTip)
        self.delayDisplay(_("The panel opens."))
