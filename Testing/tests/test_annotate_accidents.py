"""What goes wrong while one annotates, and what is left of the work: nothing may be lost."""

import numpy as np
import pytest
import slicer
from annotate_clicks import (
    addOpenVolume,
    draw,
    findings,
    makeDataset,
    openCase,
    opened,
    writeLabel,
    writtenDataset,
)

from fixtures.phantoms import addPhantom, liverMask
from harness import records
from organincrement.contract.dataset import DatasetFolder
from OrganIncrementLib.Logics import ImageFile


@pytest.fixture
def module(openModule, workFolder):
    """The module's widget on an empty workspace."""
    return openModule("OrganAnnotate")


@pytest.fixture
def liver(module, workFolder):
    """The module with an empty dataset of the liver open; returns (widget, folder)."""
    return module, makeDataset(module, workFolder / "datasets" / "liver-site-b", "liver")


@pytest.mark.parametrize("fault", ["spacing", "warp", "colours", "voxels"])
def test_a_volume_that_cannot_be_stored_is_refused_in_words(liver, fault):
    widget, folder = liver
    volume = addPhantom("Scan")
    if fault == "spacing":
        volume.SetSpacing(1, float("nan"), 1)
    elif fault == "warp":
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
        volume.SetAndObserveTransformNodeID(transform.GetID())
    elif fault == "colours":
        volume = slicer.util.addVolumeFromArray(
            np.zeros((4, 5, 6, 3), np.uint8), name="Scan", nodeClassName="vtkMRMLVectorVolumeNode"
        )
    else:
        values = slicer.util.arrayFromVolume(volume).astype(np.float32)
        values[1, 2, 3] = np.nan
        slicer.util.updateVolumeFromArray(volume, values)
    addOpenVolume(widget, volume)
    refusals = [*records.texts("error"), widget.ui.addVolumeButton.toolTip]
    assert any("Scan" in text or "volume" in text for text in refusals)
    assert list((folder / "cases").iterdir()) == list((folder / "images").iterdir()) == []


def test_unsaved_changes_are_saved_or_kept_when_another_case_is_opened(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver", cases=3)
    widget = opened(openModule, dataset.path)
    draw(widget, liverMask())
    openCase(widget, 1)
    assert "not saved" in records.texts("confirmYesNo")[0]
    assert dataset.case("pt_1").annotated == ("liver",)
    draw(widget, liverMask())
    records.answer("confirmYesNo", False)
    openCase(widget, 2)
    assert dataset.case("pt_2").label is None
    kept = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "not saved" in node.GetName()]
    assert len(kept) == 1
    assert slicer.util.arrayFromSegmentBinaryLabelmap(kept[0], "liver").sum() == liverMask().sum()
    records.dialogs.clear()
    openCase(widget, 0)
    assert records.texts("confirmYesNo") == []


def test_a_stroke_that_was_taken_back_is_no_change(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver", cases=2)
    writeLabel(dataset, "pt_1", liverMask(), ["liver"])
    widget = opened(openModule, dataset.path)
    draw(widget, np.roll(liverMask(), 1, 0))
    draw(widget, liverMask())
    openCase(widget, 1)
    assert records.texts("confirmYesNo") == []


def test_closing_the_scene_asks_to_save(liver):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    draw(widget, liverMask())
    slicer.mrmlScene.Clear(False)
    assert "scene closes" in records.texts("confirmYesNo")[0]
    assert DatasetFolder.open(folder).case("case_0001").annotated == ("liver",)
    assert "No case is open" in widget.ui.caseStateLabel.text
    assert findings(folder) == []


def test_leaving_the_module_keeps_the_drawing_and_says_so(liver, openModule):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    draw(widget, liverMask())
    openModule("OrganIncrement")
    assert any("not saved yet" in text for text in records.status)
    openModule("OrganAnnotate")
    assert "changed" in widget.ui.caseStateLabel.text
    widget.ui.saveButton.click()
    assert DatasetFolder.open(folder).case("case_0001").annotated == ("liver",)


def test_a_saved_scene_goes_on_where_it_was(liver, workFolder, settle):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    widget.ui.saveButton.click()
    draw(widget, liverMask())
    path = workFolder / "scene.mrb"
    assert slicer.util.saveScene(str(path))
    records.answer("confirmYesNo", False)
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(path))
    assert "case_0001 · draft · changed" in widget.ui.caseStateLabel.text
    assert (widget.controller.drawing.arrays().masks["liver"] == liverMask()).all()
    widget.ui.saveButton.click()
    assert findings(folder) == []


def test_a_case_that_somebody_else_saved_is_not_overwritten_unasked(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver")
    widget = opened(openModule, dataset.path)
    writeLabel(dataset, "pt_1", np.roll(liverMask(), 1, 0), ["liver"])
    draw(widget, liverMask())
    records.answer("confirmYesNo", False)
    widget.ui.saveButton.click()
    assert "somebody else" in records.texts("confirmYesNo")[0]
    stored = ImageFile.read(dataset.path / "labels" / "pt_1.nii.gz").array_KJI
    assert (stored == np.roll(liverMask(), 1, 0)).all()
    assert (widget.controller.drawing.arrays().masks["liver"] == liverMask()).all()
    widget.ui.saveButton.click()
    assert (ImageFile.read(dataset.path / "labels" / "pt_1.nii.gz").array_KJI == liverMask()).all()


def test_a_full_disk_keeps_the_drawing_in_the_scene(liver, monkeypatch):
    from OrganIncrementLib.Logics import ReplacedFile

    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    draw(widget, liverMask())

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ReplacedFile.os, "fsync", full)
    widget.ui.saveButton.click()
    monkeypatch.undo()
    assert len(records.texts("error")) == 1
    assert "disk is full" in records.texts("error")[0] and "stays in the scene" in records.texts("error")[0]
    assert "changed" in widget.ui.caseStateLabel.text
    widget.ui.saveButton.click()
    assert findings(folder) == []


def test_a_dataset_that_is_half_copied_is_shown_with_what_is_missing(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver", cases=2)
    (dataset.path / "images" / "pt_2.nii.gz").unlink()
    (dataset.path / "cases" / "pt_3.json").write_text("{", encoding="utf-8")
    widget = opened(openModule, dataset.path, row=1)
    assert "missing" in records.texts("error")[0]
    table = widget.ui.caseTable
    assert [table.item(row, 2).text() for row in range(3)] == ["draft", "draft", "damaged"]
    assert "missing" in table.item(1, 0).toolTip()
    assert widget.ui.caseStateLabel.text.startswith("No case is open")


def test_a_folder_that_is_no_dataset_is_refused_in_a_sentence(module, tmp_path):
    records.answer("getExistingDirectory", str(tmp_path))
    module.ui.openDatasetButton.click()
    assert len(records.texts("error")) == 1 and "no dataset" in records.texts("error")[0]


def test_reloading_the_module_goes_on_with_the_open_case(liver):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    draw(widget, liverMask())
    slicer.util.reloadScriptedModule("OrganAnnotate")
    again = slicer.util.getModuleWidget("OrganAnnotate")
    assert again is not widget
    assert "case_0001 · draft · changed" in again.ui.caseStateLabel.text
    again.ui.saveButton.click()
    assert DatasetFolder.open(folder).case("case_0001").annotated == ("liver",)


def test_a_scene_that_closes_while_another_module_is_shown_asks_too(liver, openModule):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    openModule("OrganIncrement")
    segmentation = slicer.util.getFirstNodeByClassByName("vtkMRMLSegmentationNode", "case_0001 label")
    volume = slicer.util.getNode("case_0001")
    slicer.util.updateSegmentBinaryLabelmapFromArray(liverMask().astype(np.uint8), segmentation, "liver", volume)
    slicer.mrmlScene.Clear(False)
    assert "scene closes" in records.texts("confirmYesNo")[0]
    assert DatasetFolder.open(folder).case("case_0001").annotated == ("liver",)
    slicer.mrmlScene.Clear(False)
    assert len(records.texts("confirmYesNo")) == 1


def test_a_folder_that_may_not_be_written_says_so_before_anything_is_tried(openModule, workFolder, monkeypatch):
    from OrganIncrementLib.Controllers import AnnotateDatasets

    dataset = writtenDataset(workFolder / "datasets" / "liver")
    monkeypatch.setattr(AnnotateDatasets.os, "access", lambda *arguments, **options: False)
    widget = opened(openModule, dataset.path)
    for button in (widget.ui.saveButton, widget.ui.handInButton, widget.ui.addVolumeButton, widget.ui.addFolderButton):
        assert not button.enabled and "may not be written" in button.toolTip
    assert "may not be written" in widget.ui.datasetInfoLabel.text
