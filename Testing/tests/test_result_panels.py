"""Sections 4 and 5 as forms: what they show of a state, what a click says. No engine, no scene."""

import pytest
import qt
import slicer

from fixtures.modules import EXTENSION
from fixtures.panels import heard, shownForm
from OrganIncrementLib.Controllers.ModelExport import exportChoices
from OrganIncrementLib.Engine.ComparisonRows import Measure, OrganComparison
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.ResultPanel import NOT_RECOMMENDED, Ancestor, ResultPanel, ResultState
from OrganIncrementLib.Panels.SegmentPanel import SegmentPanel, SegmentState
from OrganIncrementLib.Panels.TaskBar import TaskState
from OrganIncrementLib.Panels.UncertaintyPanel import RegionAt, UncertaintyPanel, UncertaintyState

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrementResult.ui"
LIVER = OrganComparison(
    id="liver", name="Liver", color=(221, 130, 101), isNew=False,
    teacher=Measure(status="measured", value=0.95, cases=4), student=Measure(status="measured", value=0.91, cases=4),
    change=Measure(status="measured", value=-0.04),
)  # fmt: skip
SPLEEN = OrganComparison(
    id="spleen", name="Spleen", color=(157, 108, 162), isNew=False,
    teacher=Measure(status="not_labelled"), student=Measure(status="not_labelled"), change=Measure(status="no_change"),
)  # fmt: skip
STOMACH = OrganComparison(
    id="stomach", name="Stomach", color=(86, 156, 214), isNew=True,
    teacher=Measure(status="not_in_model"), student=Measure(status="measured", value=0.82, cases=4),
    change=Measure(status="no_change"),
)  # fmt: skip


@pytest.fixture
def form(slicerApp):
    with shownForm(FORM) as form:
        yield form


@pytest.fixture
def ui(form):
    return slicer.util.childWidgetVariables(form)


def column(ui, index):
    return [ui.comparisonTable.item(row, index).text() for row in range(ui.comparisonTable.rowCount)]


def test_table_shows_values_marks_colours_and_words_where_a_value_is_missing(ui):
    ResultPanel(ui).show(ResultState(rows=(LIVER, SPLEEN, STOMACH)))
    assert column(ui, 0) == ["Liver", "Spleen", "Stomach"]
    assert column(ui, 1) == ["old", "old", "new"]
    assert column(ui, 2) == ["0.950", "not labelled", "not known"]
    assert column(ui, 3) == ["0.910", "not labelled", "0.820"]
    assert column(ui, 4) == ["▼ -0.040", "–", "–"]
    assert "no label of this organ" in ui.comparisonTable.item(1, 2).toolTip()
    assert ui.comparisonTable.item(0, 0).data(qt.Qt.DecorationRole).red() == 221


def test_headings_sort_and_values_that_are_missing_stay_last(ui):
    ResultPanel(ui).show(ResultState(rows=(SPLEEN, STOMACH, LIVER)))
    header = ui.comparisonTable.horizontalHeader()
    header.sectionClicked.emit(3)
    assert column(ui, 0) == ["Stomach", "Liver", "Spleen"]
    header.sectionClicked.emit(3)
    assert column(ui, 0) == ["Liver", "Stomach", "Spleen"]
    header.sectionClicked.emit(0)
    assert column(ui, 0) == ["Liver", "Spleen", "Stomach"]


def test_a_student_that_is_not_recommended_is_named_with_the_reason(ui):
    panel = ResultPanel(ui)
    assert not ui.recommendationLabel.visible
    panel.show(ResultState(verdict=NOT_RECOMMENDED, verdictText="NOT recommended: Liver agrees by 0.71 only."))
    assert ui.recommendationLabel.visible
    assert "Liver" in ui.recommendationLabel.text


def test_every_disabled_button_of_the_result_says_what_is_missing(ui):
    panel = ResultPanel(ui)
    panel.show(ResultState(whyNoEvaluation="a", whyNoStudentReport="b", whyNoTeacherReport="c", whyNoExport="d"))
    buttons = (ui.evaluateButton, ui.studentReportButton, ui.teacherReportButton, ui.exportButton)
    assert [(button.enabled, button.toolTip) for button in buttons] == [(False, letter) for letter in "abcd"]
    assert not ui.useAncestorButton.enabled and "no ancestors" in ui.useAncestorButton.toolTip
    panel.show(ResultState())
    assert all(button.enabled for button in buttons)


def test_an_ancestor_is_used_when_its_package_is_there(ui):
    panel = ResultPanel(ui)
    wanted = heard(panel.ancestorWanted)
    here = Ancestor(value="/models/first", text="first", toolTip="")
    gone = Ancestor(value="", text="second", toolTip="")
    panel.show(ResultState(lineage=(here, gone)))
    assert not ui.useAncestorButton.enabled and "Choose" in ui.useAncestorButton.toolTip
    ui.lineageList.setCurrentRow(1)
    assert not ui.useAncestorButton.enabled and "not on this computer" in ui.useAncestorButton.toolTip
    ui.lineageList.setCurrentRow(0)
    ui.useAncestorButton.click()
    assert wanted == [("/models/first",)]


def test_result_buttons_say_what_is_wanted(ui):
    panel = ResultPanel(ui)
    names = ("evaluationWanted", "reportWanted", "exportWanted", "cancelWanted")
    calls = {name: heard(getattr(panel, name)) for name in names}
    panel.show(ResultState(task=TaskState(text="measuring", done=1, total=4)))
    assert (ui.resultProgressBar.value, ui.resultProgressBar.maximum) == (1, 4)
    assert ui.resultStatusLabel.text == "measuring"
    for button in (ui.evaluateButton, ui.studentReportButton, ui.teacherReportButton, ui.exportButton):
        button.click()
    ui.resultCancelButton.click()
    assert calls["reportWanted"] == [("student",), ("teacher",)]
    assert [len(calls[name]) for name in names] == [1, 2, 1, 1]
    panel.show(ResultState(task=TaskState(text="stopping", stopping=True)))
    assert not ui.resultCancelButton.enabled
    panel.show(ResultState(message="done"))
    assert not ui.resultProgressBar.visible and ui.resultStatusLabel.text == "done"


def test_drop_downs_speak_only_when_the_user_chooses(ui):
    panel = ResultPanel(ui)
    students, datasets, formats = (
        heard(intent) for intent in (panel.studentChosen, panel.datasetChosen, panel.exportFormatChosen)
    )
    choices = tuple(Choice(value=name, text=name.upper()) for name in ("a", "b"))
    panel.show(ResultState(students=choices, datasets=choices, student="", dataset="b", formats=exportChoices()))
    assert not students and not datasets
    ui.studentComboBox.setCurrentIndex(1)  # after the line that stands for none
    ui.evaluationDatasetComboBox.setCurrentIndex(0)
    ui.exportFormatComboBox.setCurrentIndex(1)
    assert (students, datasets, formats) == ([("a",)], [("a",)], [("folder",)])


def test_apply_names_all_that_is_missing(ui):
    panel = SegmentPanel(ui)
    panel.show(SegmentState(missing=("choose a volume", "choose a model")))
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "To apply: choose a volume; choose a model."
    panel.show(SegmentState())
    assert ui.applyButton.enabled
    panel.show(SegmentState(task=TaskState(text="segmenting")))
    assert not ui.applyButton.enabled and "running" in ui.applyButton.toolTip


def test_segment_controls_say_what_is_wanted(ui):
    panel = SegmentPanel(ui)
    names = ("modelChosen", "uncertaintyKindChosen", "applyWanted", "cancelWanted")
    calls = {name: heard(getattr(panel, name)) for name in names}
    panel.show(SegmentState(models=(Choice(value="m", text="M"),), task=None))
    ui.segmentModelComboBox.setCurrentIndex(1)
    ui.uncertaintyKindComboBox.setCurrentIndex(2)
    ui.applyButton.click()
    panel.show(SegmentState(task=TaskState(text="segmenting")))
    ui.segmentCancelButton.click()
    assert list(calls.values()) == [[("m",)], [("none",)], [()], [()]]


def test_nothing_to_look_at_disables_every_control_with_a_reason(ui):
    UncertaintyPanel(ui).show(UncertaintyState())
    controls = (
        ui.teacherRadioButton, ui.studentRadioButton, ui.differenceRadioButton, ui.overlayCheckBox, ui.opacitySlider,
        ui.thresholdSlider, ui.show3DCheckBox, ui.nextRegionButton, ui.previousRegionButton,
        ui.exportSegmentationButton,
    )  # fmt: skip
    for control in controls:
        assert not control.enabled, control.objectName
        assert "pply" in control.toolTip, control.objectName
    assert not any(radio.checked for radio in controls[:3])


def test_difference_needs_both_results(ui):
    panel = UncertaintyPanel(ui)
    shown = heard(panel.shownChosen)
    panel.show(UncertaintyState(teacher="t", shown="teacher", hasOverlay=True))
    assert ui.teacherRadioButton.checked and not ui.differenceRadioButton.enabled
    assert "both" in ui.differenceRadioButton.toolTip
    panel.show(UncertaintyState(teacher="t", student="s", shown="student", hasOverlay=True))
    assert ui.studentRadioButton.checked and not ui.teacherRadioButton.checked
    for radio in (ui.differenceRadioButton, ui.teacherRadioButton, ui.studentRadioButton):
        radio.click()
    assert shown == [("difference",), ("teacher",), ("student",)]


def test_region_is_told_by_number_organ_and_volume(ui):
    panel = UncertaintyPanel(ui)
    steps = heard(panel.nextWanted), heard(panel.previousWanted), heard(panel.exportWanted)
    state = {"student": "s", "hasOverlay": True, "regionCount": 17}
    panel.show(UncertaintyState(**state))
    assert ui.regionLabel.text == "17 uncertain regions, largest first"
    ui.nextRegionButton.click()
    ui.previousRegionButton.click()
    ui.exportSegmentationButton.click()
    assert [len(calls) for calls in steps] == [1, 1, 1]
    region = RegionAt(number=3, count=17, organ="Liver", volume_mm3=1234.0, mean=48.2)
    panel.show(UncertaintyState(**state, region=region))
    assert ui.regionLabel.text == "Region 3 of 17 · Liver · 1.2 ml · 48 % uncertain"


def test_result_without_uncertainty_says_so(ui):
    UncertaintyPanel(ui).show(UncertaintyState(student="s"))
    assert "without uncertainty" in ui.regionLabel.text
    assert not ui.overlayCheckBox.enabled and ui.show3DCheckBox.enabled


def test_nothing_is_cut_off_at_the_width_of_a_narrow_panel(form, ui):
    long = "organs-12-bla-uag-with-a-long-name-that-somebody-typed"
    choices = (Choice(value="a", text=long),)
    ResultPanel(ui).show(
        ResultState(
            students=choices, student="a", datasets=choices, dataset="a", rows=(LIVER, SPLEEN, STOMACH),
            lineage=(Ancestor(value="a", text=long, toolTip=""),), note=long, task=TaskState(text=long),
        )
    )  # fmt: skip
    SegmentPanel(ui).show(SegmentState(models=choices, model="a"))
    slicer.app.processEvents()
    assert form.minimumSizeHint.width() <= 420
