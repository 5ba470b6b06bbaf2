"""What goes wrong in a review, and what the panel of OrganReview says then; nothing is lost, nothing slips through."""

import functools
import os
import time
from pathlib import Path

import pytest
import slicer
from review_cases import changeLabel, labelArray, writeNifti, writeReport
from review_clicks import (
    cell,
    clickCase,
    dialogTexts,
    listed,
    openDataset,
    plainDataset,
    press,
    sliceOffsets,
)

from harness import records
from organincrement.contract.files import locked
from OrganIncrementLib.Logics.CaseLabels import editStamp


@pytest.fixture
def opened(openModule, workFolder):
    """A function: opens the module and a dataset in it; gives the module's widget."""
    return functools.partial(openDataset, openModule)


def test_without_results_cases_are_reviewed_all_the_same(tmp_path, opened):
    folder = plainDataset(tmp_path)
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    assert sliceOffsets()[0] == pytest.approx(27.0), "the views are not on the label: slices 3 to 6, 6 mm each"
    assert "no results yet" in ui.nextRegionButton.toolTip
    assert not ui.overlapButton.enabled
    ui.approveButton.click()
    assert folder.case("a").status == "approved"


def test_a_folder_that_is_no_dataset_is_told_and_the_present_one_stays(tmp_path, opened):
    folder = plainDataset(tmp_path)
    widget = opened(folder.path)
    (tmp_path / "empty").mkdir()
    records.answer("getExistingDirectory", str(tmp_path / "empty"))
    widget.ui.openDatasetButton.click()
    assert "no dataset that can be opened" in dialogTexts()[0]
    assert listed(widget.ui) == ["a", "b"]


def test_a_missing_scan_is_told_in_the_panel(tmp_path, opened):
    folder = plainDataset(tmp_path)
    (folder.path / "images" / "a.nii.gz").unlink()
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    assert "a.nii.gz" in ui.caseWarningLabel.text
    assert "missing" in ui.caseWarningLabel.text
    assert not ui.approveButton.enabled
    press("A")
    assert folder.case("a").status == "submitted"


def test_a_half_copied_scan_is_told_and_the_next_case_opens(tmp_path, opened, expectErrors):
    expectErrors("")  # VTK says more than one line of such a file
    folder = plainDataset(tmp_path)
    file = folder.path / "images" / "a.nii.gz"
    file.write_bytes(file.read_bytes()[:-400])
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    assert "cannot be shown" in ui.caseWarningLabel.text
    assert not ui.approveButton.enabled
    clickCase(ui, "b")
    assert "b" in ui.caseLabel.text
    assert not ui.caseWarningLabel.text


def test_a_half_copied_case_file_is_told(tmp_path, opened):
    folder = plainDataset(tmp_path)
    file = folder.path / "cases" / "a.json"
    file.write_bytes(file.read_bytes()[:50])
    ui = opened(folder.path).ui
    assert "Cannot be read: a" in ui.datasetMessageLabel.text
    assert cell(ui, "a", 2) == "cannot be read"
    clickCase(ui, "a")
    assert "a.json" in ui.caseWarningLabel.text


def test_a_label_on_another_grid_is_not_approved_but_can_be_flagged(tmp_path, opened):
    folder = plainDataset(tmp_path)
    writeNifti(folder.path / "labels" / "a.nii.gz", labelArray()[:-2], (4.0, 5.0, 7.0))
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    assert "grid" in ui.caseWarningLabel.text
    assert not ui.approveButton.enabled
    assert "grid" in ui.approveButton.toolTip
    press("A")
    assert folder.case("a").status == "submitted"
    ui.flagButton.click()
    assert folder.case("a").status == "flagged"


def test_an_empty_label_is_approved_only_after_a_question(tmp_path, opened):
    folder = plainDataset(tmp_path)
    changeLabel(folder, "a", value=0)
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    assert "empty" in ui.caseWarningLabel.text
    records.answer("confirmYesNo", False)
    ui.approveButton.click()
    assert folder.case("a").status == "submitted"
    assert "Liver, Spleen" in records.texts("confirmYesNo")[0]
    ui.approveButton.click()
    assert folder.case("a").status == "approved"


def test_a_label_changed_by_somebody_since_is_told_and_not_approved(tmp_path, opened):
    folder = plainDataset(tmp_path)
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    changeLabel(folder, "a")
    ui.approveButton.click()
    assert "changed by somebody else after you opened this case" in dialogTexts()[0]
    assert folder.case("a").status == "submitted"
    clickCase(ui, "b")
    clickCase(ui, "a")
    assert "changed after it was handed in" in ui.caseWarningLabel.text
    ui.approveButton.click()
    assert folder.case("a").status == "approved"


def test_an_approved_label_that_changed_can_be_approved_again(tmp_path, opened):
    folder = plainDataset(tmp_path, a="approved", b="submitted")
    changeLabel(folder, "a")
    ui = opened(folder.path).ui
    ui.filterComboBox.setCurrentIndex(2)
    clickCase(ui, "a")
    assert "changed after it was approved" in ui.caseWarningLabel.text
    ui.approveButton.click()
    assert folder.check_files() == []
    assert folder.case("a").status == "approved"


def test_a_tampered_history_stops_decisions_and_says_what_to_do(tmp_path, opened):
    folder = plainDataset(tmp_path)
    text = folder.history_path.read_text(encoding="utf-8")
    folder.history_path.write_text(text.replace("submitted", "flagged", 1), encoding="utf-8")
    ui = opened(folder.path).ui
    assert "history of this dataset was changed" in ui.datasetMessageLabel.text
    assert "backup" in ui.datasetMessageLabel.text
    clickCase(ui, "a")
    for button in (ui.approveButton, ui.flagButton):
        assert not button.enabled
        assert "history" in button.toolTip


def test_a_draft_says_who_hands_it_in(tmp_path, opened):
    folder = plainDataset(tmp_path, a="draft", b="submitted")
    ui = opened(folder.path).ui
    assert listed(ui) == ["b"]
    ui.filterComboBox.setCurrentIndex(2)
    clickCase(ui, "a")
    assert "hand" in ui.approveButton.toolTip
    press("A")
    assert folder.case("a").status == "draft"
    assert "not handed in" in ui.decisionMessageLabel.text


def test_a_colleague_who_writes_is_waited_for_by_the_reviewer_not_by_the_window(tmp_path, opened):
    folder = plainDataset(tmp_path)
    ui = opened(folder.path).ui
    clickCase(ui, "a")
    with locked(folder.lock_path):
        started = time.monotonic()
        ui.approveButton.click()
        assert time.monotonic() - started < 1.5
    assert "Somebody else is writing" in dialogTexts()[0]
    ui.approveButton.click()
    assert folder.case("a").status == "approved"


def test_a_label_that_slicer_only_keeps_in_another_way_is_approved(tmp_path, opened):
    """As when a scene is saved, for which Slicer merges labelmaps."""
    folder = plainDataset(tmp_path)
    widget = opened(folder.path)
    clickCase(widget.ui, "a")
    label = widget._parameterNode.label
    before = editStamp(label)
    label.GetSegmentation().SeparateSegmentLabelmap(label.GetSegmentation().GetNthSegmentID(0))
    label.GetSegmentation().CollapseBinaryLabelmaps(True)
    assert editStamp(label) != before
    widget.ui.approveButton.click()
    assert folder.case("a").status == "approved"


def test_a_label_drawn_on_in_the_scene_is_not_approved_and_not_closed_without_a_question(tmp_path, opened):
    folder = plainDataset(tmp_path)
    widget = opened(folder.path)
    ui = widget.ui
    clickCase(ui, "a")
    node, image = widget._parameterNode.label, widget._parameterNode.image
    slicer.util.updateSegmentBinaryLabelmapFromArray(labelArray(), node, "spleen", image)
    ui.approveButton.click()
    assert "drawn on in this scene" in ui.decisionMessageLabel.text
    assert folder.case("a").status == "submitted"
    records.answer("confirmYesNo", False)
    clickCase(ui, "b")
    assert "a" in ui.caseLabel.text.split(" ")[0]
    clickCase(ui, "b")
    assert ui.caseLabel.text.startswith("b")


def test_a_colleagues_decision_appears_in_the_table(tmp_path, opened, settle):
    folder = plainDataset(tmp_path)
    ui = opened(folder.path).ui
    folder.move("a", "approved", "Grace", "")
    settle(until=lambda: listed(ui) == ["b"], seconds=5)


def test_results_of_another_version_are_told_in_the_table(tmp_path, opened):
    folder = plainDataset(tmp_path)
    writeReport(folder, "b", {"liver": 3.0})
    report = writeReport(folder, "a", {"liver": 50.0}) / "report.json"
    report.write_text(report.read_text(encoding="utf-8").replace("report/1", "report/9"), encoding="utf-8")
    ui = opened(folder.path).ui
    assert listed(ui) == ["b", "a"]
    assert cell(ui, "a", 1) == "results unusable"
    assert "update OrganIncrement" in ui.caseTable.item(1, 1).toolTip()
    clickCase(ui, "b")  # its report is fine, its images are missing
    assert "cannot be shown" in ui.caseWarningLabel.text


def test_a_dataset_that_may_only_be_read_is_reviewed_without_decisions(tmp_path, opened, openModule):
    if os.geteuid() != 0:
        pytest.skip("only an administrator can lay down rights and take them up again")
    folder = plainDataset(tmp_path)
    for parent in (tmp_path, *tmp_path.parents[:3]):
        if parent.owner() == "root" and parent != Path("/tmp"):
            parent.chmod(0o755)
    openModule("OrganReview")
    os.seteuid(65534)
    try:
        ui = opened(folder.path).ui
        clickCase(ui, "a")
        assert "only read this dataset" in ui.datasetMessageLabel.text
        assert not ui.approveButton.enabled
        assert "copy the dataset" in ui.approveButton.toolTip
        press("A")
    finally:
        os.seteuid(0)
    assert folder.case("a").status == "submitted"
