"""What OrganAnnotate lets the real engine do: draw a first version, import a folder, check all, say which scan next."""

import shutil

import numpy as np
import pytest
import slicer
from annotate_clicks import addOpenVolume, draw, findings, makeDataset, openCase, writeLabel, writtenDataset

from fixtures.phantoms import liverMask
from harness import records
from organincrement.contract.dataset import DatasetFolder

ENGINE_S = 120  # the machine that runs the tests may be slow, or busy with something else


@pytest.fixture
def module(openModule, filledWorkFolder):
    """The module's widget; the workspace has the teacher (liver and spleen), the dataset "stomach" and a scan."""
    return openModule("OrganAnnotate")


def chooseModel(widget, combo):
    """Choose the teacher in one of the drop-downs."""
    combo.currentIndex = combo.findText("teacher") if combo.findText("teacher") >= 0 else 0
    combo.activated.emit(combo.currentIndex)


def wait(widget, settle):
    """Until the task in the background is over."""
    assert widget.ui.taskFrame.visible, records.texts("error")
    settle(until=lambda: not widget.controller.session.busy, seconds=ENGINE_S)
    settle(seconds=0.05)
    assert not widget.ui.taskFrame.visible


def withScan(widget, workFolder, organ):
    """A new dataset of one organ, with the workspace's scan open in it."""
    folder = makeDataset(widget, workFolder / "datasets" / "new", organ, name="new")
    addOpenVolume(widget, slicer.util.loadVolume(str(workFolder / "scan.nii.gz")))
    return folder


def test_a_model_that_knows_the_organ_draws_a_first_version(module, filledWorkFolder, settle):
    ui = module.ui
    folder = withScan(module, filledWorkFolder, "liver")
    assert not ui.presegmentButton.enabled and "model" in ui.presegmentButton.toolTip
    chooseModel(module, ui.modelComboBox)
    assert ui.presegmentButton.enabled, ui.presegmentButton.toolTip
    ui.presegmentButton.click()
    assert "draws Liver in case_0001" in ui.taskLabel.text
    assert not ui.presegmentButton.enabled and "Wait" in ui.presegmentButton.toolTip
    wait(module, settle)
    assert records.texts("error") == []
    drawn = module.controller.drawing.arrays().masks["liver"]
    assert drawn.any()
    assert "changed" in ui.caseStateLabel.text
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1
    results = list((folder / "results").glob("*/case_0001/report.json"))
    assert len(results) == 1
    ui.saveButton.click()
    records.answer("confirmYesNo", True)
    ui.presegmentButton.click()  # the result is there: no second run
    assert not ui.taskFrame.visible
    assert "drawn already" in records.texts("confirmYesNo")[0]
    assert (module.controller.drawing.arrays().masks["liver"] == drawn).all()
    assert [row for row in findings(folder) if row["kind"] == "problem"] == []


def test_a_model_that_does_not_know_the_organ_says_so(module, filledWorkFolder):
    withScan(module, filledWorkFolder, "mandible")
    chooseModel(module, module.ui.modelComboBox)
    assert not module.ui.presegmentButton.enabled
    assert "does not know Mandible" in module.ui.presegmentButton.toolTip
    assert "does not know Mandible" in module.ui.modelNoteLabel.text


def test_a_model_that_is_stopped_leaves_the_drawing_as_it_was(module, filledWorkFolder, settle):
    withScan(module, filledWorkFolder, "liver")
    draw(module, np.zeros(slicer.util.arrayFromVolume(module.controller.drawing.nodes[0]).shape, bool))
    chooseModel(module, module.ui.modelComboBox)
    module.ui.presegmentButton.click()
    module.ui.taskCancelButton.click()
    wait(module, settle)
    assert records.texts("error") == []
    assert not module.controller.drawing.arrays().drawn()


def test_an_engine_that_is_missing_is_named(module, filledWorkFolder, setting, settle):
    withScan(module, filledWorkFolder, "liver")
    module.controller.session.services.engine.setPython(filledWorkFolder / "no-python")
    chooseModel(module, module.ui.modelComboBox)
    module.ui.presegmentButton.click()
    settle(until=lambda: not module.controller.session.busy, seconds=10)
    assert "no-python" in records.texts("error")[0]


def test_scans_of_a_folder_are_ranked_and_a_click_opens_one(module, filledWorkFolder, settle):
    ui = module.ui
    folder = filledWorkFolder / "candidates"
    folder.mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        shutil.copy2(filledWorkFolder / "scan.nii.gz", folder / name)
    makeDataset(module, filledWorkFolder / "datasets" / "new", "liver", name="new")
    assert not ui.suggestButton.enabled
    records.answer("getExistingDirectory", str(folder))
    ui.candidateFolderButton.click()
    assert ui.candidateFolderLineEdit.text == str(folder)
    chooseModel(module, ui.nextModelComboBox)
    ui.suggestCountSpinBox.value = 2
    assert ui.suggestButton.enabled, ui.suggestButton.toolTip
    ui.suggestButton.click()
    wait(module, settle)
    assert records.texts("error") == []
    assert ui.suggestTable.rowCount == 2
    ui.suggestTable.cellClicked.emit(0, 1)
    volume = ui.volumeSelector.currentNode()
    assert volume is not None and "nii" not in volume.GetName()
    assert ui.addCaseFrame.visible
    ui.createCaseButton.click()
    assert "case_0001" in ui.caseStateLabel.text


def importFolder(widget, tmp_path, organs, cases=2):
    """Scans and labels of the phantom as another program keeps them; the organs' values are 1, 2, …"""
    source = writtenDataset(tmp_path / "elsewhere", organs=organs, cases=cases)
    for case in source.cases():
        label = liverMask() * len(organs)
        for value in range(1, len(organs)):
            label[value, 1:3, 1:3] = value
        writeLabel(source, case.id, label, organs)
    ui = widget.ui
    ui.addFolderButton.click()
    for button, part in ((ui.imagesButton, "images"), (ui.labelsButton, "labels")):
        records.answer("getExistingDirectory", str(source.path / part))
        button.click()
    return source


def test_a_folder_of_scans_and_labels_is_added_to_the_dataset(module, filledWorkFolder, tmp_path, settle):
    ui = module.ui
    folder = makeDataset(module, filledWorkFolder / "datasets" / "new", "spleen", "liver", name="new")
    importFolder(module, tmp_path, ["liver"])
    assert ui.importButton.enabled, ui.importButton.toolTip
    ui.organValuesTable.item(0, 1).setText("")
    ui.organValuesTable.item(1, 1).setText("1")
    ui.importButton.click()
    wait(module, settle)
    assert records.texts("error") == []
    assert "2 cases were added" in records.texts("info")[0]
    dataset = DatasetFolder.open(folder)
    assert [(case.id, case.status, case.annotated) for case in dataset.cases()] == [
        ("pt_1", "submitted", ("liver",)), ("pt_2", "submitted", ("liver",))
    ]  # fmt: skip
    # Two phantoms differ in nothing but their noise.
    assert {row["code"] for row in findings(folder)} <= {"same-scan"}
    openCase(module, 0)
    assert (module.controller.drawing.arrays().masks["liver"] == liverMask()).all()
    assert not module.controller.drawing.arrays().masks["spleen"].any()
    ui.addFolderButton.click()
    ui.importButton.click()
    wait(module, settle)
    assert "already" in records.texts("info")[1]
    assert len(dataset.cases()) == 2
    assert not list(folder.glob(".*partial*"))


def test_an_import_that_fails_leaves_nothing_behind(module, filledWorkFolder, tmp_path, settle):
    folder = makeDataset(module, filledWorkFolder / "datasets" / "new", "liver", name="new")
    source = importFolder(module, tmp_path, ["liver"])
    (source.path / "labels" / "pt_2.nii.gz").write_bytes(b"half a file")
    module.ui.importButton.click()
    wait(module, settle)
    assert "pt_2" in records.texts("error")[0]
    assert DatasetFolder.open(folder).cases() == []
    assert not list(folder.glob(".*partial*"))


def test_check_all_names_what_is_wrong_with_each_case(module, filledWorkFolder, settle):
    ui = module.ui
    dataset = writtenDataset(filledWorkFolder / "datasets" / "liver", cases=2)
    writeLabel(dataset, "pt_1", liverMask(), ["liver"])
    (dataset.path / "labels" / "pt_1.nii.gz").write_bytes(b"half a file")
    records.answer("getExistingDirectory", str(dataset.path))
    ui.openDatasetButton.click()
    ui.checkAllButton.click()
    wait(module, settle)
    assert "finding" in ui.caseTable.item(0, 4).text()
    assert "changed" in ui.caseTable.item(0, 4).toolTip()
    assert ui.caseTable.item(1, 4).text() == "nothing drawn"
