"""Sections 1 to 3 as forms: what they show of a state, what a click says. No engine, no scene."""

import pytest
import qt
import slicer

from fixtures.modules import EXTENSION
from fixtures.panels import heard, shownForm
from OrganIncrementLib.Panels.AuditPanel import AuditPanel, AuditRow, AuditState
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.DatasetPanel import DatasetPanel, DatasetState
from OrganIncrementLib.Panels.EnginePanel import EnginePanel, EngineState
from OrganIncrementLib.Panels.ImportPanel import ImportPanel, ImportState
from OrganIncrementLib.Panels.JobsPanel import JobRow, JobsPanel, JobsState
from OrganIncrementLib.Panels.MethodSettingsPanel import MethodSettingsPanel, SettingsState
from OrganIncrementLib.Panels.OrganChips import MOST_SHOWN, OrganChip, chipsHtml
from OrganIncrementLib.Panels.ProgressPanel import ProgressPanel, ProgressState
from OrganIncrementLib.Panels.SettingField import Setting
from OrganIncrementLib.Panels.TaskBar import TaskState
from OrganIncrementLib.Panels.TeacherPanel import TeacherPanel, TeacherState
from OrganIncrementLib.Panels.TrainingPanel import TrainingPanel, TrainingState

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrement.ui"
LIVER = OrganChip(name="Liver", color=(221, 130, 101))
CHOICES = (Choice(value="/a", text="A"), Choice(value="/b", text="B"))


@pytest.fixture
def form(slicerApp):
    with shownForm(FORM) as form:
        yield form


@pytest.fixture
def ui(form):
    return slicer.util.childWidgetVariables(form)


def test_choosing_a_teacher_tells_its_path_and_showing_one_tells_nothing(ui):
    panel = TeacherPanel(ui)
    chosen = heard(panel.teacherChosen)
    panel.show(TeacherState(choices=CHOICES, placeholder="Choose a teacher…"))
    assert ui.teacherComboBox.currentText == "Choose a teacher…"
    panel.show(TeacherState(choices=CHOICES, chosen="/b", placeholder="Choose a teacher…"))
    assert ui.teacherComboBox.currentText == "B"
    assert chosen == []
    ui.teacherComboBox.currentIndex = 0
    assert chosen == [("/a",)]


def test_teacher_shows_organs_and_facts_or_else_its_problem(ui):
    panel = TeacherPanel(ui)
    panel.show(TeacherState(organs=(LIVER,), facts=("Trained on 44 CT scans", "Licence: CC BY")))
    assert "Liver" in ui.teacherOrgansLabel.text
    assert "#dd8265" in ui.teacherOrgansLabel.text
    assert ui.teacherFactsLabel.text == "Trained on 44 CT scans\nLicence: CC BY"
    panel.show(TeacherState(problem="head-neck is not whole: copy it again."))
    assert not ui.teacherOrgansLabel.visible
    assert ui.teacherFactsLabel.text == "head-neck is not whole: copy it again."


def test_chips_are_readable_on_any_colour_and_never_too_many():
    assert "color:#000000" in chipsHtml([OrganChip(name="Bright", color=(250, 250, 225))])
    assert "color:#ffffff" in chipsHtml([OrganChip(name="Dark", color=(60, 20, 90))])
    many = chipsHtml([OrganChip(name=f"Organ {i}", color=(200, 200, 200)) for i in range(118)])
    assert many.count("<span") == MOST_SHOWN
    assert f"{118 - MOST_SHOWN} more" in many
    assert "&lt;b&gt;" in chipsHtml([OrganChip(name="<b>", color=(1, 1, 1))])


def test_sample_button_shows_progress_and_can_be_cancelled(ui):
    panel = TeacherPanel(ui)
    wanted, cancelled = heard(panel.sampleWanted), heard(panel.sampleCancelWanted)
    panel.show(TeacherState())
    assert not ui.sampleProgressBar.visible
    ui.sampleDataButton.click()
    panel.show(TeacherState(sampleBusy=TaskState(text="Making", done=2, total=5)))
    assert (ui.sampleProgressBar.value, ui.sampleProgressBar.maximum) == (2, 5)
    assert not ui.sampleDataButton.enabled
    assert ui.sampleDataButton.toolTip
    ui.sampleCancelButton.click()
    assert (wanted, cancelled) == ([()], [()])


def test_first_problem_of_a_dataset_is_a_link_that_opens_it(ui):
    panel = DatasetPanel(ui)
    wanted = heard(panel.problemWanted)
    state = DatasetState(
        choices=CHOICES, chosen="/a", organs=(LIVER,), cases="4 of 6 cases approved", problem="case 1: <broken>",
        problemOpens=True,
    )  # fmt: skip
    panel.show(state)
    assert "4 of 6 cases approved" in ui.datasetCasesLabel.text
    assert '<a href="problem">case 1: &lt;broken&gt;</a>' in ui.datasetProblemLabel.text
    ui.datasetProblemLabel.linkActivated.emit("problem")
    assert wanted == [()]


def test_dataset_list_tells_what_is_chosen_and_opened(ui):
    panel = DatasetPanel(ui)
    chosen, opened = heard(panel.datasetChosen), heard(panel.openWanted)
    panel.show(DatasetState(choices=CHOICES, placeholder="Choose a dataset…"))
    ui.datasetComboBox.currentIndex = 2
    ui.openDatasetButton.click()
    assert (chosen, opened) == ([("/b",)], [()])


def test_import_part_opens_asks_for_folders_and_says_what_is_missing(ui):
    panel = ImportPanel(ui, ["Mandible", "Liver"])
    toggled, folders, wanted = heard(panel.toggled), heard(panel.folderWanted), heard(panel.importWanted)
    panel.show(ImportState())
    assert not ui.importFrame.visible
    ui.importButton.click()
    panel.show(ImportState(open=True, missing="To import: name the organ."))
    assert not ui.importStartButton.enabled
    assert "name the organ" in ui.importStartButton.toolTip
    ui.importImagesButton.click()
    ui.importLabelsButton.click()
    panel.show(ImportState(open=True))
    ui.importStartButton.click()
    assert toggled == [(True,)]
    assert folders == [("images",), ("labels",)]
    assert wanted == [()]


def test_audit_table_says_verdicts_in_words_and_signs_and_a_click_opens_the_scan(ui):
    panel = AuditPanel(ui)
    wanted = heard(panel.caseWanted)
    rows = (
        AuditRow(case="pt_1", verdict="fits", reason="as the teacher knows it"),
        AuditRow(case="pt_2", verdict="unusable", reason="cannot be read"),
    )
    panel.show(AuditState(rows=rows, summary="Of 2 scans: 1 fit"))
    texts = [[ui.auditTable.item(i, column).text() for column in range(3)] for i in range(2)]
    assert texts == [["pt_1", "✓ fits", "as the teacher knows it"], ["pt_2", "✕ unusable", "cannot be read"]]
    ui.auditTable.cellClicked.emit(1, 2)
    assert wanted == [("pt_2",)]
    panel.show(AuditState(hindrance="To check: choose a teacher."))
    assert not ui.auditTable.visible
    assert ui.auditButton.toolTip == "To check: choose a teacher."


def test_engine_row_is_there_only_when_something_is_missing(ui):
    panel = EnginePanel(ui)
    panel.show(EngineState())
    assert not ui.engineFrame.visible
    calls = [heard(intent) for intent in (panel.checkWanted, panel.installWanted, panel.pythonWanted)]
    panel.show(EngineState(shown=True, text="The engine lacks torch."))
    assert ui.engineFrame.visible
    for button in (ui.engineCheckButton, ui.engineInstallButton, ui.enginePythonButton):
        button.click()
    assert calls == [[()], [()], [()]]
    panel.show(EngineState(shown=True, busy=TaskState(text="Starting"), installHindrance="Nothing is missing."))
    assert not ui.engineInstallButton.enabled
    assert ui.engineInstallButton.toolTip


def test_start_says_what_is_missing_until_nothing_is(ui):
    panel = TrainingPanel(ui)
    wanted = heard(panel.startWanted)
    panel.show(TrainingState(missing="To start: choose a teacher (section 1)."))
    assert not ui.startButton.enabled
    assert "teacher" in ui.startButton.toolTip
    panel.show(TrainingState(methods=CHOICES, method="/b", estimate="≈ 3 h 10 on NVIDIA RTX A4000", summary="Keeps."))
    assert ui.startButton.enabled
    assert ui.estimateLabel.text == "≈ 3 h 10 on NVIDIA RTX A4000"
    assert ui.methodComboBox.currentText == "B"
    ui.startButton.click()
    assert wanted == [()]
    panel.show(TrainingState(starting=TaskState(text="Planning")))
    assert not ui.startButton.visible
    assert ui.startCancelButton.visible


def settings():
    return (
        Setting(name="training.steps", value=400, default=400, help="how long", low=1, high=1000),
        Setting(name="weight", value=0.5, default=1.0, help="of the loss", low=0.0),
        Setting(name="uncertainty", value="offset", default="offset", help="how", choices=("paper", "offset")),
        Setting(name="mirror", value=False, default=False, help="swap sides"),
        Setting(name="spacing_mm", value=(), default=(), help="voxel size"),
    )


def test_settings_form_is_made_of_what_the_engine_says_and_tells_typed_values(ui):
    panel = MethodSettingsPanel(ui)
    told = heard(panel.settingChanged)
    panel.show(SettingsState(method="bla-uag", settings=settings(), changed=1))
    assert told == []
    steps, weight, uncertainty, mirror, spacing = (panel.field(setting.name).widget for setting in settings())
    assert (steps.value, steps.maximum, weight.value, uncertainty.currentText) == (400, 1000, 0.5, "offset")
    steps.value, weight.value, uncertainty.currentIndex, mirror.checked = 8, 2.0, 0, True
    spacing.text = "2, 1.5 1.5"
    spacing.editingFinished.emit()
    assert told == [
        ("training.steps", 8), ("weight", 2.0), ("uncertainty", "paper"), ("mirror", True),
        ("spacing_mm", [2, 1.5, 1.5]),
    ]  # fmt: skip
    assert type(told[0][1]) is int
    assert "usually 400" in steps.toolTip
    assert steps.objectName == "trainingStepsSpinBox"


def test_settings_reset_is_offered_only_when_something_differs(ui):
    panel = MethodSettingsPanel(ui)
    wanted = heard(panel.resetWanted)
    panel.show(SettingsState(settings=settings()))
    assert not ui.resetSettingsButton.enabled
    panel.show(SettingsState(settings=settings(), changed=2))
    ui.resetSettingsButton.click()
    assert wanted == [()]


def test_settings_of_another_method_replace_the_form(ui):
    panel = MethodSettingsPanel(ui)
    panel.show(SettingsState(settings=settings()))
    panel.show(SettingsState(settings=settings()[:1]))
    with pytest.raises(KeyError):
        panel.field("weight")
    slicer.app.processEvents()
    assert len([c for c in ui.methodSettingsWidget.children() if isinstance(c, qt.QWidget)]) == 1


def test_job_list_shows_states_and_a_click_chooses(ui):
    panel = JobsPanel(ui)
    chosen = heard(panel.jobChosen)
    rows = (
        JobRow(key="/1", name="one", state="▶ running", progress="step 3 of 9"),
        JobRow(key="/2", name="two", state="⚠ failed", progress="disk full"),
    )
    panel.show(JobsState(rows=rows, shown="/1"))
    assert ui.jobTable.currentRow() == 0
    assert chosen == []
    ui.jobTable.setCurrentCell(1, 0)
    assert chosen == [("/2",)]
    panel.show(JobsState())
    assert not ui.jobTable.visible


def test_progress_buttons_say_why_they_cannot_be_used(ui):
    panel = ProgressPanel(ui)
    calls = [heard(i) for i in (panel.pauseWanted, panel.resumeWanted, panel.cancelWanted, panel.plotsToggled)]
    panel.show(ProgressState(shown=True, title="one · running", step=3, totalSteps=9))
    assert (ui.jobProgressBar.value, ui.jobProgressBar.maximum) == (3, 9)
    for button in (ui.pauseButton, ui.resumeButton, ui.cancelJobButton, ui.plotsButton):
        button.click()
    assert calls == [[()], [()], [()], [(True,)]]
    panel.show(ProgressState(shown=True, pauseHindrance="Only a running job can be paused."))
    assert not ui.pauseButton.enabled
    assert ui.pauseButton.toolTip == "Only a running job can be paused."


def test_every_button_of_the_form_can_be_reached_and_says_what_it_does(form):
    TeacherPanel(slicer.util.childWidgetVariables(form))
    for button in form.findChildren(qt.QPushButton):
        assert button.text.strip(), button.objectName
        assert button.focusPolicy != qt.Qt.NoFocus, button.objectName
    for label in form.findChildren(qt.QLabel):
        assert "&" not in label.text or label.buddy() is not None or "&nbsp;" in label.text, label.objectName
