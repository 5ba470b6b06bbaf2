"""The fixtures that the modules' tests use."""

import numpy as np
import pytest
import qt
import slicer

from harness import records


def test_a_test_starts_with_an_empty_scene(phantomVolume):
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [phantomVolume]


def test_the_scene_of_the_test_before_is_gone(slicerApp):
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


def test_an_expected_exception_in_a_slot_passes(expectErrors):
    expectErrors("on purpose")

    def fail():
        raise ValueError("on purpose")

    qt.QTimer.singleShot(0, fail)
    slicer.app.processEvents()
    assert len(records.errors) == 1


def test_settle_waits_until_it_is_true(settle):
    seen = []
    qt.QTimer.singleShot(20, lambda: seen.append(1))
    settle(until=lambda: seen, seconds=5)
    with pytest.raises(AssertionError, match="test_fixtures"):
        settle(until=lambda: len(seen) > 1, seconds=0.02)


def test_the_phantom_is_anisotropic_and_shown(phantomVolume):
    assert len({round(v, 3) for v in phantomVolume.GetSpacing()}) == 3
    pixels = slicer.app.layoutManager().sliceWidget("Red").sliceView().pixels()
    assert (pixels.max(axis=2) > 60).mean() > 0.1


def test_the_oblique_phantom_has_no_axis_along_the_patient(obliquePhantomVolume):
    directions = np.zeros((3, 3))
    obliquePhantomVolume.GetIJKToRASDirections(directions)
    assert abs(directions).max() < 0.99


def test_the_work_folder_is_in_the_settings(workFolder):
    assert slicer.app.settings().value("OrganIncrement/folder") == str(workFolder)


def test_the_settings_are_undone():
    assert slicer.app.settings().value("OrganIncrement/folder") is None


def test_the_world_of_the_engine_has_what_it_says(engineWorld):
    from organincrement.contract.dataset import DatasetFolder
    from organincrement.contract.package import read_manifest

    assert [organ.id for organ in read_manifest(engineWorld.teacher).organs] == ["liver", "spleen"]
    statuses = [case.status for case in DatasetFolder.open(engineWorld.dataset).cases()]
    assert sorted(statuses) == ["approved"] * 4 + ["draft", "submitted"]
    assert engineWorld.scan.is_file()
    for folder in (engineWorld.result, engineWorld.studentResult):
        assert (folder / "segmentation.seg.nrrd").is_file()


def test_a_workspace_is_filled_with_copies(filledWorkFolder):
    assert (filledWorkFolder / "models" / "teacher" / "model.json").is_file()
    assert (filledWorkFolder / "datasets" / "stomach" / "dataset.json").is_file()
