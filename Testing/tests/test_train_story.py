"""The radiologist's story on the real engine: choose, check, train, watch, pause, come back, resume, finish."""

from pathlib import Path

import pytest
import slicer
from train_world import chooseBoth, timedTicks, withMethods

from harness import records, screenshot

OUTPUT = Path(__file__).resolve().parents[1] / "output"


@pytest.mark.slow
def test_from_choosing_a_teacher_to_a_finished_student(openModule, filledWorkFolder, settle):
    withMethods(filledWorkFolder)
    widget = openModule("OrganIncrement")
    ui, ticks = widget.ui, timedTicks(widget)
    assert "choose a teacher" in ui.startButton.toolTip
    choose(ui)
    checkTheFit(ui, settle)
    ui.trainAdvancedCollapsibleButton.click()
    widget.controller.methods.settingsPanel.field("training.steps").widget.value = 150
    settle(until=lambda: ui.estimateLabel.text.startswith("≈"), seconds=100)
    assert "150 steps" in ui.estimateLabel.text
    assert "memory" in ui.estimateLabel.text
    ui.startButton.click()
    settle(until=lambda: "running" in ui.jobTitleLabel.text and ui.jobProgressBar.value >= 5, seconds=100)
    assert (ui.jobProgressBar.maximum, ui.plotsButton.checked) == (150, True)
    ui.trainAdvancedCollapsibleButton.click()
    settle(seconds=1.5)
    OUTPUT.mkdir(exist_ok=True)
    screenshot.save(OUTPUT / "train.png", size=(1280, 1400))
    ui.pauseButton.click()
    settle(until=lambda: "paused" in ui.jobTitleLabel.text, seconds=60)
    assert not ui.pauseButton.enabled
    slicer.mrmlScene.Clear(0)
    assert "paused" in ui.jobTitleLabel.text
    settle(until=lambda: ui.resumeButton.enabled, seconds=10)
    ui.resumeButton.click()
    settle(until=lambda: "finished" in ui.jobTitleLabel.text, seconds=150)
    assert ui.jobProgressBar.value == 150
    students = [entry.path.parent.name for entry in widget.controller.teacher._entries if entry.path.name == "student"]
    assert len(students) == 1
    assert records.texts("error") == []
    assert max(ticks) < 0.05, f"the panel was busy for {max(ticks):.3f} s at a time"


def choose(ui):
    chooseBoth(ui)
    assert "Liver" in ui.teacherOrgansLabel.text
    assert "Licence: research use only" in ui.teacherFactsLabel.text
    assert "4 of 6 cases approved" in ui.datasetCasesLabel.text
    assert ui.startButton.enabled, ui.startButton.toolTip


def checkTheFit(ui, settle):
    ui.auditButton.click()
    assert ui.auditProgressBar.visible
    settle(until=lambda: ui.auditTable.rowCount == 6, seconds=150)
    assert "Of 6 scans" in ui.auditSummaryLabel.text
    ui.auditTable.cellClicked.emit(1, 0)
    caseId = ui.auditTable.item(1, 0).text()
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID()).GetName() == caseId
    labels = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert [node.GetDisplayNode().GetVisibility2DFill() for node in labels] == [0]
    ui.auditTable.cellClicked.emit(1, 1)
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1
