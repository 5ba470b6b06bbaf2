"""Stories of an annotator in the real panel, with the real engine as the judge of what lies on the disk."""

import numpy as np
import pytest
import slicer
from annotate_clicks import (
    addOpenVolume,
    checkRows,
    draw,
    findings,
    makeDataset,
    openCase,
    opened,
    selectCheck,
    writeLabel,
    writtenDataset,
)

from fixtures.phantoms import addPhantom, liverMask, obliqueDirections
from harness import records
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.files import sha256_file
from OrganIncrementLib.Logics import ImageFile


@pytest.fixture
def module(openModule, workFolder):
    """The module's widget on an empty workspace."""
    return openModule("OrganAnnotate")


@pytest.fixture
def liver(module, workFolder):
    """The module with an empty dataset of the liver open; returns (widget, folder)."""
    return module, makeDataset(module, workFolder / "datasets" / "liver-site-b", "liver")


def test_from_an_empty_workspace_to_a_case_that_the_engine_finds_nothing_wrong_with(liver, settle):
    widget, folder = liver
    ui = widget.ui
    volume = addPhantom("Doe^John", obliqueDirections())
    volume.SetAttribute("DICOM.PatientName", "Doe^John")
    addOpenVolume(widget, volume)
    assert records.texts("error") == []
    assert "case_0001 · draft" in ui.caseStateLabel.text
    draw(widget, liverMask())
    settle(until=lambda: "changed" in ui.caseStateLabel.text, seconds=2)
    ui.saveButton.click()
    assert ui.caseStateLabel.text.endswith("saved")
    ui.checkButton.click()
    assert checkRows(widget) == {"grid": "ok", "organ": "ok"}
    ui.handInButton.click()
    assert records.texts("warning") == []
    case = DatasetFolder.open(folder).case("case_0001")
    assert (case.status, case.annotated, case.group) == ("submitted", ("liver",), "case_0001")
    assert findings(folder) == []
    assert all(b"Doe" not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_what_was_drawn_comes_back_voxel_for_voxel(liver):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x", obliqueDirections()))
    draw(widget, liverMask())
    widget.ui.saveButton.click()
    slicer.mrmlScene.Clear(False)
    assert "No case is open" in widget.ui.caseStateLabel.text
    openCase(widget, 0)
    assert (widget.controller.drawing.arrays().masks["liver"] == liverMask()).all()
    dataset = DatasetFolder.open(folder)
    case = dataset.case("case_0001")
    label, image = ImageFile.read(folder / case.label), ImageFile.read(folder / case.image)
    assert label.grid.difference(image.grid) == ""


def test_a_volume_under_a_linear_transform_is_stored_where_it_is_seen(liver):
    widget, folder = liver
    volume = addPhantom("x")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = obliqueDirections() @ np.diag([-1, -1, 1]), (5, 6, 7)
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    addOpenVolume(widget, volume)
    local = slicer.util.arrayFromVTKMatrix(_ijkToRas(volume))
    stored = ImageFile.read(folder / "images" / "case_0001.nrrd").grid.ijkToRas
    assert np.allclose(stored, matrix @ local)


def _ijkToRas(volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_the_same_scan_is_asked_about(liver):
    widget, folder = liver
    volume = addPhantom("x")
    addOpenVolume(widget, volume)
    records.answer("confirmYesNo", False)
    addOpenVolume(widget, volume)
    assert "already, as case_0001" in records.texts("confirmYesNo")[0]
    assert len(list((folder / "cases").iterdir())) == 1
    addOpenVolume(widget, volume)
    assert len(list((folder / "cases").iterdir())) == 2
    draw(widget, liverMask())
    widget.ui.checkButton.click()
    assert checkRows(widget)["duplicate"] == "confirm"


def test_an_id_that_is_a_name_is_asked_about(liver):
    widget, folder = liver
    records.answer("confirmYesNo", False)
    addOpenVolume(widget, addPhantom("x"), caseId="miller_tom")
    assert "miller_tom" in records.texts("confirmYesNo")[0]
    assert "⚠" in widget.ui.addCaseNoteLabel.text
    assert list((folder / "cases").iterdir()) == []


def test_an_organ_that_is_absent_can_be_handed_in_after_an_answer(liver):
    widget, folder = liver
    ui = widget.ui
    addOpenVolume(widget, addPhantom("x"))
    ui.handInButton.click()
    assert "nothing is drawn" in records.texts("warning")[0]
    assert checkRows(widget)["empty"] == "confirm"
    ui.confirmCheckButton.click()
    assert checkRows(widget)["absent"] == "ok"
    ui.handInButton.click()
    case = DatasetFolder.open(folder).case("case_0001")
    assert (case.status, case.annotated) == ("submitted", ("liver",))
    assert "absent" in DatasetFolder.open(folder).history()[-1].comment
    assert all(row["kind"] == "note" for row in findings(folder))
    openCase(widget, 0)
    ui.checkButton.click()
    assert checkRows(widget)["absent"] == "ok"


def test_specks_hold_a_case_back_until_they_are_removed_or_meant(liver):
    widget, folder = liver
    ui = widget.ui
    addOpenVolume(widget, addPhantom("x"))
    mask = liverMask()
    mask[16, 14, 22] = True
    draw(widget, mask)
    ui.handInButton.click()
    assert checkRows(widget)["specks"] == "confirm"
    assert DatasetFolder.open(folder).case("case_0001").status == "draft"
    selectCheck(widget, "specks")
    assert ui.mendCheckButton.text == "Remove specks"
    ui.mendCheckButton.click()
    assert "specks" not in checkRows(widget)
    ui.handInButton.click()
    case = DatasetFolder.open(folder).case("case_0001")
    assert case.status == "submitted"
    assert int(ImageFile.read(folder / case.label).array_KJI.sum()) == int(liverMask().sum())


def test_a_confirmed_finding_is_written_into_the_history(liver):
    widget, folder = liver
    addOpenVolume(widget, addPhantom("x"))
    mask = liverMask()
    mask[16, 14, 22] = True
    draw(widget, mask)
    widget.ui.checkButton.click()
    selectCheck(widget, "specks")
    widget.ui.confirmCheckButton.click()
    assert checkRows(widget)["specks"] == "confirmed"
    widget.ui.handInButton.click()
    assert "specks" in DatasetFolder.open(folder).history()[-1].comment


def test_a_segment_on_another_grid_is_resampled_after_a_question(liver):
    widget, _folder = liver
    addOpenVolume(widget, addPhantom("x"))
    segmentation = widget.controller.session.parameters.caseSegmentation
    other = addPhantom("other", shape_DHW=(40, 56, 64))
    other.SetSpacing(3, 3.5, 4.5)
    mask = liverMask((40, 56, 64)).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "liver", other)
    widget.ui.checkButton.click()
    assert checkRows(widget)["grid"] == "problem"
    records.answer("confirmYesNo", False)
    widget.ui.saveButton.click()
    assert "changed" in widget.ui.caseStateLabel.text
    selectCheck(widget, "grid")
    widget.ui.mendCheckButton.click()
    assert checkRows(widget)["grid"] == "ok"
    widget.ui.saveButton.click()
    assert records.texts("error") == []
    found = widget.controller.drawing.arrays().masks["liver"]
    assert 0.9 < found.sum() / liverMask().sum() < 1.1


def test_a_label_file_on_another_grid_is_shown_resampled_after_a_question(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver")
    shifted = np.diag([6.0, 7.0, 9.0, 1.0])
    shifted[0, 3] = 6.0
    writeLabel(dataset, "pt_1", liverMask(), ["liver"], affine=shifted)
    before = sha256_file(dataset.path / "labels" / "pt_1.nii.gz")
    records.answer("confirmYesNo", False)
    widget = opened(openModule, dataset.path)
    assert "another grid" in records.texts("confirmYesNo")[0]
    assert "No case is open" in widget.ui.caseStateLabel.text
    openCase(widget, 0)
    assert (widget.controller.drawing.arrays().masks["liver"] == np.roll(liverMask(), 1, 2)).all()
    assert "changed" in widget.ui.caseStateLabel.text
    assert sha256_file(dataset.path / "labels" / "pt_1.nii.gz") == before
    widget.ui.saveButton.click()
    assert findings(dataset.path) == []


def test_editing_an_approved_case_warns_and_sends_it_back_to_review(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver")
    writeLabel(dataset, "pt_1", liverMask(), ["liver"], status="approved")
    widget = opened(openModule, dataset.path)
    assert "reviewed again" in widget.ui.caseStateLabel.text
    assert not widget.ui.handInButton.enabled
    draw(widget, np.roll(liverMask(), 1, 0))
    records.answer("confirmYesNo", False)
    widget.ui.saveButton.click()
    assert dataset.case("pt_1").status == "approved"
    widget.ui.saveButton.click()
    assert dataset.case("pt_1").status == "submitted"
    assert "handed in" in widget.ui.caseStateLabel.text
    assert findings(dataset.path) == []


def test_a_flagged_case_is_handed_in_again(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver")
    writeLabel(dataset, "pt_1", liverMask(), ["liver"], status="submitted")
    dataset.move("pt_1", "flagged", "reviewer", "too small")
    widget = opened(openModule, dataset.path)
    assert widget.ui.handInButton.enabled
    draw(widget, np.roll(liverMask(), 1, 0))
    widget.ui.handInButton.click()
    assert dataset.case("pt_1").status == "submitted"
    assert (dataset.case("pt_1").label_sha256) == sha256_file(dataset.path / "labels" / "pt_1.nii.gz")


def test_voxels_that_nobody_looked_at_stay_so(openModule, workFolder):
    dataset = writtenDataset(workFolder / "datasets" / "liver")
    label = liverMask().astype(np.uint8)
    label[:3] = 255
    writeLabel(dataset, "pt_1", label, ["liver"])
    widget = opened(openModule, dataset.path)
    draw(widget, np.roll(liverMask(), 1, 2))
    widget.ui.saveButton.click()
    stored = ImageFile.read(dataset.path / "labels" / "pt_1.nii.gz").array_KJI
    assert (stored[0] == 255).all()
    assert ((stored == 1) == np.roll(liverMask(), 1, 2)).all()
