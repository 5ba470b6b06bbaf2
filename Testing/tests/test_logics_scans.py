"""Scans as volume nodes: where the engine reads them, in Slicer's formats too, and refused where they are none."""

import numpy as np
import pytest
import slicer

from organincrement.imaging.safe_read import read_image
from OrganIncrementLib.Logics import ResultLoader
from OrganIncrementLib.Logics.Grid import localGrid
from OrganIncrementLib.Logics.LogicError import LogicError


def test_scan_is_loaded_where_the_engine_reads_it(engineWorld):
    node = ResultLoader.loadImage(engineWorld.scan, "Scan")
    read = read_image(engineWorld.scan)
    assert np.array_equal(slicer.util.arrayFromVolume(node), read.array_DHW)
    assert np.abs(np.diag([-1.0, -1, 1, 1]) @ localGrid(node).ijkToRas - read.affine).max() < 1e-4
    assert node.GetName() == "Scan"
    assert node.GetDisplayNode() is not None


def test_formats_that_only_slicer_reads_are_loaded_too(tmp_path, obliquePhantomVolume):
    assert slicer.util.saveNode(obliquePhantomVolume, str(tmp_path / "scan.mha"))
    node = ResultLoader.loadImage(tmp_path / "scan.mha")
    assert localGrid(node).difference(localGrid(obliquePhantomVolume)) == ""


def test_scans_that_are_none_are_refused(tmp_path, expectErrors):
    expectErrors("")
    (tmp_path / "scan.mha").write_text("nothing", encoding="utf-8")
    (tmp_path / "scan.nii.gz").write_bytes(b"\x1f\x8b nothing at all")
    (tmp_path / "scan.nii").write_bytes(bytes(400))
    for name in ("scan.mha", "scan.nii.gz", "scan.nii"):
        with pytest.raises(LogicError, match=name):
            ResultLoader.loadImage(tmp_path / name)
    with pytest.raises(LogicError, match="is not there"):
        ResultLoader.loadImage(tmp_path / "nothing.nrrd")
    with pytest.raises(LogicError, match="DICOM"):
        ResultLoader.loadImage(tmp_path)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
