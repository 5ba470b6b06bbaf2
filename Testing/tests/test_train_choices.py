"""Sections 1 to 3 with real files: what can be chosen, what is refused in which words, and what needs no engine."""

import shutil
import sys
from dataclasses import replace

import pytest
import qt
import slicer
from train_world import chooseBoth, withMethods

from harness import records
from organincrement.contract import codec
from organincrement.contract.model import ModelManifest
from organincrement.contract.plan import Estimate, Plan
from OrganIncrementLib.Controllers.EstimateText import estimateText, tooLittleDisk
from OrganIncrementLib.Engine.EngineEnvironment import EngineFacts
from OrganIncrementLib.Samples import FILE_NAMES


@pytest.fixture
def world(filledWorkFolder):
    """A workspace with a teacher and a dataset, and the engine's methods known."""
    withMethods(filledWorkFolder)
    return filledWorkFolder


def texts(comboBox):
    return [comboBox.itemText(i) for i in range(comboBox.count)]


def test_start_names_what_is_missing_until_both_are_chosen(world, openModule):
    ui = openModule("OrganIncrement").ui
    assert not ui.startButton.enabled
    assert "choose a teacher" in ui.startButton.toolTip
    assert "choose a dataset" in ui.startButton.toolTip
    assert "choose a teacher" in ui.auditButton.toolTip
    ui.teacherComboBox.currentIndex = 1
    assert "teacher" not in ui.startButton.toolTip
    ui.datasetComboBox.currentIndex = 1
    assert ui.startButton.enabled
    assert ui.auditButton.enabled


def test_choices_are_in_the_parameter_node_and_come_back_with_it(world, openModule):
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    widget.ui.includeUnapprovedCheckBox.checked = True
    parameters = widget._parameterNode
    assert parameters.teacherPath == str(world / "models" / "teacher")
    assert parameters.includeUnapproved
    parameters.datasetPath = ""
    assert widget.ui.datasetComboBox.currentText == "Choose a dataset…"
    assert not widget.ui.startButton.enabled


def test_package_that_is_half_copied_says_so_and_cannot_be_used(world, openModule):
    next((world / "models" / "teacher").glob("*.safetensors")).unlink()
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    assert "not whole" in ui.teacherFactsLabel.text
    assert "copy it again" in ui.startButton.toolTip
    assert not ui.startButton.enabled


def test_student_that_is_not_recommended_is_marked(world, openModule):
    path = world / "models" / "teacher" / "model.json"
    manifest = codec.read(ModelManifest, path)
    codec.write(replace(manifest, metrics=replace(manifest.metrics, recommended=False)), path)
    ui = openModule("OrganIncrement").ui
    ui.teacherComboBox.currentIndex = 1
    assert "not recommended" in ui.teacherComboBox.currentText
    assert "Not recommended" in ui.teacherFactsLabel.text


def test_organ_that_the_teacher_knows_already_is_asked_about_before_anything_runs(world, engineWorld, openModule):
    shutil.copytree(engineWorld.student, world / "models" / "student")
    ui = openModule("OrganIncrement").ui
    ui.teacherComboBox.currentIndex = 1
    ui.datasetComboBox.currentIndex = 1
    assert not ui.startButton.enabled
    assert "known to the teacher already" in ui.startButton.toolTip


def test_methods_of_the_real_engine_are_listed_with_titles_and_what_they_need(world, openModule):
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    shown = texts(ui.methodComboBox)
    assert shown[0] == "BLA + uncertainty-aware guidance"
    assert any(text.endswith("needs two or more teachers") for text in shown)
    assert any(text.endswith("needs no teacher") for text in shown)
    assert "arxiv.org/abs/2103.05227" in ui.methodSummaryLabel.text
    ui.trainAdvancedCollapsibleButton.click()
    ui.showBaselinesCheckBox.click()
    assert "Fine-tuning (baseline)" in texts(ui.methodComboBox)
    ui.methodComboBox.currentIndex = texts(ui.methodComboBox).index("Fine-tuning (baseline)")
    assert "forgetting costs" in ui.methodSummaryLabel.text
    ui.teacherComboBox.currentIndex = ui.teacherComboBox.count - 1  # no teacher
    assert ui.methodComboBox.currentText == "Supervised: a first model"
    assert ui.startButton.enabled
    assert "nothing to compare" in ui.auditButton.toolTip


def test_settings_follow_the_preset_and_are_kept_in_the_scene(world, openModule):
    widget = openModule("OrganIncrement")
    ui, panel = widget.ui, widget.controller.methods.settingsPanel
    chooseBoth(ui)
    assert panel.field("perturbations").widget.value == 2
    ui.presetComboBox.currentIndex = 1
    assert panel.field("perturbations").widget.value == 6
    assert panel.field("training.steps").widget.value == 25000
    assert not ui.resetSettingsButton.enabled
    panel.field("perturbations").widget.value = 4
    assert widget.controller.methods.changes() == (("perturbations", "4"),)
    assert '"perturbations": 4' in widget._parameterNode.methodSettings
    ui.resetSettingsButton.click()
    assert panel.field("perturbations").widget.value == 6


def test_device_is_kept_in_the_scene(world, openModule):
    widget = openModule("OrganIncrement")
    widget.ui.deviceComboBox.currentIndex = 2
    assert widget._parameterNode.device == "cpu"


def test_sample_data_that_is_there_is_chosen_and_two_clicks_start_a_job(world, openModule, settle):
    samples = world / "samples"
    shutil.copytree(world / "models" / "teacher", samples / FILE_NAMES["teacher"])
    shutil.copytree(world / "datasets" / "stomach", samples / FILE_NAMES["dataset"])
    widget = openModule("OrganIncrement")
    ui, clicks = widget.ui, 0
    for button in (ui.sampleDataButton, ui.startButton):
        assert button.enabled, button.toolTip
        button.click()
        clicks += 1
    assert clicks <= 6
    assert ui.startProgressBar.visible
    assert widget._parameterNode.teacherPath == str(samples / FILE_NAMES["teacher"])
    assert "Stomach" in ui.datasetCasesLabel.text
    ui.startCancelButton.click()
    assert ui.startButton.visible


def test_missing_engine_python_is_said_and_another_can_be_chosen(world, openModule, setting, settle):
    for key in ("engine/python", "OrganIncrement/engine/python"):
        setting(key, "/nowhere/python")
    ui = openModule("OrganIncrement").ui
    settle(until=lambda: ui.engineFrame.visible, seconds=10)
    assert "/nowhere/python" in ui.engineLabel.text
    chooseBoth(ui)
    assert "engine cannot run" in ui.startButton.toolTip
    assert not ui.startButton.enabled
    ui.engineInstallButton.click()
    ui.engineCheckButton.click()
    settle(until=lambda: ui.engineCheckButton.enabled, seconds=10)
    records.answer("getOpenFileName", sys.executable)
    ui.enginePythonButton.click()
    settle(until=lambda: not ui.engineFrame.visible, seconds=60)
    assert ui.startButton.enabled
    assert "ready" in records.texts("info")[-1]


def test_check_of_the_engine_can_be_shown_and_cancelled(world, openModule, settle):
    ui = openModule("OrganIncrement").ui
    ui.trainAdvancedCollapsibleButton.click()
    ui.engineRowButton.click()
    assert ui.engineFrame.visible
    assert ui.engineProgressBar.visible  # it is asked at the start
    ui.engineCancelButton.click()
    settle(until=lambda: not ui.engineProgressBar.visible, seconds=20)
    ui.engineRowButton.click()
    assert not ui.engineFrame.visible


def test_workspace_that_cannot_be_written_is_an_error_in_words(world, openModule, settle):
    (world / "plans").write_text("no folder", encoding="utf-8")
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    settle(until=lambda: "cannot be" in ui.estimateLabel.text, seconds=10)
    ui.startButton.click()
    settle(until=lambda: records.texts("error"), seconds=10)
    assert "cannot be planned" in records.texts("error")[0]
    assert str(world / "plans") in records.texts("error")[0]


def test_audit_can_be_cancelled(world, openModule, settle):
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    ui.auditButton.click()
    ui.auditCancelButton.click()
    settle(until=lambda: ui.auditButton.visible, seconds=20)
    assert not ui.auditTable.visible
    assert records.texts("error") == []


def test_making_sample_data_can_be_cancelled(world, openModule, settle):
    ui = openModule("OrganIncrement").ui
    ui.sampleDataButton.click()
    assert ui.sampleProgressBar.visible
    ui.sampleCancelButton.click()
    settle(until=lambda: not ui.sampleProgressBar.visible, seconds=20)
    assert ui.sampleDataButton.enabled
    assert records.texts("error") == []


def test_estimate_line_says_time_place_memory_and_disk(engineWorld):
    plan = codec.read(Plan, engineWorld.studentJob / "plan.json")
    estimate = Estimate(
        seconds=11400, gpu_bytes=int(7.1 * 2**30), ram_bytes=3 * 2**30, disk_bytes=2 * 2**30,
        measured_on="cuda: NVIDIA RTX A4000",
    )  # fmt: skip
    facts = EngineFacts(ok=True, gpuBytes=16 * 2**30, ramBytes=64 * 2**30)
    text = estimateText(replace(plan, estimate=estimate), facts)
    assert text == "≈ 3 h 10 on NVIDIA RTX A4000 · 7.1 GB of 16.0 GB memory · 2.0 GB disk · 60 steps"
    assert tooLittleDisk(replace(plan, estimate=estimate), lambda: 5 * 2**30) == ""
    assert "1.0 GB of the 2.0 GB" in tooLittleDisk(replace(plan, estimate=estimate), lambda: 2**30)


def test_every_disabled_control_of_an_empty_workspace_says_why(workFolder, openModule):
    withMethods(workFolder)
    widget = openModule("OrganIncrement")
    inputs = (qt.QAbstractButton, qt.QComboBox, qt.QAbstractSpinBox, qt.QLineEdit)
    disabled = [w for w in vars(widget.ui).values() if isinstance(w, inputs) and not w.enabled]
    assert widget.ui.startButton in disabled
    assert [w.objectName for w in disabled if not w.toolTip and not w.objectName.startswith("qt_")] == []


def test_module_has_a_self_test_that_passes(workFolder, openModule):
    openModule("OrganIncrement")
    slicer.selfTests["OrganIncrement"]()
