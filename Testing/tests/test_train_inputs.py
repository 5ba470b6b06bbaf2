"""Section 3, Advanced: several teachers and datasets, old data, the vault, and the plan that is asked for."""

import json
import shutil
from pathlib import Path

import pytest
import slicer
from test_train_methods import METHODS, texts
from train_world import chooseBoth, withMethods

from fixtures.modules import EXTENSION
from fixtures.panels import heard, shownForm
from harness import records
from OrganIncrementLib.Controllers.MethodList import keepMethods
from OrganIncrementLib.Controllers.PathList import pathsOf, textOf
from OrganIncrementLib.Controllers.Planner import Order
from OrganIncrementLib.Engine.VaultCommand import vaultArguments
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.ImportPanel import ImportPanel, ImportState
from OrganIncrementLib.Panels.InputsPanel import InputsPanel, InputsState
from OrganIncrementLib.Panels.ListInput import ListInputState
from OrganIncrementLib.Panels.TaskBar import TaskState
from OrganIncrementLib.Panels.VaultPanel import VaultPanel, VaultState

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrement.ui"
A, B = Choice(value="/a", text="A"), Choice(value="/b", text="B", toolTip="/b")


@pytest.fixture
def world(filledWorkFolder, engineWorld):
    """A workspace with two teachers and two datasets, and known methods."""
    shutil.copytree(engineWorld.student, filledWorkFolder / "models" / "zz-student")
    shutil.copytree(engineWorld.teacherDataset, filledWorkFolder / "datasets" / "z-site-a")
    keepMethods(filledWorkFolder, json.dumps(METHODS))
    return filledWorkFolder


@pytest.fixture
def form(slicerApp):
    with shownForm(FORM) as form:
        yield form


@pytest.fixture
def ui(form):
    return slicer.util.childWidgetVariables(form)


def test_nothing_is_cut_off_at_the_width_of_a_narrow_panel(form, ui):
    long = Choice(value="a", text="organs-12-bla-uag-with-a-long-name-that-somebody-typed")
    full = ListInputState(choices=(long,), added=(long,), placeholder="Add another teacher…")
    InputsPanel(ui).show(InputsState(teachers=full, datasets=full, oldDatasets=full, note=long.text))
    VaultPanel(ui).show(VaultState(vaults=(long,), vault="a", open=True, datasets=(long,), methods=(long,)))
    ImportPanel(ui).show(ImportState(open=True, organs=(long,)))
    slicer.app.processEvents()
    assert form.minimumSizeHint.width() <= 420


def test_list_adds_shows_and_takes_away(ui):
    panel = InputsPanel(ui)
    added, removed = heard(panel.teachers.added), heard(panel.teachers.removed)
    assert not ui.moreTeacherList.visible and not ui.removeTeacherButton.visible
    panel.show(InputsState(teachers=ListInputState(choices=(A, B), placeholder="Add another teacher…")))
    assert ui.moreTeacherComboBox.currentText == "Add another teacher…"
    ui.moreTeacherComboBox.currentIndex = 2
    state = ListInputState(choices=(A,), added=(B,), placeholder="Add another teacher…")
    panel.show(InputsState(teachers=state))
    assert ui.moreTeacherComboBox.currentIndex == 0
    assert ui.moreTeacherList.item(0).text() == "B"
    ui.removeTeacherButton.click()
    assert (added, removed) == ([("/b",)], [("/b",)])


def test_dataset_is_taken_away_again(ui):
    panel = InputsPanel(ui)
    removed = heard(panel.datasets.removed)
    panel.show(InputsState(datasets=ListInputState(added=(B,), placeholder="Add another dataset…")))
    ui.removeDatasetButton.click()
    assert removed == [("/b",)]


def test_vault_in_the_making_can_be_stopped(ui):
    panel = VaultPanel(ui)
    stopped = heard(panel.cancelWanted)
    panel.show(VaultState(open=True, busy=TaskState(text="Looking", done=1, total=4)))
    assert not ui.vaultStartButton.enabled and "is being made" in ui.vaultStartButton.toolTip
    ui.vaultCancelButton.click()
    assert stopped == [()]


def test_list_that_cannot_grow_says_why(ui):
    panel = InputsPanel(ui)
    state = ListInputState(choices=(A,), placeholder="Add…", missing="Choose a teacher in section 1 first")
    panel.show(InputsState(teachers=state, datasets=ListInputState(placeholder="No other dataset"), note="Not used."))
    assert not ui.moreTeacherComboBox.enabled
    assert ui.moreTeacherComboBox.toolTip == "Choose a teacher in section 1 first"
    assert not ui.moreDatasetComboBox.enabled
    assert ui.moreDatasetComboBox.toolTip == "No other dataset"
    assert ui.inputsNoteLabel.text == "Not used."


def test_vault_part_says_that_images_stay_and_what_is_missing(ui):
    panel = VaultPanel(ui)
    chosen, toggled, wanted = heard(panel.vaultChosen), heard(panel.toggled), heard(panel.makeWanted)
    assert "never leave this computer" in ui.vaultNoteLabel.text
    panel.show(VaultState(vaults=(A,)))
    assert ui.vaultComboBox.currentText == "No vault"
    ui.vaultComboBox.currentIndex = 1
    ui.makeVaultButton.click()
    panel.show(VaultState(vaults=(A,), vault="/a", open=True, datasets=(B,), missing="To make a vault: choose …"))
    assert not ui.vaultStartButton.enabled and "To make a vault" in ui.vaultStartButton.toolTip
    panel.show(VaultState(vaults=(A,), vault="/a", open=True, datasets=(B,), dataset="/b"))
    ui.vaultStartButton.click()
    assert (chosen, toggled, wanted) == ([("/a",)], [(True,)], [()])


def test_paths_survive_a_scene_and_other_texts_are_no_paths():
    assert textOf(()) == ""
    assert pathsOf(textOf(("/a b", "/ü", "/a b"))) == ("/a b", "/ü")
    for text in ("", "{", "3", '{"a": 1}', "[1, null]"):
        assert pathsOf(text) == ()


def test_plan_is_asked_for_with_all_that_is_given():
    order = Order(
        teachers=("/t1", "/t2"), datasets=("/d1", "/d2"), oldDatasets=("/o",), vault="/v", method="m", preset="p",
        device="auto", include=("approved",), changes=(("seed", "3"),),
    )  # fmt: skip
    words = " ".join(order.arguments(Path("plan.json")))
    assert words == (
        "plan --teacher /t1 /t2 --dataset /d1 /d2 --old-dataset /o --exemplars /v --set seed=3 "
        "--method m --preset p --device auto --include approved --out plan.json"
    )
    plain = Order(teachers=(), datasets=("/d",), method="m", preset="p", device="auto", include=("approved",))
    assert plain.arguments(Path("x"))[:4] == ["plan", "--dataset", "/d", "--method"]


def test_second_teacher_makes_other_methods_fit_and_is_kept_in_the_scene(world, openModule):
    widget = openModule("OrganIncrement")
    ui, order = widget.ui, widget.controller.training._order
    assert "section 1" in ui.moreTeacherComboBox.toolTip and not ui.moreTeacherComboBox.enabled
    chooseBoth(ui)
    assert order().teachers == (str(world / "models" / "teacher"),)
    ui.moreTeacherComboBox.currentIndex = 1
    assert ui.methodComboBox.currentText == "Many teachers"
    assert [Path(path).name for path in order().teachers] == ["teacher", "zz-student"]
    assert not ui.moreTeacherComboBox.enabled  # there is no third
    assert ui.startButton.enabled, ui.startButton.toolTip
    assert pathsOf(widget._parameterNode.moreTeachers) == (str(world / "models" / "zz-student"),)
    widget._parameterNode.moreTeachers = ""
    assert ui.methodComboBox.currentText == "The default"
    assert not ui.moreTeacherList.visible


def test_more_datasets_and_old_data_go_into_the_plan_where_the_method_takes_them(world, openModule):
    widget = openModule("OrganIncrement")
    ui, order = widget.ui, widget.controller.training._order
    chooseBoth(ui)
    assert "z-site-a" not in "".join(order().datasets)
    before = order().files
    ui.oldDatasetComboBox.currentIndex = 1
    assert order().oldDatasets == ()
    assert ui.inputsNoteLabel.text == "The default does not use the old data."
    ui.trainAdvancedCollapsibleButton.click()
    ui.showBaselinesCheckBox.click()
    ui.methodComboBox.currentIndex = texts(ui.methodComboBox).index("Self-training (baseline)")
    assert [Path(path).name for path in order().oldDatasets] == ["z-site-a"]
    assert len(order().files) == len(before) + 1
    assert not ui.inputsNoteLabel.visible
    ui.removeOldDatasetButton.click()
    ui.moreDatasetComboBox.currentIndex = 1
    assert [Path(path).name for path in order().datasets] == ["stomach", "z-site-a"]
    assert widget.controller.inputs.counts()["approved"] == 4 + 6


def test_added_package_that_went_is_named(world, openModule):
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    widget._parameterNode.moreTeachers = textOf((str(world / "models" / "gone"),))
    assert "gone was moved or deleted" in widget.ui.startButton.toolTip


def test_vault_is_chosen_kept_and_lets_its_methods_fit(world, openModule):
    vault = world / "vaults" / "site-a"
    vault.mkdir(parents=True)
    (vault / "vault.json").write_text("{}", encoding="utf-8")
    widget = openModule("OrganIncrement")
    ui = widget.ui
    chooseBoth(ui)
    assert "With a vault – needs a vault of old images" in texts(ui.methodComboBox)
    ui.vaultComboBox.currentIndex = 1
    assert widget._parameterNode.vaultPath == str(vault)
    assert ui.inputsNoteLabel.text == "The default does not use the vault."
    ui.methodComboBox.currentIndex = texts(ui.methodComboBox).index("With a vault")
    assert widget.controller.training._order().vault == str(vault)
    assert ui.vaultComboBox.currentText == "site-a (damaged)"
    records.answer("getExistingDirectory", str(world / "datasets"))
    ui.openVaultButton.click()
    assert "no vault" in records.texts("error")[0]
    shutil.copytree(vault, world / "elsewhere")
    records.answer("getExistingDirectory", str(world / "elsewhere"))
    ui.openVaultButton.click()
    assert ui.vaultComboBox.currentText == "elsewhere (damaged)"
    ui.vaultComboBox.currentIndex = 0
    assert widget._parameterNode.vaultPath == ""


def test_making_a_vault_says_what_is_missing_and_an_engine_that_refuses_is_an_error(world, openModule, settle):
    (world / "datasets" / "stomach" / "dataset.json").write_text("{}", encoding="utf-8")  # it refuses this
    widget = openModule("OrganIncrement")
    ui = widget.ui
    ui.makeVaultButton.click()
    assert "section 1" in ui.vaultStartButton.toolTip and "dataset" in ui.vaultStartButton.toolTip
    chooseBoth(ui)
    widget._parameterNode.vaultDataset = str(world / "datasets" / "stomach")
    ui.vaultCountSpinBox.value = 3
    assert widget._parameterNode.vaultCount == 3
    assert ui.vaultStartButton.enabled, ui.vaultStartButton.toolTip
    ui.vaultStartButton.click()
    assert ui.vaultProgressBar.visible
    settle(until=lambda: not ui.vaultProgressBar.visible, seconds=60)
    assert "The vault was not made" in records.texts("error")[0]
    assert widget._parameterNode.vaultPath == ""


def test_command_that_makes_a_vault():
    words = " ".join(vaultArguments("/m", "/d", "/v", method="aeiseg", count=60, device="cpu"))
    assert words == (
        "exemplars select --model /m --dataset /d --by aeiseg --keep 60 --most-certain 60 --device cpu --out /v"
    )
    assert "--by" not in vaultArguments("/m", "/d", "/v", method="", count=3, device="auto")


@pytest.mark.slow
def test_real_engine_makes_a_vault_that_is_chosen_then(world, engineWorld, openModule, settle):
    withMethods(world)
    widget = openModule("OrganIncrement")
    ui = widget.ui
    chooseBoth(ui)
    ui.makeVaultButton.click()
    widget._parameterNode.vaultDataset = str(world / "datasets" / "z-site-a")
    ui.vaultCountSpinBox.value = 2
    ui.vaultMethodComboBox.currentIndex = 0
    ui.vaultStartButton.click()
    settle(until=lambda: not ui.vaultProgressBar.visible, seconds=120)
    assert records.texts("error") == []
    vault = Path(widget._parameterNode.vaultPath)
    assert vault.parent == world / "vaults" and (vault / "vault.json").is_file()
    assert "images" in ui.vaultComboBox.currentText
    assert any(not text.endswith("old images") and "exemplars" in text for text in texts(ui.methodComboBox))


def estimated(ui, settle):
    """Wait for the engine's plan. Returns: what the line above Start says of it."""
    settle(until=lambda: any(sign in ui.estimateLabel.text for sign in "≈⚠"), seconds=90)
    return ui.estimateLabel.text


@pytest.mark.slow
def test_real_engine_plans_with_two_teachers_and_then_with_two_datasets_and_none(world, openModule, settle):
    withMethods(world)
    widget = openModule("OrganIncrement")
    ui = widget.ui
    chooseBoth(ui)
    ui.moreTeacherComboBox.currentIndex = 1
    assert "MS-KD" in ui.methodComboBox.currentText
    assert "≈" in estimated(ui, settle)
    assert widget.controller.training._planner.plan.method == "ms-kd"
    ui.teacherComboBox.currentIndex = ui.teacherComboBox.count - 1
    ui.moreDatasetComboBox.currentIndex = 1
    dodnet = next(i for i, text in enumerate(texts(ui.methodComboBox)) if text.startswith("DoDNet"))
    ui.methodComboBox.currentIndex = dodnet
    assert "≈" in estimated(ui, settle)
    plan = widget.controller.training._planner.plan
    assert plan.method == "dodnet"
    assert [one.role for one in plan.inputs] == ["dataset", "dataset"]
