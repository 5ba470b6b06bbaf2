"""The panels of OrganAnnotate on their real forms, without a controller, a scene or a file."""

from types import SimpleNamespace

import pytest
import slicer

from fixtures.modules import EXTENSION
from fixtures.panels import heard
from OrganIncrementLib.Panels.AnnotateCasesPanel import (
    AnnotateCasesPanel,
    CaseRow,
    CasesState,
    NewCase,
    looksLikeName,
)
from OrganIncrementLib.Panels.AnnotateChecksPanel import AnnotateChecksPanel, CheckRow, ChecksState
from OrganIncrementLib.Panels.AnnotateDatasetPanel import AnnotateDatasetPanel, DatasetState, OrganChip
from OrganIncrementLib.Panels.AnnotateDrawPanel import AnnotateDrawPanel, DrawState
from OrganIncrementLib.Panels.AnnotateImportPanel import AnnotateImportPanel, ImportState
from OrganIncrementLib.Panels.AnnotateNextPanel import AnnotateNextPanel, AnnotateTaskPanel, NextState, SuggestionRow
from OrganIncrementLib.Panels.TaskBar import TaskState

FORMS = ("OrganAnnotate", "OrganAnnotateImport", "OrganAnnotateDraw")
LIVER = OrganChip("liver", "Liver", (221, 130, 101))
LEFT = OrganChip("kidney_left", "Left kidney", (181, 148, 55), side="left")


@pytest.fixture
def ui(slicerApp):
    """The widgets of the three forms; the forms live as long as the test."""
    forms = [slicer.util.loadUI(str(EXTENSION / "OrganAnnotate" / "Resources" / "UI" / f"{name}.ui")) for name in FORMS]
    widgets = SimpleNamespace()
    for form in forms:
        vars(widgets).update(vars(slicer.util.childWidgetVariables(form)))
    yield widgets
    for form in forms:
        form.deleteLater()


def test_a_new_dataset_needs_a_name_and_an_organ(ui):
    panel = AnnotateDatasetPanel(ui)
    created, added, removed = (heard(intent) for intent in (panel.createWanted, panel.organAdded, panel.organRemoved))
    panel.show(DatasetState(frame="new", matches=(LIVER, LEFT)))
    assert not ui.newDatasetFrame.isHidden()
    assert not ui.createDatasetButton.enabled and "name" in ui.createDatasetButton.toolTip
    ui.datasetNameLineEdit.text = "site-b"
    assert not ui.createDatasetButton.enabled and "organ" in ui.createDatasetButton.toolTip
    ui.organMatchesList.currentRow = 1
    ui.addOrganButton.click()
    assert added == [("kidney_left",)]
    panel.show(DatasetState(frame="new", matches=(LIVER, LEFT), newOrgans=(LEFT,)))
    ui.removeOrganButton.click()
    assert removed == [("kidney_left",)]
    ui.modalityComboBox.currentIndex = 1
    ui.createDatasetButton.click()
    assert created == [("site-b", "MR")]


def test_datasets_are_listed_and_one_is_chosen(ui):
    panel = AnnotateDatasetPanel(ui)
    chosen = heard(panel.datasetChosen)
    panel.show(DatasetState())
    assert not ui.datasetComboBox.enabled and "New" in ui.datasetComboBox.toolTip
    panel.show(DatasetState(choices=(("/a", "first"), ("/b", "second")), current="/b", organs=(LEFT,)))
    assert ui.datasetComboBox.currentText == "second"
    assert "Left" in ui.organsLabel.text
    ui.datasetComboBox.activated.emit(0)
    assert chosen == [("/b",)]


def test_a_case_is_opened_by_its_row(ui):
    panel = AnnotateCasesPanel(ui)
    wanted = heard(panel.openWanted)
    panel.show(CasesState())
    assert not ui.openCaseButton.enabled and "no case" in ui.openCaseButton.toolTip
    rows = (CaseRow("pt_1", "pt_1", "draft", "copy", ""), CaseRow("pt_2", "pt_1", "approved", "copy", "", isOpen=True))
    panel.show(CasesState(cases=rows))
    ui.openCaseButton.click()
    assert wanted == []
    panel.select("pt_2")
    ui.openCaseButton.click()
    ui.caseTable.cellDoubleClicked.emit(1, 0)
    assert wanted == [("pt_2",), ("pt_2",)]
    panel.show(CasesState(cases=(rows[1],)))
    assert ui.caseTable.rowCount == 1
    assert not ui.openCaseButton.enabled or ui.caseTable.item(0, 0).text() == "▸ pt_2"


def test_a_new_case_is_offered_a_number_and_warned_of_names(ui):
    panel = AnnotateCasesPanel(ui)
    created = heard(panel.createWanted)
    panel.show(CasesState(newCase=NewCase("case_0002", ("pt_1", "pt_2"))))
    assert ui.caseIdLineEdit.text == "case_0002"
    assert "⚠" not in ui.addCaseNoteLabel.text
    ui.createCaseButton.click()
    ui.patientComboBox.currentIndex = 2
    ui.caseIdLineEdit.text = "tom_miller"
    assert "⚠" in ui.addCaseNoteLabel.text
    ui.createCaseButton.click()
    ui.caseIdLineEdit.text = ""
    assert not ui.createCaseButton.enabled and "id" in ui.createCaseButton.toolTip
    assert created == [("case_0002", ""), ("tom_miller", "pt_2")]


@pytest.mark.parametrize("text", ["case_0001", "pt-12", "site-b_007", "A12", "patient 3"])
def test_numbers_are_no_names(text):
    assert not looksLikeName(text)


@pytest.mark.parametrize("text", ["Doe^John", "mueller1950", "Anna"])
def test_names_look_like_names(text):
    assert looksLikeName(text)


def test_what_each_check_can_be_answered_with(ui):
    panel = AnnotateChecksPanel(ui)
    confirmed, mended = heard(panel.confirmed), heard(panel.mendWanted)
    rows = (
        CheckRow("a", "ok", "good"),
        CheckRow("b", "confirm", "specks", "Remove specks"),
        CheckRow("c", "note", "n"),
    )
    panel.show(ChecksState(rows=rows))
    assert ui.confirmCheckButton.enabled and ui.mendCheckButton.text == "Remove specks"
    ui.confirmCheckButton.click()
    ui.mendCheckButton.click()
    assert (confirmed, mended) == ([("b",)], [("b",)])
    ui.checksTable.selectRow(0)
    assert not ui.confirmCheckButton.enabled and ui.confirmCheckButton.toolTip
    assert not ui.mendCheckButton.enabled and ui.mendCheckButton.toolTip
    panel.show(ChecksState(noCheck="Open a case first."))
    assert ui.checkButton.toolTip == "Open a case first." and ui.checksTable.rowCount == 0


def test_the_draw_panel_says_why_a_button_is_off_and_keeps_an_open_list(ui):
    panel = AnnotateDrawPanel(ui)
    organs, saved, copied = heard(panel.organChosen), heard(panel.saveWanted), heard(panel.copyWanted)
    panel.show(DrawState(noSave="Open a case first.", noHandIn="Open a case first.", noModel="m", noSegment="s"))
    for button in (ui.saveButton, ui.handInButton, ui.presegmentButton, ui.copySegmentButton):
        assert not button.enabled and button.toolTip
    state = DrawState(organs=(LIVER, LEFT), organ="kidney_left", segments=(("s1", "One"), ("s2", "Two")))
    panel.show(state)
    assert ui.organComboBox.currentText == "Left kidney"
    ui.segmentComboBox.currentIndex = 1
    panel.show(state)
    assert ui.segmentComboBox.currentIndex == 1
    ui.copySegmentButton.click()
    ui.saveButton.click()
    ui.organComboBox.currentIndex = 0
    ui.organComboBox.activated.emit(0)
    assert (organs, saved, copied) == ([("liver",)], [()], [("s2",)])


def test_an_import_names_what_is_missing(ui):
    panel = AnnotateImportPanel(ui)
    wanted = heard(panel.importWanted)
    panel.show(ImportState(visible=True, organs=(("liver", "Liver"), ("spleen", "Spleen"))))
    assert not ui.importButton.enabled and "scans" in ui.importButton.toolTip
    panel.setImages("/scans")
    assert "labels" in ui.importButton.toolTip
    panel.setLabels("/labels")
    assert ui.importButton.enabled
    ui.organValuesTable.item(0, 1).setText("seven")
    assert not ui.importButton.enabled and "seven" in ui.importButton.toolTip
    ui.organValuesTable.item(0, 1).setText("")
    ui.importButton.click()
    assert wanted[0][0].values == (("spleen", 2),)
    assert (wanted[0][0].kind, wanted[0][0].status) == ("folders", "submitted")
    panel.show(ImportState(visible=True, organs=(("liver", "Liver"), ("spleen", "Spleen")), busy="Wait."))
    assert ui.importButton.toolTip == "Wait."


def test_suggestions_are_shown_in_their_order_and_a_click_opens_one(ui):
    panel = AnnotateNextPanel(ui)
    chosen = heard(panel.scanChosen)
    rows = (SuggestionRow("b.nii.gz", 12.3, 40), SuggestionRow("a.nii.gz", 5, 3))
    panel.show(NextState(rows=rows, noSuggest="Choose a folder of scans first."))
    assert [ui.suggestTable.item(0, column).text() for column in range(4)] == ["1", "b.nii.gz", "12.3 %", "40 %"]
    assert not ui.suggestButton.enabled and "folder" in ui.suggestButton.toolTip
    ui.suggestTable.cellClicked.emit(1, 0)
    assert chosen == [("a.nii.gz",)]


def test_a_task_shows_its_progress_and_can_be_cancelled(ui):
    panel = AnnotateTaskPanel(ui)
    cancelled = heard(panel.cancelled)
    assert ui.taskFrame.isHidden()
    panel.show(TaskState(text="Checking", done=3, total=10))
    assert not ui.taskFrame.isHidden()
    assert (ui.taskProgressBar.value, ui.taskProgressBar.maximum, ui.taskLabel.text) == (3, 10, "Checking")
    ui.taskCancelButton.click()
    assert cancelled == [()]
    panel.show(None)
    assert ui.taskFrame.isHidden()
