"""Section 2 with real files: problems in a dataset, opening and importing one."""

import pytest
import slicer
from train_world import chooseBoth, withMethods

from harness import records
from organincrement.contract.dataset import DatasetFolder


@pytest.fixture
def world(filledWorkFolder):
    """A workspace with a teacher and a dataset, and the engine's methods known."""
    withMethods(filledWorkFolder)
    return filledWorkFolder


def test_cases_that_are_not_approved_train_only_on_request(world, openModule):
    dataset = DatasetFolder.open(world / "datasets" / "stomach")
    for case in dataset.cases():
        if case.status == "approved":
            dataset.move(case.id, "submitted", "Dr Phantom", "look again")
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    assert "0 of 6 cases approved" in ui.datasetCasesLabel.text
    assert "5 waiting for review" in ui.datasetCasesLabel.text
    assert "approve some in OrganReview" in ui.startButton.toolTip
    ui.includeUnapprovedCheckBox.click()
    assert ui.startButton.enabled


def test_dataset_in_a_folder_without_write_permission_can_still_be_chosen(world, openModule):
    folder = world / "datasets" / "stomach"
    folder.chmod(0o555)
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    assert ui.startButton.enabled
    folder.chmod(0o755)


def test_first_problem_in_the_files_is_a_link_that_shows_the_scan(world, openModule, settle):
    dataset = DatasetFolder.open(world / "datasets" / "stomach")
    case = dataset.cases()[0]
    label = dataset.label_path(case)
    label.write_bytes(label.read_bytes()[:-40])
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    settle(until=lambda: "href" in ui.datasetProblemLabel.text, seconds=60)
    assert case.id in ui.datasetProblemLabel.text
    ui.datasetProblemLabel.linkActivated.emit("problem")
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[0].GetName() == case.id
    assert case.id in records.texts("error")[0]  # its label cannot be drawn


def test_folder_that_is_no_dataset_is_refused_and_one_that_is_gets_listed(world, engineWorld, openModule):
    ui = openModule("OrganIncrement").ui
    records.answer("getExistingDirectory", str(world))
    ui.openDatasetButton.click()
    assert "not a dataset" in records.texts("error")[0]
    records.answer("getExistingDirectory", str(engineWorld.teacherDataset))
    ui.openDatasetButton.click()
    assert ui.datasetComboBox.currentText == "site-a"
    assert "Liver" in ui.datasetCasesLabel.text


def test_scans_and_labels_are_imported_as_a_dataset(world, openModule, settle):
    ui = openModule("OrganIncrement").ui
    ui.importButton.click()
    assert "choose the folder with the scans" in ui.importStartButton.toolTip
    source = world / "datasets" / "stomach"
    records.answer("getExistingDirectory", str(source / "images"))
    ui.importImagesButton.click()
    records.answer("getExistingDirectory", str(source / "labels"))
    ui.importLabelsButton.click()
    assert "name the organ" in ui.importStartButton.toolTip
    ui.importOrganLineEdit.text = "Pancreas"
    assert ui.importStartButton.enabled
    ui.importStartButton.click()
    assert ui.importProgressBar.visible
    settle(until=lambda: ui.datasetComboBox.currentText == "pancreas", seconds=90)
    assert "Pancreas" in ui.datasetCasesLabel.text
    assert "6 of 6 cases approved" in ui.datasetCasesLabel.text
    assert not ui.importFrame.visible


def test_import_can_be_cancelled_and_leaves_nothing(world, openModule, settle):
    widget = openModule("OrganIncrement")
    ui, source = widget.ui, world / "datasets" / "stomach"
    ui.importButton.click()
    ui.importImagesLineEdit.text = str(source / "images")
    ui.importLabelsLineEdit.text = str(source / "labels")
    ui.importOrganLineEdit.text = "Pancreas"
    ui.importStartButton.click()
    ui.importCancelButton.click()
    settle(until=lambda: ui.importStartButton.enabled, seconds=20)
    assert not (world / "datasets" / "pancreas").exists()
    assert records.texts("error") == []


def test_several_organs_are_imported_and_their_cases_wait_for_review_on_request(world, engineWorld, openModule, settle):
    widget = openModule("OrganIncrement")
    ui, source = widget.ui, engineWorld.teacherDataset
    ui.importButton.click()
    ui.importImagesLineEdit.text = str(source / "images")
    ui.importLabelsLineEdit.text = str(source / "labels")
    assert not ui.importAddOrganButton.enabled and not ui.importOrganList.visible
    ui.importOrganLineEdit.text = "Liver"
    ui.importAddOrganButton.click()
    assert ui.importOrganList.item(0).text() == "Liver, label value 1"
    assert (ui.importOrganLineEdit.text, ui.importValueSpinBox.value) == ("", 2)
    ui.importOrganLineEdit.text = "Mistake"
    ui.importAddOrganButton.click()
    ui.importRemoveOrganButton.click()
    ui.importOrganLineEdit.text, ui.importValueSpinBox.value = "Spleen", 2
    assert ui.importStatusComboBox.currentText == "Approved already"
    ui.importStatusComboBox.currentIndex = 1
    assert widget._parameterNode.importStatus == "submitted"
    ui.importStartButton.click()
    settle(until=lambda: ui.datasetComboBox.currentText == "liver-spleen", seconds=90)
    assert "Liver" in ui.datasetCasesLabel.text and "Spleen" in ui.datasetCasesLabel.text
    assert "6 waiting for review" in ui.datasetCasesLabel.text
