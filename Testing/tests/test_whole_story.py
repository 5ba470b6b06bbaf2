"""Three people, three modules, one real engine: from an open scan without labels to a reviewed student's result."""

from pathlib import Path

import pytest
import slicer
from annotate_clicks import openCase
from train_world import chooseBoth, withMethods

from harness import records
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder


@pytest.mark.slow
def test_annotated_reviewed_trained_and_applied(openModule, filledWorkFolder, settle):
    folder = filledWorkFolder / "datasets" / "stomach"
    draft = next(case.id for case in DatasetFolder.open(folder).cases() if case.status == "draft")
    handIn(openModule("OrganAnnotate"), folder, draft)
    approve(openModule("OrganReview"), folder, draft)
    withMethods(filledWorkFolder)
    widget = openModule("OrganIncrement")
    train(widget.ui, widget.controller, settle)
    job = JobFolder.open(next((filledWorkFolder / "jobs").iterdir()))
    assert draft in (job.path / "reads.log").read_text(encoding="utf-8")
    look(widget, filledWorkFolder, settle)
    assert records.texts("error") == []


def handIn(widget, folder, caseId):
    """The annotator opens the draft, saves it and hands it in."""
    records.answer("getExistingDirectory", str(folder))
    widget.ui.openDatasetButton.click()
    openCase(widget, [case.id for case in DatasetFolder.open(folder).cases()].index(caseId))
    assert caseId in widget.ui.caseStateLabel.text
    widget.ui.checkButton.click()
    widget.ui.handInButton.click()
    assert DatasetFolder.open(folder).case(caseId).status == "submitted", records.texts()


def approve(widget, folder, caseId):
    """The reviewer opens the case and approves it."""
    records.answer("getExistingDirectory", str(folder))
    widget.ui.openDatasetButton.click()
    listed = [widget.ui.caseTable.item(row, 0).text().removeprefix("▸") for row in range(widget.ui.caseTable.rowCount)]
    widget.ui.caseTable.cellClicked.emit(listed.index(caseId), 0)
    widget.ui.approveButton.click()
    assert DatasetFolder.open(folder).case(caseId).status == "approved", records.texts()


def train(ui, controller, settle):
    """The radiologist trains, pauses, closes the scene, comes back and resumes."""
    chooseBoth(ui)
    assert "5 of 6 cases approved" in ui.datasetCasesLabel.text
    controller.methods.settingsPanel.field("training.steps").widget.value = 60
    ui.startButton.click()
    settle(until=lambda: "running" in ui.jobTitleLabel.text and ui.jobProgressBar.value >= 2, seconds=100)
    ui.pauseButton.click()
    settle(until=lambda: "paused" in ui.jobTitleLabel.text, seconds=60)
    slicer.mrmlScene.Clear(0)
    settle(until=lambda: ui.resumeButton.enabled, seconds=20)
    ui.resumeButton.click()
    settle(until=lambda: "finished" in ui.jobTitleLabel.text, seconds=150)


def look(widget, workFolder, settle):
    """Result, segmentation, uncertainty, next region, export."""
    ui = widget.ui
    assert ui.comparisonTable.rowCount == 3
    scan = slicer.util.loadVolume(str(workFolder / "scan.nii.gz"), {"name": "CT"})
    ui.inputVolumeSelector.setCurrentNode(scan)
    student = next(entry.path for entry in widget.controller.segment._models if entry.path.name == "student")
    widget._parameterNode.segmentModel = str(student)
    ui.applyButton.click()
    settle(until=lambda: not ui.segmentCancelButton.visible, seconds=150)
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == scan.GetID()
    assert composite.GetForegroundVolumeID() is not None
    ui.nextRegionButton.click()
    assert "Region 1 of" in ui.regionLabel.text
    out = Path(workFolder) / "handed-on.seg.nrrd"
    records.answer("getSaveFileName", str(out))
    ui.exportSegmentationButton.click()
    settle(until=out.is_file, seconds=20)
