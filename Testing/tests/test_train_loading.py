"""Section 1: models of other tools taken in by clicks, with the real engine: questions, refusals, cancel, leave."""

import json
import shutil
from pathlib import Path

import pytest
import qt
import slicer
from foreign_models_made import hostileFile, tinyNnunet, tinyProgram, tinyTotalSegmentator, tinyWeights

from harness import records
from organincrement.contract.package import manifest_sha256, read_manifest


@pytest.fixture
def module(workFolder, openModule, monkeypatch):
    """The module on an empty workspace; however busy the computer is, a model is looked at."""
    widget = openModule("OrganIncrement")
    monkeypatch.setattr("OrganIncrementLib.Controllers.LoadController.LOOKS", 20)
    return widget


@pytest.fixture
def load(module, settle):
    """A function: chooses a path in the dialog of Load teacher…, and waits until it was looked at."""

    def load_(path):
        answerDialog(path)
        module.ui.loadTeacherButton.click()
        settle(until=lambda: not module.ui.loadProgressBar.visible, seconds=100)
        return module.ui

    return load_


def answerDialog(path):
    """In the dialog: mark it; a folder is taken by its button, a file by Open."""

    def choose(record):
        dialog = record["widget"]
        path_ = Path(path)
        if path_.is_dir():
            dialog.setDirectory(str(path_))
            dialog.findChild(qt.QPushButton, "takeFolderButton").click()
        else:
            dialog.findChild(qt.QLineEdit, "fileNameEdit").text = str(path_)
            dialog.accept()
        return qt.QDialog.Accepted

    records.answer("dialog", choose)


def start(ui, settle):
    ui.loadStartButton.click()
    settle(until=lambda: not ui.loadProgressBar.visible, seconds=150)


def models(workFolder):
    return sorted(path.name for path in (workFolder / "models").glob("*")) if (workFolder / "models").is_dir() else []


def test_nnunet_folder_is_shown_then_loaded_and_chosen(load, settle, workFolder, tmp_path):
    folder = tinyNnunet(tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres")
    ui = load(folder)
    assert not ui.loadMessageLabel.text
    assert "nnU-Net v2" in ui.loadFactsLabel.text and "PlainConvUNet" in ui.loadFactsLabel.text
    assert "8 × 8 × 8 voxels of 3 × 2 × 2 mm" in ui.loadFactsLabel.text
    assert "Can teach" in ui.loadFactsLabel.text and "--" not in ui.loadFactsLabel.text
    assert "liver" in ui.loadOrgansShownLabel.text
    assert models(workFolder) == []  # looking makes nothing
    assert ui.loadOrientationComboBox.visible and not ui.loadFoldsList.visible
    ui.loadNameLineEdit.text = "Tiny liver"
    start(ui, settle)
    assert records.texts("error") == []
    assert models(workFolder) == ["Tiny-liver"]
    manifest = read_manifest(workFolder / "models" / "Tiny-liver")
    assert manifest.name == "Tiny liver" and manifest.preprocessing.orientation == "stored"
    assert not ui.loadFrame.visible
    assert "Loaded: Tiny liver, 2 organs" in ui.teacherMessageLabel.text
    assert ui.teacherComboBox.currentText == "Tiny liver" and "Liver" in ui.teacherOrgansLabel.text.title()
    assert "nnU-Net v2 folder" in ui.teacherDetailsLabel.text  # the package alone would not say
    assert "files are those" in ui.teacherDetailsLabel.text


def test_orientation_fold_and_names_that_were_chosen_reach_the_package(load, settle, workFolder, tmp_path):
    folder = tinyNnunet(tmp_path / "a__b__3d_fullres", folds=("0", "1"))
    ui = load(folder)
    assert ui.loadFoldsList.count == 2
    ui.loadFoldsList.item(0).setCheckState(qt.Qt.Unchecked)
    ui.loadOrientationComboBox.currentIndex = ui.loadOrientationComboBox.findData("LPS")
    start(ui, settle)
    (name,) = models(workFolder)
    manifest = read_manifest(workFolder / "models" / name)
    assert manifest.preprocessing.orientation == "LPS" and len(manifest.weights) == 1


def test_folder_of_several_models_asks_which(load, settle, workFolder, tmp_path):
    for configuration in ("3d_fullres", "3d_lowres"):
        tinyNnunet(tmp_path / "Dataset007" / f"T__P__{configuration}", configuration=configuration)
    ui = load(tmp_path / "Dataset007")
    assert "several models" in ui.loadMessageLabel.text and "“Model”" in ui.loadMessageLabel.text
    assert ui.loadModelComboBox.visible and ui.loadModelComboBox.count == 2
    ui.loadModelComboBox.currentIndex = 1
    start(ui, settle)
    assert records.texts("error") == []
    assert models(workFolder) == ["T__P__3d_lowres"]
    assert read_manifest(workFolder / "models" / "T__P__3d_lowres").name.endswith("3d_lowres")


def test_networks_of_totalsegmentator_are_one_model(load, settle, workFolder, tmp_path):
    ui = load(tinyTotalSegmentator(tmp_path / "results"))
    assert "TotalSegmentator weights" in ui.loadFactsLabel.text
    assert not ui.loadModelComboBox.visible  # they belong together: nothing is to be chosen
    start(ui, settle)
    (name,) = models(workFolder)
    manifest = read_manifest(workFolder / "models" / name)
    assert (len(manifest.organs), manifest.network.kind) == (117, "SideBySide")


def test_second_model_waits_until_the_first_one_is_loaded(module, load, settle, workFolder, tmp_path):
    ui = load(tinyNnunet(tmp_path / "T__P__3d_fullres"))
    ui.loadNameLineEdit.text = "-first: 1/2 “ü”"
    ui.loadStartButton.click()
    module.controller.load._onLoad()
    assert "T__P__3d_fullres is still being loaded" in records.texts("info")[0]
    assert len(records.texts("dialog")) == 1
    settle(until=lambda: not ui.loadProgressBar.visible, seconds=150)
    assert models(workFolder) == ["first-1-2"]


def test_cancel_leaves_nothing(module, settle, workFolder, tmp_path):
    folder = tinyNnunet(tmp_path / "T__P__3d_fullres")
    answerDialog(folder)
    ui = module.ui
    ui.loadTeacherButton.click()
    assert ui.loadProgressBar.visible
    ui.loadCancelButton.click()
    settle(until=lambda: not ui.loadFrame.visible, seconds=30)
    answerDialog(folder)
    ui.loadTeacherButton.click()
    settle(until=lambda: ui.loadStartButton.visible, seconds=100)
    ui.loadStartButton.click()
    ui.loadCancelButton.click()
    settle(until=lambda: not ui.loadProgressBar.visible, seconds=30)
    assert "nothing was loaded" in ui.loadMessageLabel.text
    assert not list((workFolder / "models").glob("*")) and not list((workFolder / "models").glob(".*partial"))
    ui.loadCloseButton.click()
    assert not ui.loadFrame.visible
    assert records.texts("error") == []


def test_hostile_file_is_one_line_in_the_panel_and_makes_nothing(load, workFolder, tmp_path):
    path, mark = hostileFile(tmp_path)
    ui = load(path)
    assert ui.loadMessageLabel.text.startswith("⚠ ") and "\n" not in ui.loadMessageLabel.text
    assert "Traceback" not in ui.loadMessageLabel.text
    assert not mark.exists() and models(workFolder) == []
    assert not ui.loadStartButton.visible and ui.loadCloseButton.visible
    assert records.texts("error") == []


def test_half_copied_folder_names_what_is_missing(load, tmp_path):
    folder = tinyNnunet(tmp_path / "T__P__3d_fullres")
    (folder / "plans.json").unlink()
    ui = load(folder)
    assert "plans.json is missing" in ui.loadMessageLabel.text
    assert not ui.loadStartButton.visible


def test_scan_is_no_model(load, engineWorld):
    ui = load(engineWorld.scan)
    assert "is no model" in ui.loadMessageLabel.text and not ui.loadStartButton.visible


def test_weights_alone_are_described_in_the_form(load, settle, workFolder, tmp_path):
    ui = load(tinyWeights(tmp_path / "liver.pt"))
    assert ui.loadDescriptionGroupBox.visible and "fill in what is asked below" in ui.loadMessageLabel.text
    assert "looks like a PlainConvUNet" in ui.loadMessageLabel.text
    start(ui, settle)
    assert "Name the organs" in ui.loadMessageLabel.text and models(workFolder) == []
    ui.loadOrganNamesLineEdit.text = "liver, spleen"
    ui.loadSpacingLineEdit.text = "3 2 2"
    start(ui, settle)
    assert "Give the patch" in ui.loadMessageLabel.text
    ui.loadPatchLineEdit.text = "8 8 8"
    ui.loadWindowLineEdit.text = "-200 300 80 120"
    start(ui, settle)
    (name,) = models(workFolder)
    manifest = read_manifest(workFolder / "models" / name)
    assert manifest.preprocessing.spacing_mm == (3.0, 2.0, 2.0) and len(manifest.organs) == 2
    assert manifest.preprocessing.normalisation.clip_hu == (-200.0, 300.0)


def test_description_in_a_file_begins_with_the_example(load, settle, workFolder, tmp_path):
    ui = load(tinyWeights(tmp_path / "liver.pt"))
    records.answer("getSaveFileName", str(tmp_path / "described.json"))
    ui.loadExampleButton.click()
    assert json.loads((tmp_path / "described.json").read_text(encoding="utf-8"))["labels"] == {"liver": 1, "spleen": 2}
    said = json.loads((tmp_path / "described.json").read_text(encoding="utf-8"))
    del said["network"]
    said["inference"]["patch"] = [8, 8, 8]
    (tmp_path / "mine.json").write_text(json.dumps(said), encoding="utf-8")
    records.answer("getOpenFileName", str(tmp_path / "mine.json"))
    ui.loadDescriptionButton.click()
    start(ui, settle)
    (name,) = models(workFolder)
    assert read_manifest(workFolder / "models" / name).name == "Liver and spleen"


def leave(given):
    """The answer to the question whether a program may run; notes what the default button was."""
    seen = []

    def answer(record):
        seen.append((record["widget"].defaultButton().text, record["text"]))
        return qt.QMessageBox.Yes if given else qt.QMessageBox.No

    records.answer("messageBox", answer)
    return seen


def described(ui, settle):
    if not ui.loadDescriptionGroupBox.visible:  # a look has little memory; then the import asks
        start(ui, settle)
    ui.loadOrganNamesLineEdit.text = "liver, spleen"
    ui.loadSpacingLineEdit.text = "3 2 2"
    ui.loadPatchLineEdit.text = "8 8 8"
    ui.loadWindowLineEdit.text = "-200 300 80 120"


def test_program_runs_only_with_leave_and_no_is_the_default(load, settle, workFolder, tmp_path, monkeypatch):
    monkeypatch.setenv("ORGANINCREMENT_STATE", str(tmp_path / "state"))
    path = tinyProgram(tmp_path / "program.pt")
    ui = load(path)
    described(ui, settle)
    seen = leave(False)
    ui.loadStartButton.click()
    assert len(seen) == 1 and "No" in seen[0][0] and "is a program" in seen[0][1]
    assert "did not allow" in ui.loadMessageLabel.text and models(workFolder) == []
    assert not (tmp_path / "state").exists()
    ui = load(path)
    described(ui, settle)
    leave(True)
    start(ui, settle)
    assert models(workFolder) != [], ui.loadMessageLabel.text
    assert "no student can start" in ui.teacherDetailsLabel.text


def test_own_package_stays_where_it_is_and_is_verified(load, engineWorld, workFolder):
    ui = load(engineWorld.student / "model.json")
    assert models(workFolder) == []
    assert "Loaded" in ui.teacherMessageLabel.text and "Stomach" in ui.teacherOrgansLabel.text
    assert ui.teacherComboBox.count == 2  # it, and No teacher
    ancestor = read_manifest(engineWorld.student).lineage[0]
    assert ancestor.name in ui.teacherDetailsLabel.text and ancestor.sha256[:12] in ui.teacherDetailsLabel.text
    assert "not on this computer" in ui.teacherDetailsLabel.text
    assert "Files and hash chain checked" in ui.teacherDetailsLabel.text
    assert manifest_sha256(engineWorld.teacher) == ancestor.sha256


def test_own_package_with_a_changed_weight_is_refused(load, engineWorld, workFolder, tmp_path):
    package = shutil.copytree(engineWorld.teacher, tmp_path / "changed")
    weights = next(package.glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    ui = load(package)
    assert ui.loadMessageLabel.text.startswith("⚠ ") and "weights" in ui.loadMessageLabel.text
    assert ui.teacherComboBox.count == 2  # nothing chosen, and No teacher


def test_nothing_chosen_is_nothing_done(module):
    module.ui.loadTeacherButton.click()
    assert not module.ui.loadFrame.visible and records.texts("error") == []


def test_without_an_engine_the_panel_says_so(workFolder, setting, openModule, settle, tmp_path):
    setting("OrganIncrement/engine/python", str(tmp_path / "no-python"))
    widget = openModule("OrganIncrement")
    settle(until=lambda: widget.controller.engine.facts is not None, seconds=20)
    widget.controller.load.take(tinyNnunet(tmp_path / "T__P__3d_fullres"))
    assert "engine cannot run" in widget.ui.loadMessageLabel.text
    assert not widget.ui.loadStartButton.visible


def test_form_fits_a_narrow_panel(load, tmp_path):
    folder = tinyNnunet(tmp_path / ("a-very-long-trainer-name-that-somebody-typed" * 2 + "__P__3d_fullres"))
    ui = load(folder)
    slicer.app.processEvents()
    assert ui.loadFrame.minimumSizeHint.width() <= 420
