"""Section 5 with the real engine: teacher and student on one scan, overlay, regions, comparison, export, scenes."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import slicer

from harness import records, screenshot
from OrganIncrementLib.Logics.ResultNodes import regionsOf, resultsOf, teacherAndStudent, uncertaintyOf

OUTPUT = Path(__file__).resolve().parents[1] / "output"


@pytest.fixture
def module(openModule, workFolder, engineWorld):
    """The module on a workspace with a teacher and its student, and a scan in the scene."""
    shutil.copytree(engineWorld.teacher, workFolder / "models" / "teacher")
    shutil.copytree(engineWorld.studentJob, workFolder / "jobs" / "student-job")
    scan = slicer.util.loadVolume(str(engineWorld.scan), {"name": "CT abdomen"})
    scan.GetDisplayNode().SetAutoWindowLevel(False)
    scan.GetDisplayNode().SetWindowLevel(400, 40)
    widget = openModule("OrganIncrement")
    widget.ui.inputVolumeSelector.setCurrentNode(scan)
    return widget


def model(module, name):
    """The path of a model, as the drop-down's value."""
    return next(str(entry.path) for entry in module.controller.segment._models if entry.path.name == name)


def apply(module, settle, name, seconds=120):
    """Apply a model and wait for its end."""
    module._parameterNode.segmentModel = model(module, name)
    assert module.ui.applyButton.enabled, module.ui.applyButton.toolTip
    module.ui.applyButton.click()
    assert module.ui.segmentCancelButton.visible, records.texts()
    settle(until=lambda: not module.ui.segmentCancelButton.visible, seconds=seconds)


@pytest.fixture
def taken(module, engineWorld):
    """A function: the result of a model, "teacher" or "student", as the engine made it for this scan, is taken over."""

    def take(name):
        controller = module.controller.segment
        entry = controller._services.workspace.model(model(module, name))
        folder = engineWorld.result if name == "teacher" else engineWorld.studentResult
        volume = slicer.util.getNode("CT abdomen")
        controller.view.take(SimpleNamespace(folder=folder, volume=volume, volumeName=volume.GetName(), entry=entry))
        return resultsOf(volume)[-1]

    return take


@pytest.fixture
def both(taken):
    """Teacher's and student's segmentations of the scan."""
    return taken("teacher"), taken("student")


def view(name="Red"):
    return slicer.app.layoutManager().sliceWidget(name).sliceView().pixels().astype(int)


def colourful(pixels):
    """The share of pixels that are not grey."""
    return float((np.ptp(pixels, axis=2) > 40).mean())


def test_teacher_then_student_keeps_both_and_shows_the_newest(module, settle):
    apply(module, settle, "teacher")
    apply(module, settle, "student")
    assert records.texts("error") == []
    teacher, student = teacherAndStudent(resultsOf(module._parameterNode.inputVolume))
    assert teacher.GetName().startswith("CT abdomen ") and student.GetName() != teacher.GetName()
    assert student.GetSegmentation().GetNumberOfSegments() == 3
    assert teacher.GetSegmentation().GetNumberOfSegments() == 2
    assert uncertaintyOf(student) is not None and uncertaintyOf(teacher) is not uncertaintyOf(student)
    assert module.ui.studentRadioButton.checked
    assert student.GetDisplayNode().GetVisibility() and not teacher.GetDisplayNode().GetVisibility()
    assert module.ui.differenceRadioButton.enabled
    results = list(module.controller.result._services.workspace.resultsFolder.glob("*/CT-abdomen/report.json"))
    assert len(results) == 2
    assert not list(Path(slicer.app.temporaryPath).glob("OrganIncrement-*"))


def test_overlay_follows_its_controls_and_never_hides_the_scan(module, taken):
    taken("teacher")
    ui, composite = module.ui, slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    scan = module._parameterNode.inputVolume
    uncertainty = uncertaintyOf(resultsOf(scan)[0])
    assert (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID()) == (scan.GetID(), uncertainty.GetID())
    ui.opacitySlider.value = 0.8
    assert composite.GetForegroundOpacity() == pytest.approx(0.8)
    ui.thresholdSlider.value = 70
    assert uncertainty.GetDisplayNode().GetLowerThreshold() == pytest.approx(70)
    ui.overlayCheckBox.click()
    assert composite.GetForegroundVolumeID() != uncertainty.GetID()
    assert composite.GetBackgroundVolumeID() == scan.GetID()
    ui.overlayCheckBox.click()
    assert composite.GetForegroundVolumeID() == uncertainty.GetID()


def test_surfaces_come_and_go(module, taken):
    result = taken("teacher")
    assert result.GetDisplayNode().GetVisibility3D()
    pixels = slicer.app.layoutManager().threeDWidget(0).threeDView().pixels().astype(int)
    assert (abs(pixels - pixels[0, 0]).max(axis=2) > 60).mean() > 0.005
    module.ui.show3DCheckBox.click()
    assert not result.GetDisplayNode().GetVisibility3D()
    module.ui.show3DCheckBox.click()
    assert result.GetDisplayNode().GetVisibility3D()


def test_teacher_student_and_difference_are_shown_in_turn(module, both):
    teacher, student = both

    def visible():
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        displays = {node.GetName(): node.GetDisplayNode() for node in nodes}
        return {name for name, display in displays.items() if display.GetVisibility() and display.GetVisibility2D()}

    module.ui.teacherRadioButton.click()
    assert visible() == {teacher.GetName()}
    module.ui.differenceRadioButton.click()
    assert len(visible()) == 1 and not visible() & {teacher.GetName(), student.GetName()}
    assert module._parameterNode.shownResult == "difference"
    assert "only the teacher" in module.ui.shownResultNoteLabel.text
    assert student.GetDisplayNode().GetVisibility3D() and student.GetDisplayNode().GetOpacity3D() < 0.5
    module.ui.studentRadioButton.click()
    assert visible() == {student.GetName()} and student.GetDisplayNode().GetOpacity3D() == 1
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetForegroundVolumeID() == uncertaintyOf(student).GetID()


def test_next_and_previous_region_move_all_views(module, taken):
    regions = regionsOf(taken("student"))
    assert regions
    module.ui.nextRegionButton.click()
    assert module.ui.regionLabel.text.startswith(f"Region 1 of {len(regions)} · ")
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    offset = red.GetSliceOffset()
    assert offset == pytest.approx(regions[0].center_ras_mm[2], abs=0.1)
    module.ui.nextRegionButton.click()
    module.ui.previousRegionButton.click()
    assert red.GetSliceOffset() == pytest.approx(offset, abs=0.1)
    module.ui.previousRegionButton.click()
    assert module.ui.regionLabel.text.startswith(f"Region {len(regions)} of {len(regions)} · ")


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_export_writes_what_is_shown(module, taken, tmp_path, ending):
    taken("teacher")
    target = tmp_path / "out" / f"liver{ending}"
    target.parent.mkdir()
    records.answer("getSaveFileName", str(target))
    module.ui.exportSegmentationButton.click()
    assert records.texts("error") == []
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    if ending == ".seg.nrrd":
        again = slicer.util.loadSegmentation(str(target))
        assert [again.GetSegmentation().GetNthSegment(n).GetName() for n in range(2)] == ["Liver", "Spleen"]
    else:
        values = np.unique(slicer.util.arrayFromVolume(slicer.util.loadLabelVolume(str(target))))
        assert set(values) <= {0, 1, 2} and len(values) > 1


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_export_that_cannot_be_written_is_told_in_one_sentence(module, taken, tmp_path, expectErrors, ending):
    taken("teacher")
    expectErrors("partial")  # the writer's own complaint, which names the file
    records.answer("getSaveFileName", str(tmp_path / "no such folder" / f"liver{ending}"))
    module.ui.exportSegmentationButton.click()
    (text,) = records.texts("error")
    assert "cannot be written" in text and f"liver{ending}" in text


def test_saved_scene_keeps_names_colours_terminology_regions_and_pair(module, both, tmp_path):
    teacher, student = both
    names = {teacher.GetName(), student.GetName()}
    before = described(student)
    regions = regionsOf(student)
    bundle = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(bundle))
    slicer.mrmlScene.Clear(False)
    assert not module.ui.nextRegionButton.enabled
    slicer.util.loadScene(str(bundle))
    scan = slicer.util.getNode("CT abdomen")
    module.ui.inputVolumeSelector.setCurrentNode(scan)
    teacher, student = teacherAndStudent(resultsOf(scan))
    assert {teacher.GetName(), student.GetName()} == names
    assert described(student) == before
    assert regionsOf(student) == regions
    assert module.ui.differenceRadioButton.enabled
    module.ui.nextRegionButton.click()
    assert module.ui.regionLabel.text.startswith("Region 1 of")


def described(segmentation):
    """Name, colour and terminology of each segment."""
    import vtk

    told = []
    for n in range(segmentation.GetSegmentation().GetNumberOfSegments()):
        segment, entry = segmentation.GetSegmentation().GetNthSegment(n), vtk.mutable("")
        segment.GetTag("TerminologyEntry", entry)
        told.append((segment.GetName(), tuple(round(255 * part) for part in segment.GetColor()), str(entry)))
    return told


def test_pictures_for_people(module, both):
    """Looked at by people; here only that nothing is empty."""
    ui = module.ui
    for button in (ui.resultCollapsibleButton, ui.segmentCollapsibleButton):
        button.collapsed = False
    OUTPUT.mkdir(exist_ok=True)
    ui.nextRegionButton.click()
    scroll(ui.segmentCollapsibleButton)
    screenshot.save(OUTPUT / "segment.png", size=(1400, 900))
    pixels = view()
    assert 0.002 < colourful(pixels) < 0.6
    assert (pixels.max(axis=2) > 60).mean() > 0.15
    scroll(ui.resultCollapsibleButton)
    screenshot.save(OUTPUT / "result.png", size=(1400, 900))


def scroll(widget):
    """Bring a section to the top of the panel."""
    slicer.app.processEvents()
    area = widget.parent()
    while area is not None and not hasattr(area, "ensureWidgetVisible"):
        area = area.parent()
    if area is not None:
        area.verticalScrollBar().setValue(widget.mapTo(area.widget(), widget.rect.topLeft()).y())
    slicer.app.processEvents()
