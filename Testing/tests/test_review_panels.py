"""The panels of OrganReview, driven without datasets, scenes or engines: what they show, and what they ask for."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import slicer

from fixtures.panels import heard

FORM = Path(__file__).resolve().parents[2] / "OrganIncrement" / "OrganReview" / "Resources" / "UI" / "OrganReview.ui"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)


@pytest.fixture
def ui(slicerApp):
    form = slicer.util.loadUI(str(FORM))
    names = SimpleNamespace(**vars(slicer.util.childWidgetVariables(form)))
    names.form = form
    yield names
    form.deleteLater()


@pytest.fixture
def casesPanel(ui):
    from OrganIncrementLib.Panels.ReviewCasesPanel import ReviewCasesPanel

    return ReviewCasesPanel(ui)


def casesState(**changes):
    from OrganIncrementLib.Panels.ReviewCasesPanel import ReviewCaseRow, ReviewCasesState

    rows = tuple(
        ReviewCaseRow(id=name, uncertainty=figure, status="to review", notes="", toolTip=f"{name} in full")
        for name, figure in (("pt_2", "31.0 %"), ("pt_1", "8.2 %"), ("pt_3", "no results yet"))
    )
    facts = {
        "datasets": (("/a", "stomach"), ("/b", "liver")), "dataset": "/a", "rows": rows, "reviewed": 12, "total": 30,
        "filters": (("to review", "to review"), ("all", "all cases")), "filter": "to review",
        "organs": (("", "all organs"), ("liver", "Liver")), "results": (("0a1b2c3d", "student"),), "result": "0a1b2c3d",
        "progress": "12 of 30 reviewed",
    }  # fmt: skip
    return ReviewCasesState(**{**facts, **changes})


def cells(table, row):
    return [table.item(row, column).text() for column in range(table.columnCount)]


def test_the_table_lists_the_cases_in_the_given_order(ui, casesPanel):
    casesPanel.show(casesState())
    assert cells(ui.caseTable, 0) == ["pt_2", "31.0 %", "to review"]
    assert cells(ui.caseTable, 2)[1] == "no results yet"
    assert ui.caseTable.item(0, 0).toolTip() == "pt_2 in full"
    assert "12 of 30 reviewed" in ui.reviewedProgressBar.text


def test_showing_the_same_state_again_keeps_the_items(ui, casesPanel):
    casesPanel.show(casesState())
    item = ui.caseTable.item(1, 1)
    casesPanel.show(casesState())
    casesPanel.show(casesState(progress="13 of 30 reviewed", reviewed=13))
    assert ui.caseTable.item(1, 1) is item


def test_a_click_in_the_table_asks_for_that_case(ui, casesPanel):
    wanted = heard(casesPanel.caseWanted)
    casesPanel.show(casesState())
    ui.caseTable.cellClicked.emit(1, 2)
    ui.caseTable.cellActivated.emit(2, 0)
    assert wanted == [("pt_1",), ("pt_3",)]


def test_boxes_ask_only_when_the_user_chooses(ui, casesPanel):
    chosen, filters, organs = map(heard, (casesPanel.datasetChosen, casesPanel.filterChosen, casesPanel.organChosen))
    casesPanel.show(casesState())
    assert (chosen, filters, organs) == ([], [], [])
    ui.datasetComboBox.setCurrentIndex(1)
    ui.filterComboBox.setCurrentIndex(1)
    ui.orderComboBox.setCurrentIndex(1)
    assert (chosen, filters, organs) == ([("/b",)], [("all",)], [("liver",)])


def test_buttons_of_the_dataset_ask(ui, casesPanel):
    folder, again = heard(casesPanel.folderWanted), heard(casesPanel.readAgainWanted)
    casesPanel.show(casesState())
    ui.openDatasetButton.click()
    ui.readAgainButton.click()
    assert (len(folder), len(again)) == (1, 1)


def test_without_a_dataset_everything_says_what_is_missing(ui, casesPanel):
    casesPanel.show(casesState(rows=(), dataset="", result="", noDataset="Open a dataset first."))
    for widget in (ui.readAgainButton, ui.filterComboBox, ui.orderComboBox, ui.resultsComboBox):
        assert not widget.enabled
        assert widget.toolTip == "Open a dataset first."


def test_a_dataset_without_results_says_where_they_come_from(ui, casesPanel):
    casesPanel.show(casesState(results=(), result=""))
    assert not ui.resultsComboBox.enabled
    assert "Advanced" in ui.resultsComboBox.toolTip


def test_a_picture_comes_late_and_stays_when_rows_come_back(ui, casesPanel):
    casesPanel.show(casesState())
    assert ui.caseTable.item(1, 0).icon().isNull()
    casesPanel.showPicture("pt_1", PNG)
    assert not ui.caseTable.item(1, 0).icon().isNull()
    casesPanel.showPicture("gone", PNG)
    casesPanel.show(casesState(rows=()))
    casesPanel.show(casesState())
    assert not ui.caseTable.item(1, 0).icon().isNull()
    assert ui.caseTable.item(0, 0).icon().isNull()


def test_the_open_case_is_marked_in_the_table(ui, casesPanel):
    from dataclasses import replace

    state = casesState()
    rows = tuple(replace(row, isOpen=row.id == "pt_1") for row in state.rows)
    casesPanel.show(replace(state, rows=rows))
    assert ui.caseTable.item(1, 0).text() == "▸pt_1"
    assert ui.caseTable.currentRow() == 1


def test_a_case_without_regions_says_why_its_buttons_do_nothing(ui):
    from OrganIncrementLib.Panels.ReviewCasePanel import ReviewCasePanel, ReviewCaseState

    panel = ReviewCasePanel(ui)
    steps = heard(panel.nextRegionWanted)
    panel.show(ReviewCaseState(title="pt_1", noRegions="The model is certain everywhere in this case.", noModel="none"))
    assert not ui.nextRegionButton.enabled
    assert "certain everywhere" in ui.regionLabel.text
    assert ui.modelCheckBox.toolTip == "none"
    panel.show(ReviewCaseState(title="pt_1", region="Region 1 of 3"))
    ui.nextRegionButton.click()
    assert len(steps) == 1
    assert ui.regionLabel.text == "Region 1 of 3"


def test_the_overlap_is_listed_per_organ(ui):
    from OrganIncrementLib.Panels.ReviewCasePanel import ReviewCasePanel, ReviewCaseState

    panel = ReviewCasePanel(ui)
    wanted = heard(panel.overlapWanted)
    panel.show(ReviewCaseState(title="pt_1", overlap=(("Liver", "0.912", "3.4 mm"),), overlapDone="Measure again"))
    assert cells(ui.overlapTable, 0) == ["Liver", "0.912", "3.4 mm"]
    ui.overlapButton.click()
    assert len(wanted) == 1


def test_warnings_of_a_case_are_shown_and_go_again(ui):
    from OrganIncrementLib.Panels.ReviewCasePanel import ReviewCasePanel, ReviewCaseState

    panel = ReviewCasePanel(ui)
    panel.show(ReviewCaseState(title="pt_1", warning="The label is empty."))
    assert "The label is empty." in ui.caseWarningLabel.text
    panel.show(ReviewCaseState(title="pt_1"))
    assert not ui.caseWarningLabel.text


def test_decisions_are_asked_for_and_comments_come_in_one_line(ui):
    from OrganIncrementLib.Panels.ReviewDecisionPanel import ReviewDecisionPanel, ReviewDecisionState

    panel = ReviewDecisionPanel(ui)
    calls = [heard(intent) for intent in
             (panel.approveWanted, panel.flagWanted, panel.takeBackWanted, panel.correctWanted)]  # fmt: skip
    panel.show(ReviewDecisionState())
    for button in (ui.approveButton, ui.flagButton, ui.takeBackButton, ui.correctButton):
        button.click()
    assert [len(call) for call in calls] == [1, 1, 1, 1]
    ui.commentTextEdit.setPlainText("  leaks into\n\nthe spleen ")
    assert panel.comment == "leaks into the spleen"
    panel.clearComment()
    assert panel.comment == ""


def test_a_decision_that_is_not_possible_says_why(ui):
    from OrganIncrementLib.Panels.ReviewDecisionPanel import ReviewDecisionPanel, ReviewDecisionState

    panel = ReviewDecisionPanel(ui)
    panel.show(
        ReviewDecisionState(noApprove="no label", noFlag="b", noTakeBack="c", noCorrect="d", message="Look again.")
    )
    assert not ui.approveButton.enabled
    assert ui.approveButton.toolTip == "no label"
    assert ui.decisionMessageLabel.text == "Look again."
    assert "Only approved cases are offered to training" in ui.trainingLabel.text


def test_the_history_lists_the_newest_step_first(ui):
    from OrganIncrementLib.Panels.ReviewDecisionPanel import ReviewDecisionPanel, ReviewDecisionState

    panel = ReviewDecisionPanel(ui)
    panel.show(ReviewDecisionState(who="Ada", steps=(("2026-11-21 08:30\nAda", "to review → flagged", "leaks"),)))
    assert cells(ui.historyTable, 0) == ["2026-11-21 08:30\nAda", "to review → flagged", "leaks"]
    assert "(1)" in ui.historyCollapsibleButton.text
    assert panel.who == "Ada"


def test_a_name_is_told_when_it_was_typed(ui):
    from OrganIncrementLib.Panels.ReviewDecisionPanel import ReviewDecisionPanel

    panel = ReviewDecisionPanel(ui)
    names = heard(panel.whoGiven)
    ui.whoLineEdit.text = " Ada  Lovelace "
    ui.whoLineEdit.editingFinished.emit()
    assert names == [("Ada Lovelace",)]


def test_a_run_can_be_started_and_ended_but_not_twice(ui):
    from OrganIncrementLib.Panels.ReviewRunPanel import ReviewRunPanel, ReviewRunState

    panel = ReviewRunPanel(ui)
    runs, ends, models, files = map(
        heard, (panel.runWanted, panel.cancelWanted, panel.modelChosen, panel.modelFileWanted)
    )
    panel.show(ReviewRunState(models=(("/m1", "one"), ("/m2", "two")), model="/m1"))
    assert not ui.cancelRunButton.enabled
    ui.runButton.click()
    ui.runModelComboBox.setCurrentIndex(1)
    ui.loadModelButton.click()
    panel.show(ReviewRunState(isRunning=True, done=150, total=400, noRun="A run is under way.", message="two segments"))
    assert not ui.runButton.enabled
    assert ui.runButton.toolTip == "A run is under way."
    assert ui.runProgressBar.value == 150
    ui.cancelRunButton.click()
    assert (len(runs), len(ends), models, len(files)) == (1, 1, [("/m2",)], 1)


def test_every_control_can_be_reached_by_keyboard_and_says_what_it_does(ui, casesPanel):
    import qt

    casesPanel.show(casesState())
    kinds = (qt.QPushButton, qt.QComboBox, qt.QCheckBox, qt.QLineEdit, qt.QPlainTextEdit, qt.QTableWidget)
    for widget in (member for member in vars(ui).values() if isinstance(member, kinds)):
        assert int(widget.focusPolicy) & 1, f"{widget.objectName} cannot be reached with Tab"
    text = FORM.read_text(encoding="utf-8")
    for name in ("caseTable", "approveButton", "commentTextEdit", "thresholdSlider", "runButton"):
        assert f"<tabstop>{name}</tabstop>" in text


def test_no_two_controls_share_a_letter(ui):
    import re

    letters = [letter.lower() for letter in re.findall(r"&amp;(.)", FORM.read_text(encoding="utf-8"))]
    assert len(letters) == len(set(letters)), sorted(letters)
    assert not {"f", "e", "v", "h"} & set(letters), "Slicer's menus have these"


def test_the_panel_says_that_it_is_for_research(ui):
    assert ui.researchUseLabel.text == "Research use only. Not a medical device."
