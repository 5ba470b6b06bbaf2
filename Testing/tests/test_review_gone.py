"""A dataset or a node that disappears while it is reviewed: said in words, and nothing is approved unseen."""

import errno
import shutil

import pytest
import slicer
from review_clicks import clickCase, openDataset, plainDataset, press

from harness import records
from organincrement.contract.dataset import DatasetFolder


@pytest.fixture
def case(openModule, workFolder, tmp_path):
    """A dataset with its case `a` open; gives (dataset, ui)."""
    dataset = plainDataset(tmp_path)
    ui = openDataset(openModule, dataset.path).ui
    clickCase(ui, "a")
    return dataset, ui


@pytest.mark.parametrize("className", ["vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode"])
def test_a_case_that_is_no_longer_seen_is_not_approved(case, className):
    dataset, ui = case
    for node in slicer.util.getNodesByClass(className):
        slicer.mrmlScene.RemoveNode(node)
    press("A")
    assert dataset.case("a").status == "submitted"
    assert "deleted from the scene: open the case again" in ui.decisionMessageLabel.text
    clickCase(ui, "a")
    press("A")
    assert dataset.case("a").status == "approved"


def test_a_dataset_whose_drive_is_gone_is_said_and_comes_back(case):
    dataset, ui = case
    elsewhere = dataset.path.with_name("elsewhere")
    shutil.move(dataset.path, elsewhere)
    ui.readAgainButton.click()
    assert "is not there any longer: connect its drive" in ui.datasetMessageLabel.text
    assert not ui.approveButton.enabled
    assert "is not there any longer" in ui.approveButton.toolTip
    press("A")
    shutil.move(elsewhere, dataset.path)
    ui.readAgainButton.click()
    assert "not there" not in ui.datasetMessageLabel.text
    assert ui.caseTable.rowCount == 2
    assert dataset.case("a").status == "submitted"
    assert records.texts("error") == []


def test_a_full_disk_during_a_decision_is_said_without_a_system_message(case, monkeypatch):
    dataset, _ui = case

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(DatasetFolder, "move", full)
    press("A")
    (said,) = records.texts("error")
    assert "The disk is full" in said
    assert "free some space and try again" in said
    assert "Errno" not in said
    assert dataset.case("a").status == "submitted"
