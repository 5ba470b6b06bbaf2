"""Section 5 with names, engines, segmentations and regions that nobody expects, and beside the other two modules."""

import shutil
from types import SimpleNamespace

import pytest
import slicer
from annotate_clicks import addOpenVolume, makeDataset
from PySide6 import QtWidgets

from fixtures.phantoms import addPhantom
from harness import mouse, records
from OrganIncrementLib.Logics.RegionWalk import centreViews
from OrganIncrementLib.Logics.ResultNodes import resultsOf, uncertaintyOf

PANEL_PX = 430  # what the panel has beside its scroll bar
LONG = "CT_" + "x" * 120 + " 漢字 " + "z" * 120


def tooWide(ui):
    """The widgets that would make the panel wider than it is."""
    slicer.app.processEvents()
    ignored = QtWidgets.QSizePolicy.Ignored
    return [
        name
        for name, widget in vars(ui).items()
        if isinstance(widget, QtWidgets.QWidget)
        and widget.isVisible()
        and widget.sizePolicy.horizontalPolicy() != ignored
        and widget.minimumSizeHint.width() > PANEL_PX
    ]


@pytest.fixture
def taken(openModule, workFolder, engineWorld):
    """The module with the teacher's result of a scan shown; gives (widget, volume, result's segmentation)."""
    shutil.copytree(engineWorld.teacher, workFolder / "models" / "teacher")
    volume = slicer.util.loadVolume(str(engineWorld.scan), {"name": "CT abdomen"})
    widget = openModule("OrganIncrement")
    widget.ui.inputVolumeSelector.setCurrentNode(volume)
    segment = widget.controller.segment
    entry = segment._services.workspace.models()[0]
    segment.view.take(SimpleNamespace(folder=engineWorld.result, volume=volume, volumeName="CT abdomen", entry=entry))
    return widget, volume, resultsOf(volume)[-1]


def test_long_names_do_not_push_the_panel_out_of_the_window(openModule, filledWorkFolder, settle):
    volume = addPhantom(LONG)
    ui = openModule("OrganIncrement").ui
    ui.inputVolumeSelector.setCurrentNode(volume)
    assert tooWide(ui) == []
    mouse.click(ui.applyButton)
    assert LONG in ui.segmentStatusLabel.text
    assert tooWide(ui) == []
    mouse.click(ui.segmentCancelButton)
    settle(until=lambda: not ui.segmentCancelButton.visible, seconds=10)
    widget = openModule("OrganAnnotate")
    makeDataset(widget, filledWorkFolder / "datasets" / "long", "liver", name="d" * 120)
    addOpenVolume(widget, volume, "c" * 80)
    assert "c" * 80 in widget.ui.caseStateLabel.text
    assert tooWide(widget.ui) == []


def test_an_engine_that_ends_well_and_leaves_nothing_is_said(openModule, filledWorkFolder, tmp_path, setting, settle):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    python.chmod(0o755)
    for key in ("engine/python", "OrganIncrement/engine/python"):
        setting(key, str(python))
    volume = addPhantom("CT")
    ui = openModule("OrganIncrement").ui
    ui.inputVolumeSelector.setCurrentNode(volume)
    mouse.click(ui.applyButton)
    settle(until=lambda: bool(records.texts("error")), seconds=10)
    assert records.texts("error") == [
        "CT was not segmented. The engine ended without a result: choose another Python for it (section 3, Advanced, "
        "Engine…)."
    ]


def test_a_result_without_segments_is_not_exported(taken, tmp_path):
    widget, _volume, segmentation = taken
    segmentation.GetSegmentation().RemoveAllSegments()
    records.answer("getSaveFileName", str(tmp_path / "x.seg.nrrd"))
    widget.ui.exportSegmentationButton.click()
    assert "has no segment any longer" in records.texts("error")[0]
    assert not (tmp_path / "x.seg.nrrd").exists()


@pytest.mark.parametrize("far", [1e300, float("nan"), float("inf")])
def test_views_do_not_follow_a_region_to_where_no_scan_is(phantomVolume, far):
    node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    before = [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)]
    centreViews((far, 0.0, 0.0))
    assert [node.GetSliceToRAS().GetElement(row, 3) for row in range(3)] == before


def test_outlines_of_a_result_are_not_taken_for_what_the_annotator_drew(taken, openModule, workFolder):
    widget, _volume, segmentation = taken
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(uncertaintyOf(segmentation))
    assert segmentation.GetDisplayVisibility()
    assert legend.GetVisibility()
    annotate = openModule("OrganAnnotate")
    makeDataset(annotate, workFolder / "datasets" / "liver", "liver")
    addOpenVolume(annotate, addPhantom("another patient"))
    assert annotate.controller.session.parameters.caseSegmentation.GetDisplayVisibility()
    assert not segmentation.GetDisplayVisibility()
    assert not legend.GetVisibility()
    openModule("OrganIncrement")
    widget.ui.inputVolumeSelector.setCurrentNode(slicer.util.getNode("CT abdomen"))
    assert segmentation.GetDisplayVisibility(), "back in the module, its result is shown again"
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(uncertaintyOf(segmentation)).GetVisibility()
