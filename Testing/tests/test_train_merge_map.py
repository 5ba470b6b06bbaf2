"""Section 3: what organs of the teacher count as, asked where they are in the new data; what is said before Start."""

import json
import shutil
from dataclasses import replace

import pytest
from train_world import chooseBoth, withMethods

from fixtures.modules import EXTENSION
from fixtures.panels import heard, shownForm
from organincrement.contract import codec
from organincrement.contract.dataset import Dataset
from organincrement.contract.model import ModelManifest
from organincrement.contract.plan import Plan
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.OrganMapPanel import OrganMapPanel, OrganMapRow, OrganMapState

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrement.ui"
ROW = OrganMapRow(
    organ="liver", name="Liver", answer="",
    choices=(Choice(value="-", text="stays"), Choice(value="mandible", text="Mandible of the new data")),
)  # fmt: skip


@pytest.fixture
def world(filledWorkFolder):
    withMethods(filledWorkFolder)
    return filledWorkFolder


def combo(ui, row=0):
    return ui.organMapTable.cellWidget(row, 1)


def choose(box, text):
    box.currentIndex = next(i for i in range(box.count) if text in box.itemText(i))


def planned(ui, widget, settle):
    planner = widget.controller.training._planner
    settle(until=lambda: planner.plan is not None or planner.problem, seconds=100)
    assert planner.problem == ""
    return planner.plan


def test_panel_is_hidden_without_a_question_and_tells_each_answer(slicerApp):
    import slicer

    with shownForm(FORM) as form:
        ui = slicer.util.childWidgetVariables(form)
        panel = OrganMapPanel(ui)
        answered, added = heard(panel.answered), heard(panel.added)
        assert not ui.organMapFrame.visible
        panel.show(OrganMapState(question="What?", rows=(ROW,), others=(Choice(value="spleen", text="Spleen"),)))
        assert ui.organMapFrame.visible and ui.organMapTable.item(0, 0).text() == "Liver"
        assert combo(ui).currentText == "Choose…" and answered == []
        choose(combo(ui), "Mandible")
        assert answered == [("liver", "mandible")]
        panel.show(OrganMapState(question="What?", rows=(replace(ROW, answer="mandible"),)))
        assert combo(ui).currentText == "Mandible of the new data" and answered == [("liver", "mandible")]
        panel.show(OrganMapState(rows=(ROW,), others=(Choice(value="spleen", text="Spleen"),)))
        choose(ui.organMapAddComboBox, "Spleen")
        assert added == [("spleen",)]


def test_organ_that_is_old_and_new_is_asked_and_the_answer_reaches_the_plan(world, engineWorld, openModule, settle):
    shutil.copytree(engineWorld.student, world / "models" / "student")  # knows the stomach, which the dataset holds
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    ui = widget.ui
    assert ui.organMapFrame.visible and ui.organMapTable.rowCount == 1
    assert ui.organMapTable.item(0, 0).text() == "Stomach"
    assert not ui.startButton.enabled and "known to the teacher already" in ui.startButton.toolTip
    choose(combo(ui), "Stomach of the new data")
    assert ui.startButton.enabled, ui.startButton.toolTip
    plan = planned(ui, widget, settle)
    assert plan.merges == {"stomach": "stomach"}
    assert json.loads(widget._parameterNode.organMap) == {"stomach": "stomach"}


def test_organ_that_may_be_an_old_one_is_asked_and_may_stay(world, openModule, settle):
    path = world / "models" / "teacher" / "model.json"
    manifest = codec.read(ModelManifest, path)
    other = {"id": "stomachs", "name": "Stomachs", "type": None}  # as another hospital might have called it
    organs = tuple(replace(organ, **other) if organ.id == "spleen" else organ for organ in manifest.organs)
    codec.write(replace(manifest, organs=organs), path)
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    ui = widget.ui
    planned(ui, widget, settle)
    settle(until=lambda: ui.organMapFrame.visible, seconds=5)
    assert ui.organMapTable.item(0, 0).text() == "Stomachs" and "will have both" in ui.organMapLabel.text
    assert ui.startButton.enabled  # a hint, no hindrance
    choose(combo(ui), "an organ of its own")
    assert planned(ui, widget, settle).merges == {}
    choose(combo(ui), "Stomach of the new data")
    settle(until=lambda: widget.controller.training._planner.plan is None, seconds=5)
    assert planned(ui, widget, settle).merges == {"stomachs": "stomach"}
    assert "--merge" not in ui.planNoticesLabel.text


def test_old_organ_counts_as_another_old_one_and_circles_are_refused(world, openModule, settle):
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    ui = widget.ui
    assert not ui.organMapFrame.visible
    ui.trainAdvancedCollapsibleButton.click()
    choose(ui.organMapAddComboBox, "Spleen")
    assert ui.organMapFrame.visible
    choose(combo(ui), "Liver of the teacher")
    assert planned(ui, widget, settle).merges == {"spleen": "liver"}
    choose(ui.organMapAddComboBox, "Liver")
    choose(combo(ui, 0), "Spleen of the teacher")
    assert not ui.startButton.enabled and "name the final organ" in ui.startButton.toolTip


def test_other_spacing_is_said_before_start(world, openModule, settle):
    path = world / "models" / "teacher" / "model.json"
    manifest = codec.read(ModelManifest, path)
    pre = replace(manifest.preprocessing, spacing_mm=(1.0, 1.0, 1.0))
    codec.write(
        replace(manifest, preprocessing=pre, trained_on=replace(manifest.trained_on, spacing_mm=None)), path
    )  # fmt: skip
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    assert isinstance(planned(widget.ui, widget, settle), Plan)
    assert "works on 1 × 1 × 1 mm: finer detail is lost" in widget.ui.planNoticesLabel.text
    assert "--" not in widget.ui.planNoticesLabel.text and widget.ui.startButton.enabled


def test_other_modality_is_refused_in_words(world, openModule, settle):
    path = world / "datasets" / "stomach" / "dataset.json"
    codec.write(replace(codec.read(Dataset, path), modality="MR"), path)
    widget = openModule("OrganIncrement")
    chooseBoth(widget.ui)
    settle(until=lambda: "cannot be trained" in widget.ui.estimateLabel.text, seconds=100)
    assert "holds MR" in widget.ui.estimateLabel.text and "CT" in widget.ui.estimateLabel.text
