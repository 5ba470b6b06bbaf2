"""Section 6: merging results of one scan, by the real engine; the panel; what it says when it cannot."""

import shutil
from dataclasses import replace

import pytest
import qt
import slicer

from fixtures.modules import EXTENSION
from fixtures.panels import heard, shownForm
from harness import records
from organincrement.contract import codec
from organincrement.contract.results import MOST_CONFLICTS, Conflicts, MergeConflict, SegmentReport
from OrganIncrementLib.Controllers.ConflictWords import conflictRows
from OrganIncrementLib.Controllers.PathList import textOf
from OrganIncrementLib.Logics import StoredResults as stored
from OrganIncrementLib.Logics.ResultNodes import (
    conflictsOf,
    isMerged,
    markConflicts,
    mergedOf,
    resultsOf,
    uncertaintyOf,
)
from OrganIncrementLib.Panels.ChoiceBox import Choice
from OrganIncrementLib.Panels.MergePanel import ConflictRow, MergePanel, MergeState
from OrganIncrementLib.Panels.TaskBar import TaskState

FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrementMerge.ui"
PARTS = (Choice(value="/a", text="scan: by A, 2 organs"), Choice(value="/b", text="Apply B", toolTip="/b"))
CONFLICT = MergeConflict(
    a="liver", b="spleen", volume_mm3=2500.0, center_ras_mm=(10.0, -20.0, 30.0), winner="spleen", rule="confidence"
)


@pytest.fixture
def form(slicerApp):
    with shownForm(FORM) as form:
        yield form


@pytest.fixture
def ui(form):
    return slicer.util.childWidgetVariables(form)


def cells(table):
    return [[table.item(row, column).text() for column in range(3)] for row in range(table.rowCount)]


def test_ticking_parts_tells_which_and_showing_them_tells_nobody(ui):
    panel = MergePanel(ui)
    ticked, wanted = heard(panel.tickedChanged), heard(panel.mergeWanted)
    panel.show(MergeState(parts=PARTS, ticked=("/a",), missing="To merge: tick two or more."))
    assert ticked == []
    assert not ui.mergeButton.enabled and ui.mergeButton.toolTip == "To merge: tick two or more."
    ui.mergePartsList.item(1).setCheckState(qt.Qt.Checked)
    assert ticked == [(("/a", "/b"),)]
    panel.show(MergeState(parts=PARTS, ticked=("/a", "/b")))
    ui.mergeButton.click()
    assert wanted == [()]
    panel.show(MergeState(parts=PARTS, ticked=("/a", "/b"), task=TaskState(text="Merging")))
    assert not ui.mergeButton.enabled and ui.mergeCancelButton.visible


def test_conflicts_are_a_table_and_a_click_asks_for_the_place(ui):
    panel = MergePanel(ui)
    wanted = heard(panel.conflictWanted)
    assert not ui.conflictTable.visible
    rows = (ConflictRow(organs="Liver / Spleen", volume="2.5 ml", winner="Spleen: its model is surer"),)
    panel.show(MergeState(conflicts=rows))
    assert cells(ui.conflictTable) == [["Liver / Spleen", "2.5 ml", "Spleen: its model is surer"]]
    assert "(1)" in ui.conflictsLabel.text
    ui.conflictTable.cellClicked.emit(0, 1)
    assert wanted == [(0,)]
    panel.show(MergeState(conflicts=()))
    assert "No conflicts" in ui.conflictsLabel.text and not ui.conflictTable.visible


def test_agreement_of_two_models_on_an_organ_is_not_denied_where_there_is_no_conflict(ui):
    MergePanel(ui).show(MergeState(conflicts=()))
    assert ui.conflictsLabel.text == "✓ No conflicts: no voxel was claimed for two organs."


def test_the_count_of_conflicts_says_where_the_list_of_the_engine_stops(ui):
    assert MOST_CONFLICTS == 1000
    panel, row = MergePanel(ui), ConflictRow(organs="Liver / Spleen", volume="2.5 ml", winner="Spleen")
    for count, text in ((999, "the largest first (999):"), (1000, "the largest 1000 (there may be more):")):
        panel.show(MergeState(conflicts=(row,) * count))
        assert ui.conflictsLabel.text == f"Claimed for two organs, {text}"


def test_nothing_is_cut_off_at_the_width_of_a_narrow_panel(form, ui):
    long = "organs-12-bla-uag-with-a-long-name-that-somebody-typed"
    row = ConflictRow(organs=long, volume="2.5 ml", winner=long)
    parts = (Choice(value="a", text=long),)
    MergePanel(ui).show(MergeState(parts=parts, task=TaskState(text=long), conflicts=(row,)))
    slicer.app.processEvents()
    assert form.minimumSizeHint.width() <= 420
    assert ui.researchUseLabel.text == "Research use only. Not a medical device."


def test_conflicts_in_words_and_in_the_scene(phantomSegmentation):
    assert not isMerged(phantomSegmentation) and conflictsOf(phantomSegmentation) == ()
    markConflicts(phantomSegmentation, [CONFLICT])
    assert isMerged(phantomSegmentation)
    (row,) = conflictRows(phantomSegmentation, conflictsOf(phantomSegmentation))
    assert row == ConflictRow(organs="Liver / spleen", volume="2.5 ml", winner="spleen, surer")
    new = replace(CONFLICT, rule="by-decree", winner="liver")
    assert conflictRows(phantomSegmentation, [new])[0].winner == "Liver, by decree"


@pytest.fixture
def module(openModule, workFolder, engineWorld):
    """The module on a workspace with a teacher, its student, and what both said of the scan in the scene."""
    shutil.copytree(engineWorld.teacher, workFolder / "models" / "teacher")
    shutil.copytree(engineWorld.student, workFolder / "models" / "zz-student")
    shutil.copytree(engineWorld.result, workFolder / "results" / "aaaaaaaa" / "CT-abdomen")
    shutil.copytree(engineWorld.studentResult, workFolder / "results" / "bbbbbbbb" / "CT-abdomen")
    scan = slicer.util.loadVolume(str(engineWorld.scan), {"name": "CT abdomen"})
    widget = openModule("OrganIncrement")
    widget.ui.inputVolumeSelector.setCurrentNode(scan)
    return widget


def tick(module, *indices):
    for index in indices:
        module.ui.mergePartsList.item(index).setCheckState(qt.Qt.Checked)


def test_parts_are_the_results_of_this_volume_and_the_models(module, workFolder):
    ui = module.ui
    names = [ui.mergePartsList.item(i).text() for i in range(ui.mergePartsList.count)]
    assert len(names) == 4
    assert [name.startswith("CT-abdomen: by ") for name in names] == [True, True, False, False]
    assert names[2].startswith("Apply ") and "organs" in names[3]
    assert "tick two" in ui.mergeButton.toolTip
    tick(module, 0)
    assert not ui.mergeButton.enabled
    tick(module, 1)
    assert ui.mergeButton.enabled
    assert module._parameterNode.mergeParts.count("CT-abdomen") == 2
    module._parameterNode.mergeParts = ""
    assert not ui.mergeButton.enabled
    module._parameterNode.inputVolume = None
    assert ui.mergePartsList.count == 0 and "choose a volume" in ui.mergeButton.toolTip


def test_results_of_different_scans_are_not_merged(module, workFolder):
    path = workFolder / "results" / "bbbbbbbb" / "CT-abdomen" / "report.json"
    codec.write(replace(codec.read(SegmentReport, path), input_sha256="0" * 64), path)
    seg = path.with_name("segmentation.seg.nrrd")
    seg.touch()
    module.controller.merge.modelsChanged()
    tick(module, 0, 1)
    assert "different scans" in module.ui.mergeButton.toolTip


def test_two_results_become_one_with_uncertainty_and_conflicts(module, settle, workFolder):
    ui, scan = module.ui, module._parameterNode.inputVolume
    tick(module, 0, 1)
    ui.mergeButton.click()
    assert ui.mergeProgressBar.visible
    settle(until=lambda: not ui.mergeCancelButton.visible, seconds=100)
    assert records.texts("error") == []
    merged = mergedOf(scan)
    assert resultsOf(scan) == [merged]
    assert merged.GetSegmentation().GetNumberOfSegments() == 3
    assert uncertaintyOf(merged) is not None
    folder = workFolder / "results" / "merged" / "CT-abdomen"
    found = codec.read(Conflicts, folder / "conflicts.json").conflicts
    assert len(conflictsOf(merged)) == len(found)
    assert ui.conflictsLabel.visible
    if found:
        ui.conflictTable.cellClicked.emit(0, 0)
        red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        offset = red.GetSliceToRAS().GetElement(2, 3)
        assert offset == pytest.approx(conflictsOf(merged)[0].center_ras_mm[2], abs=1e-3)
    assert "merged" in ui.mergeStatusLabel.text
    assert ui.mergePartsList.count == 5  # the merged one is a result, too
    module._parameterNode.inputVolume = None
    assert not ui.conflictsLabel.visible


def test_a_model_is_applied_first_and_cancel_leaves_no_merged_result(module, settle, workFolder):
    ui = module.ui
    tick(module, 0, 3)
    ui.mergeButton.click()
    assert "Handing" in ui.mergeStatusLabel.text
    ui.mergeCancelButton.click()
    settle(until=lambda: not ui.mergeCancelButton.visible, seconds=60)
    assert not (workFolder / "results" / "merged" / "CT-abdomen").exists()
    assert mergedOf(module._parameterNode.inputVolume) is None
    assert records.texts("error") == []


def test_engine_that_refuses_is_one_error_in_words(module, settle, workFolder):
    (workFolder / "results" / "bbbbbbbb" / "CT-abdomen" / "report.json").write_text("{}", encoding="utf-8")
    tick(module, 0, 2)
    paths = [str(workFolder / "results" / name / "CT-abdomen") for name in ("aaaaaaaa", "bbbbbbbb")]
    module._parameterNode.mergeParts = textOf(paths)
    module.ui.mergeButton.click()
    settle(until=lambda: not module.ui.mergeCancelButton.visible, seconds=60)
    assert len(records.texts("error")) == 1 and "was not merged" in records.texts("error")[0]


def test_damaged_and_foreign_results_are_passed_over(module, workFolder):
    scan = module._parameterNode.inputVolume
    results = stored.StoredResults(workFolder / "results")
    assert len(results.of(scan)) == 2
    (workFolder / "results" / "aaaaaaaa" / "CT-abdomen" / "segmentation.seg.nrrd").write_bytes(b"no NRRD")
    assert len(results.of(scan)) == 1
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other")
    assert results.of(other) == () and results.of(None) == ()


@pytest.mark.slow
def test_model_is_applied_and_merged(module, settle, workFolder):
    ui = module.ui
    tick(module, 0, 3)
    ui.mergeButton.click()
    settle(until=lambda: not ui.mergeCancelButton.visible, seconds=150)
    assert records.texts("error") == []
    assert mergedOf(module._parameterNode.inputVolume) is not None
