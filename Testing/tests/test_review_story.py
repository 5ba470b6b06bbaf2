"""OrganReview as a reviewer uses it: real widgets and scene, a real dataset, results of the real engine."""

import functools

import pytest
import slicer
from review_cases import changeLabel
from review_clicks import (
    backgroundName,
    cell,
    clickCase,
    copiedDataset,
    dialogTexts,
    listed,
    openDataset,
    press,
    sliceOffsets,
)

from harness import records


@pytest.fixture
def dataset(engineWorld, tmp_path):
    """Six cases, with results of the real engine, that a test may change."""
    return copiedDataset(engineWorld, tmp_path)


@pytest.fixture
def opened(openModule, workFolder):
    """A function: opens the module and a dataset in it; gives the module's widget."""
    return functools.partial(openDataset, openModule)


def test_a_reviewer_walks_all_cases_by_keys(dataset, opened):
    widget = opened(dataset.path)
    ui = widget.ui
    order = listed(ui)
    assert len(order) == len(dataset.cases())
    figures = [float(cell(ui, name, 1).removesuffix(" %")) for name in order]
    assert figures == sorted(figures, reverse=True)
    ui.whoLineEdit.text = "Grace"
    ui.whoLineEdit.editingFinished.emit()
    clickCase(ui, order[0])
    for number, name in enumerate(order):
        assert name in ui.caseLabel.text
        assert name in backgroundName()
        if ui.nextRegionButton.enabled:
            before = ui.regionLabel.text
            press("N")
            press("B")
            assert ui.regionLabel.text == before
        if number % 3 == 2:
            ui.commentTextEdit.setPlainText(f"look at {name}")
            press("F")
        else:
            press("A")
    assert records.dialogs == [record for record in records.dialogs if record["kind"] == "getExistingDirectory"]
    wanted = ["flagged" if number % 3 == 2 else "approved" for number in range(len(order))]
    assert [dataset.case(name).status for name in order] == wanted
    last = {entry.case: entry for entry in dataset.history()}
    assert {entry.who for entry in last.values()} == {"Grace"}
    assert last[order[2]].comment == f"look at {order[2]}"
    assert dataset.check_history() == []
    assert "All cases that were handed in are reviewed" in ui.decisionMessageLabel.text
    assert f"{len(order)} of {len(order)} reviewed" in ui.reviewedProgressBar.text
    assert listed(ui) == []  # nothing is left among those to review


def test_regions_centre_all_views(dataset, opened):
    ui = opened(dataset.path).ui
    clickCase(ui, listed(ui)[0])
    if not ui.nextRegionButton.enabled:
        pytest.skip("the tiny student is certain everywhere")
    seen = {}
    for _step in range(12):
        seen[ui.regionLabel.text] = sliceOffsets()
        press("N")
    assert len(seen) > 1
    assert len({tuple(offsets) for offsets in seen.values()}) == len(seen)


def test_the_history_of_a_case_is_shown(dataset, opened):
    ui = opened(dataset.path).ui
    name = listed(ui)[0]
    clickCase(ui, name)
    ui.commentTextEdit.setPlainText("the lower pole is missing")
    ui.flagButton.click()
    ui.filterComboBox.setCurrentIndex(1)
    assert listed(ui) == [name]
    clickCase(ui, name)
    cells = [ui.historyTable.item(0, column).text() for column in range(3)]
    assert cells[1:] == ["to review →\n⚑ flagged", "the lower pole is missing"]
    assert cell(ui, name, 2).startswith("⚑ flagged\n")
    assert "comment" in cell(ui, name, 2)


def test_a_decision_can_be_taken_back(dataset, opened):
    ui = opened(dataset.path).ui
    ui.filterComboBox.setCurrentIndex(2)
    name = listed(ui)[0]
    clickCase(ui, name)
    assert not ui.takeBackButton.enabled
    ui.approveButton.click()
    clickCase(ui, name)
    assert not ui.approveButton.enabled
    assert "approved already" in ui.approveButton.toolTip
    ui.takeBackButton.click()
    assert dataset.case(name).status == "submitted"
    ui.approveButton.click()
    clickCase(ui, name)
    ui.flagButton.click()
    assert dataset.case(name).status == "flagged"
    assert dataset.check_history() == []


def test_keys_do_nothing_while_a_comment_is_typed_or_the_module_is_hidden(dataset, opened, openModule):
    from PySide6 import QtTest

    widget = opened(dataset.path)
    ui = widget.ui
    name = listed(ui)[0]
    clickCase(ui, name)
    ui.commentTextEdit.setFocus()
    slicer.app.processEvents()
    QtTest.QTest.keyClicks(ui.commentTextEdit, "a fan")
    assert ui.commentTextEdit.plainText == "a fan"
    assert dataset.case(name).status == "submitted"
    ui.caseTable.setFocus()
    widget.exit()
    press("A")
    assert dataset.case(name).status == "submitted"
    widget.enter()
    assert name in ui.caseLabel.text, "the case is still open when the reviewer comes back"
    press("A")
    assert dataset.case(name).status == "approved"


def test_a_comment_that_was_begun_stays_with_its_case(dataset, opened):
    ui = opened(dataset.path).ui
    first, second = listed(ui)[:2]
    clickCase(ui, first)
    ui.commentTextEdit.setPlainText("half a thought")
    clickCase(ui, second)
    assert ui.commentTextEdit.plainText == ""
    clickCase(ui, first)
    assert ui.commentTextEdit.plainText == "half a thought"


def test_the_overlay_follows_its_controls_and_never_replaces_the_scan(dataset, opened):
    widget = opened(dataset.path)
    ui = widget.ui
    clickCase(ui, listed(ui)[0])
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    parameters = widget._parameterNode
    assert composite.GetBackgroundVolumeID() == parameters.image.GetID()
    assert composite.GetForegroundVolumeID() == parameters.uncertainty.GetID()
    ui.opacitySlider.value = 0.8
    assert composite.GetForegroundOpacity() == pytest.approx(0.8)
    ui.thresholdSlider.value = 55
    assert parameters.uncertainty.GetDisplayNode().GetLowerThreshold() == pytest.approx(55, abs=1)
    ui.labelCheckBox.click()
    assert not parameters.label.GetDisplayNode().GetVisibility()
    ui.modelCheckBox.click()
    assert parameters.model.GetDisplayNode().GetVisibility()
    ui.uncertaintyCheckBox.click()
    assert composite.GetForegroundOpacity() == 0 or composite.GetForegroundVolumeID() is None


def test_the_overlap_with_the_model_is_measured(dataset, opened):
    ui = opened(dataset.path).ui
    clickCase(ui, listed(ui)[0])
    assert ui.overlapTable.rowCount == 1
    assert ui.overlapTable.item(0, 0).text() == "Stomach"
    assert 0 <= float(ui.overlapTable.item(0, 1).text()) <= 1
    ui.overlapButton.click()
    assert ui.overlapTable.rowCount == 1


def test_one_case_at_a_time_is_in_the_scene_and_other_nodes_stay(dataset, opened):
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    widget = opened(dataset.path)
    ui = widget.ui
    counts = []
    for name in listed(ui)[:3]:
        clickCase(ui, name)
        counts.append(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
    assert len(set(counts)) == 1
    assert slicer.mrmlScene.IsNodePresent(mine)


def test_a_closed_scene_keeps_the_dataset_and_the_order(dataset, opened):
    widget = opened(dataset.path)
    ui = widget.ui
    clickCase(ui, listed(ui)[0])
    slicer.mrmlScene.Clear(False)
    slicer.app.processEvents()
    assert "No case is open" in ui.caseLabel.text
    assert not ui.approveButton.enabled
    assert len(listed(ui)) == len(dataset.cases())
    clickCase(ui, listed(ui)[1])
    assert listed(ui)[1] in ui.caseLabel.text


def test_the_case_can_be_corrected_in_the_annotators_module(dataset, opened, openModule):
    annotate = openModule("OrganAnnotate")
    ui = opened(dataset.path).ui
    name = listed(ui)[0]
    clickCase(ui, name)
    ui.correctButton.click()
    assert dialogTexts() == []
    assert slicer.util.mainWindow().moduleSelector().selectedModule == "OrganAnnotate"
    assert annotate.controller.session.opened.id == name
    assert len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")) == 1, (
        "the reviewer's outlines lie over the drawing"
    )
    changeLabel(dataset, name, 1)  # as Save does
    slicer.util.selectModule("OrganReview")
    assert name in ui.caseLabel.text
    assert "changed after it was handed in" in ui.caseWarningLabel.text or ui.caseWarningLabel.text


def test_results_of_another_grid_are_told_and_the_label_is_shown(dataset, opened):
    name = dataset.cases()[0].id
    results = next((dataset.path / "results").iterdir()) / name
    for file in ("uncertainty.nrrd", "segmentation.seg.nrrd"):
        path = results / file
        data = path.read_bytes()
        start = data.index(b"space origin: (") + len(b"space origin: (")
        path.write_bytes(data[:start] + b"9" + data[start:].replace(b"-", b"", 1) if data[start:start + 1] != b"-"
                         else data[:start] + b"-9" + data[start + 1 :])  # fmt: skip
    ui = opened(dataset.path).ui
    clickCase(ui, name)
    assert "cannot be shown" in ui.caseWarningLabel.text
    assert not ui.uncertaintyCheckBox.enabled
    ui.approveButton.click()
    assert dataset.case(name).status == "approved"
