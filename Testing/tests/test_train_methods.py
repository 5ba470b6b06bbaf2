"""Section 3's list of methods: titles and baselines from the engine, those that fit, and why others do not."""

import json
import shutil

import pytest
import qt
import slicer
from train_world import chooseBoth

from fixtures.modules import EXTENSION
from fixtures.panels import heard, shownForm
from OrganIncrementLib.Controllers.MethodList import Given, keepMethods, methodsFrom
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.TrainingPanel import TrainingPanel, TrainingState

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrement.ui"
PAPER = {"authors": "A. Author et al.", "title": "T", "venue": "V", "year": 2020, "url": "https://example.org"}


def described(name, title, baseline=False, presets=("practical", "paper"), **needs):
    """A method as `organincrement methods --json` gives it."""
    needs = {"teachers": "one", "old_data": False, "exemplars": False, "labels": "new"} | needs
    recipe = {"steps": 400, "batch": 2, "optimizer": {}, "schedule": {}, "ema": None}
    made = {preset: {"settings": {}, "recipe": recipe, "note": f"{preset} of {name}"} for preset in presets}
    return {
        "name": name, "title": title, "baseline": baseline, "summary": f"What {title} does.", "paper": PAPER,
        "needs": needs, "presets": made, "settings": [],
    }  # fmt: skip


METHODS = [
    described("ms-kd", "Many teachers", teachers="many"),
    described("aeiseg", "With a vault", exemplars=True),
    described("fine-tune", "Fine-tuning", baseline=True),
    described("bla-uag", "The default"),
    described("dodnet", "Partly labelled", teachers="none"),
    described("supervised", "A first model", teachers="none", presets=("practical", "slices", "my-own")),
    described("self-training", "Self-training", baseline=True, old_data=True),
]


@pytest.fixture
def world(filledWorkFolder, engineWorld):
    """A workspace with two teachers and a dataset, and known methods."""
    shutil.copytree(engineWorld.student, filledWorkFolder / "models" / "zz-student")
    keepMethods(filledWorkFolder, json.dumps(METHODS))
    return filledWorkFolder


def texts(comboBox):
    return [comboBox.itemText(i) for i in range(comboBox.count)]


def canBeChosen(comboBox, index):
    flags = comboBox.model().index(index, 0).flags()
    return bool(flags & qt.Qt.ItemIsEnabled)


def test_titles_baselines_and_needs_come_from_the_engine():
    byName = {method.name: method for method in methodsFrom(json.dumps(METHODS))}
    assert byName["ms-kd"].title == "Many teachers"
    assert byName["fine-tune"].isBaseline and not byName["bla-uag"].isBaseline
    assert byName["self-training"].takesOldData and not byName["self-training"].takesVault
    assert byName["bla-uag"].missing(Given(teachers=1)) == ""
    assert byName["bla-uag"].missing(Given(teachers=0)) == "needs a teacher"
    assert byName["bla-uag"].missing(Given(teachers=2)) == "takes one teacher only"
    assert byName["ms-kd"].missing(Given(teachers=1)) == "needs two or more teachers"
    assert byName["ms-kd"].missing(Given(teachers=2)) == ""
    assert byName["aeiseg"].missing(Given(teachers=1)) == "needs a vault of old images"
    assert byName["aeiseg"].missing(Given(teachers=1, vault=True)) == ""
    assert byName["dodnet"].missing(Given(teachers=1)) == "needs no teacher"


def test_method_of_an_older_engine_is_called_by_its_name():
    old = {key: value for key, value in METHODS[0].items() if key not in ("title", "baseline")}
    (method,) = methodsFrom(json.dumps([old]))
    assert (method.title, method.isBaseline) == ("ms-kd", False)


def test_what_fits_comes_first_and_the_rest_is_disabled_with_the_reason(world, openModule):
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    assert texts(ui.methodComboBox) == [
        "The default",
        "Many teachers – needs two or more teachers",
        "With a vault – needs a vault of old images",
        "Partly labelled – needs no teacher",
        "A first model – needs no teacher",
    ]
    assert [canBeChosen(ui.methodComboBox, i) for i in range(5)] == [True, False, False, False, False]
    assert ui.methodComboBox.currentText == "The default"
    ui.methodComboBox.currentIndex = 1  # what no user can do
    assert ui.methodComboBox.currentText == "The default"
    ui.trainAdvancedCollapsibleButton.click()
    ui.showBaselinesCheckBox.click()
    assert texts(ui.methodComboBox)[:3] == ["The default", "Fine-tuning (baseline)", "Self-training (baseline)"]
    assert texts(ui.methodComboBox)[3] == "Many teachers – needs two or more teachers"


def test_without_a_teacher_the_first_model_is_the_default(world, openModule):
    ui = openModule("OrganIncrement").ui
    chooseBoth(ui)
    ui.teacherComboBox.currentIndex = ui.teacherComboBox.count - 1
    assert texts(ui.methodComboBox)[:2] == ["Partly labelled", "A first model"]
    assert ui.methodComboBox.currentText == "A first model"
    assert ui.startButton.enabled, ui.startButton.toolTip


def test_presets_are_those_of_the_method_with_their_notes(world, openModule):
    widget = openModule("OrganIncrement")
    ui = widget.ui
    chooseBoth(ui)
    ui.teacherComboBox.currentIndex = ui.teacherComboBox.count - 1
    assert texts(ui.presetComboBox) == ["Practical", "Slice by slice (2-D)", "My own"]
    ui.presetComboBox.currentIndex = 1
    assert widget._parameterNode.preset == "slices"
    ui.trainAdvancedCollapsibleButton.click()
    assert ui.presetNoteLabel.text == "slices of supervised"
    ui.teacherComboBox.currentIndex = 0  # a method without that preset
    assert ui.presetComboBox.currentText == "Practical"


def test_disabled_entry_says_why_in_the_list_and_tells_nobody(slicerApp):
    with shownForm(FORM) as form:
        ui = slicer.util.childWidgetVariables(form)
        panel = TrainingPanel(ui)
        chosen = heard(panel.methodChosen)
        choices = (Choice(value="a", text="A"), Choice(value="b", text="B", toolTip="What it does", missing="needs c"))
        panel.show(TrainingState(methods=choices, method="a"))
        assert ui.methodComboBox.itemText(1) == "B – needs c"
        assert ui.methodComboBox.itemData(1, qt.Qt.ToolTipRole) == "What it does"
        ui.methodComboBox.currentIndex = 1
        assert (chosen, ui.methodComboBox.currentText) == ([], "A")
