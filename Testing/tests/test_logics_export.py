"""Volumes written for the engine: every voxel where it is seen in the scene, or a refusal in words."""

import errno
import time

import numpy as np
import pytest
import slicer
import vtk

from fixtures.phantoms import addPhantom, obliqueDirections
from organincrement.imaging.safe_read import read_image
from OrganIncrementLib.Logics import ImageFile, ReplacedFile
from OrganIncrementLib.Logics.Grid import localGrid, toMatrix, worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.VolumeExport import exporting, exportVolume, problemOf

MIRRORED = np.diag([1.0, -1.0, 1.0])
ENDINGS = (".nrrd", ".nii.gz")


def linearTransform(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Turn")
    node.SetMatrixTransformToParent(toMatrix(matrix))
    return node


def turned(degrees, scale=1.0):
    a = np.deg2rad(degrees)
    matrix = np.eye(4)
    matrix[:3, :3] = scale * np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    matrix[:3, 3] = (11.25, -7.5, 130.125)
    return matrix


def worldPoints_lps(node, index_ijk):
    """Where voxels are in the scene, by Slicer's own way from index to world."""
    ijkToRas, toWorld = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijkToRas)
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(toWorld)
    vtk.vtkMatrix4x4.Multiply4x4(toWorld, ijkToRas, ijkToRas)
    points = [ijkToRas.MultiplyPoint([*index, 1])[:3] for index in index_ijk]
    return np.array(points) * [-1, -1, 1]


def assertSame(node, path):
    """The engine reads the same voxels at the same places, to a thousandth of a millimetre."""
    read = read_image(path)
    array_KJI = slicer.util.arrayFromVolume(node)
    assert np.array_equal(read.array_DHW, array_KJI.astype(np.float32))
    k, j, i = array_KJI.shape
    corners = [(x, y, z) for x in (0, i - 1) for y in (0, j - 1) for z in (0, k - 1)]
    engine = (read.affine @ np.array([[*corner, 1] for corner in corners]).T).T[:, :3]
    assert np.abs(engine - worldPoints_lps(node, corners)).max() < 1e-3


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "directions", [np.eye(3), np.diag([-1.0, -1, 1]), obliqueDirections(), MIRRORED, obliqueDirections() @ MIRRORED],
    ids=["straight", "half turn", "oblique", "left-handed", "oblique left-handed"],
)  # fmt: skip
def test_engine_reads_each_voxel_where_it_is_seen(tmp_path, directions, ending):
    node = addPhantom(directions=directions)
    exportVolume(node, tmp_path / f"scan{ending}")
    assertSame(node, tmp_path / f"scan{ending}")
    assert [path.name for path in tmp_path.iterdir()] == [f"scan{ending}"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_linear_transforms_are_hardened_into_the_copy_alone(tmp_path, obliquePhantomVolume, ending):
    node = obliquePhantomVolume
    outer, inner = linearTransform(turned(33, 1.5)), linearTransform(turned(-70))
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    before = localGrid(node).ijkToRas
    exportVolume(node, tmp_path / f"scan{ending}")
    assertSame(node, tmp_path / f"scan{ending}")
    assert node.GetParentTransformNode() is inner
    assert np.array_equal(localGrid(node).ijkToRas, before)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_type_of_voxel_keeps_its_values(tmp_path, dtype, ending):
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(dtype)
    node = slicer.util.addVolumeFromArray(values)
    exportVolume(node, tmp_path / f"scan{ending}")
    assertSame(node, tmp_path / f"scan{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_slicer_itself_loads_the_file_where_it_was(tmp_path, obliquePhantomVolume, ending):
    exportVolume(obliquePhantomVolume, tmp_path / f"scan{ending}")
    again = slicer.util.loadVolume(str(tmp_path / f"scan{ending}"), {"show": False})
    assert np.abs(localGrid(again).ijkToRas - localGrid(obliquePhantomVolume).ijkToRas).max() < 1e-4
    assert np.array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(obliquePhantomVolume))


@pytest.mark.parametrize("ending", ENDINGS)
def test_own_reader_reads_what_was_written(tmp_path, obliquePhantomVolume, ending):
    exportVolume(obliquePhantomVolume, tmp_path / f"scan{ending}")
    image = ImageFile.read(tmp_path / f"scan{ending}")
    assert image.grid.difference(worldGrid(obliquePhantomVolume)) == ""
    assert np.array_equal(image.array_KJI, slicer.util.arrayFromVolume(obliquePhantomVolume))


def refused(node, tmp_path, *words):
    with pytest.raises(LogicError) as caught:
        exportVolume(node, tmp_path / "scan.nrrd")
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text
    assert list(tmp_path.iterdir()) == []
    return text


def test_non_linear_transform_is_refused_by_its_name(tmp_path, phantomVolume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Breathing")
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point[0] + 0.1 * point[1] * point[2] / 50, point[1], point[2])
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Breathing")
    node.SetAndObserveTransformToParent(spline)
    phantomVolume.SetAndObserveTransformNodeID(node.GetID())
    refused(phantomVolume, tmp_path, "Phantom", "non-linear", "Breathing")
    assert "non-linear" in problemOf(phantomVolume)


def test_sheared_axes_are_refused(tmp_path, phantomVolume):
    shear = np.eye(4)
    shear[0, 1] = 0.2
    phantomVolume.SetAndObserveTransformNodeID(linearTransform(shear).GetID())
    refused(phantomVolume, tmp_path, "right angles")


def test_uneven_scaling_along_other_axes_shears_and_is_refused(tmp_path, obliquePhantomVolume):
    obliquePhantomVolume.SetAndObserveTransformNodeID(linearTransform(np.diag([1.0, 1.5, 1, 1])).GetID())
    refused(obliquePhantomVolume, tmp_path, "right angles")


@pytest.mark.parametrize("spacing", [(np.nan, 1, 1), (1, 0, 1), (1, 1, np.inf), (1, 1, 500), (1e-4, 1, 1)])
def test_impossible_spacing_is_refused_with_its_numbers(tmp_path, phantomVolume, spacing, expectErrors):
    expectErrors("spacing", "Spacing")
    phantomVolume.SetSpacing(*spacing)
    if not all(np.isclose(phantomVolume.GetSpacing(), spacing, equal_nan=True)):
        pytest.skip("this Slicer takes no such spacing in the first place")
    refused(phantomVolume, tmp_path, "spacing", f"{spacing[0]:.4g}")


def test_origin_that_is_no_number_is_refused(tmp_path, phantomVolume):
    phantomVolume.SetOrigin(np.nan, 0, 0)
    refused(phantomVolume, tmp_path, "Phantom")


def test_volume_without_voxels_is_refused(tmp_path, slicerApp):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Empty")
    refused(node, tmp_path, "Empty", "no voxels")
    node.SetAndObserveImageData(vtk.vtkImageData())
    refused(node, tmp_path, "Empty", "no voxels")
    assert "no voxels" in problemOf(node)
    assert "no voxels" in problemOf(None)


def test_colour_volume_is_refused(tmp_path, slicerApp):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photograph")
    slicer.util.updateVolumeFromArray(node, np.zeros((2, 3, 4, 3), np.uint8))
    refused(node, tmp_path, "Photograph", "colour or vector")
    assert problemOf(node)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path, slicerApp, value):
    values = np.zeros((4, 5, 6), np.float32)
    values[2, 3, 1:3] = value
    node = slicer.util.addVolumeFromArray(values, name="Dose")
    refused(node, tmp_path, "Dose", "2 voxels", "NaN or infinite")


def test_unknown_ending_is_refused(tmp_path, phantomVolume):
    with pytest.raises(LogicError, match=r"scan.xyz is neither .nrrd nor .nii.gz"):
        exportVolume(phantomVolume, tmp_path / "scan.xyz")


@pytest.mark.parametrize("ending", ENDINGS)
def test_full_disk_is_one_line_and_leaves_the_old_file(tmp_path, phantomVolume, monkeypatch, ending):
    path = tmp_path / f"scan{ending}"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ReplacedFile.os, "fsync", full)
    with pytest.raises(LogicError) as caught:
        exportVolume(phantomVolume, path)
    assert str(caught.value) == (
        f"scan{ending} cannot be written (No space left on device): free disk space or choose another folder."
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_device_that_is_full_is_refused(phantomVolume, tmp_path):
    """/dev/full as the partial file: writes themselves fail."""
    from pathlib import Path

    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    opened = Path.open
    try:
        Path.open = lambda self, mode="r", **named: (
            opened(Path("/dev/full"), "wb") if "x" in mode else opened(self, mode)
        )
        with pytest.raises(LogicError, match="No space left"):
            exportVolume(phantomVolume, tmp_path / "scan.nrrd")
        with pytest.raises(LogicError, match="No space left"):
            exportVolume(phantomVolume, tmp_path / "scan.nii.gz")
    finally:
        Path.open = opened


def test_missing_folder_is_refused(tmp_path, phantomVolume):
    with pytest.raises(LogicError, match="cannot be written"):
        exportVolume(phantomVolume, tmp_path / "nowhere" / "scan.nrrd")


def test_export_in_steps_says_how_far_it_is_and_leaves_nothing_when_stopped(tmp_path, phantomVolume):
    steps = exporting(phantomVolume, tmp_path / "scan.nii.gz")
    seen = [next(steps), next(steps)]
    assert seen == pytest.approx([1 / 20, 2 / 20])
    assert not (tmp_path / "scan.nii.gz").exists()
    steps.close()
    assert list(tmp_path.iterdir()) == []
    assert list(exporting(phantomVolume, tmp_path / "scan.nii.gz"))[-1] == 1
    assertSame(phantomVolume, tmp_path / "scan.nii.gz")


def test_scan_of_a_hospital_is_written_within_two_seconds(tmp_path, slicerApp):
    node = slicer.util.addVolumeFromArray(np.zeros((200, 512, 512), np.int16))
    started = time.process_time()
    exportVolume(node, tmp_path / "scan.nrrd")
    assert time.process_time() - started < 2
