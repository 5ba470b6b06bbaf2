"""Segmentations of the scene as a dataset's label files."""

import numpy as np
import pytest
import slicer

from fixtures.phantoms import addPhantom, liverMask, obliqueDirections
from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.safe_read import read_image, read_labels
from OrganIncrementLib.Logics import ResultLoader
from OrganIncrementLib.Logics.Grid import localGrid, toMatrix
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentationExport import OtherGridError, exportLabelmap, labelArray
from OrganIncrementLib.Logics.SegmentMasks import addSegment, addSegments, orientedImage
from OrganIncrementLib.Logics.VolumeExport import exportVolume

ORGANS = tuple(organ_from_name(name) for name in ("spleen", "liver", "aorta"))


def newSegmentation(volume=None, name="Drawn"):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    if volume is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def draw(node, volume, segmentId, mask_KJI, name=None):
    organ = Organ(id=segmentId, name=name or segmentId, color=(200, 100, 50))
    addSegment(node, organ, orientedImage(np.asarray(mask_KJI, np.uint8), localGrid(volume).ijkToRas), 1)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_engine_reads_the_label_on_the_grid_of_the_scan(tmp_path, obliquePhantomVolume, ending):
    node = newSegmentation(obliquePhantomVolume)
    box = np.zeros((20, 28, 32), bool)
    box[2:5, 3:9, 20:30] = True
    draw(node, obliquePhantomVolume, "liver", liverMask())
    draw(node, obliquePhantomVolume, "Segment_7", box, "Spleen")  # found by its name
    draw(node, obliquePhantomVolume, "Segment_8", box, "Something else")
    exportVolume(obliquePhantomVolume, tmp_path / f"scan{ending}")
    exportLabelmap(node, obliquePhantomVolume, ORGANS, tmp_path / f"label{ending}")
    scan = read_image(tmp_path / f"scan{ending}")
    label = read_labels(tmp_path / f"label{ending}", allowed=range(1, len(LabelSpace(ORGANS)) + 1), like=scan)
    assert label.array_DHW.dtype == np.uint8
    expected = np.zeros((20, 28, 32), np.uint8)
    expected[box] = 1
    expected[liverMask()] = 2
    assert np.array_equal(label.array_DHW, expected)


def test_label_comes_back_as_it_was(tmp_path, obliquePhantomVolume):
    node = newSegmentation(obliquePhantomVolume)
    draw(node, obliquePhantomVolume, "liver", liverMask())
    exportLabelmap(node, obliquePhantomVolume, ORGANS, tmp_path / "label.nrrd")
    again = ResultLoader.loadLabel(tmp_path / "label.nrrd", ORGANS, obliquePhantomVolume)
    assert np.array_equal(
        labelArray(again, obliquePhantomVolume, ORGANS), labelArray(node, obliquePhantomVolume, ORGANS)
    )


def test_of_two_organs_in_one_voxel_the_later_one_has_it(obliquePhantomVolume):
    node = newSegmentation(obliquePhantomVolume)
    for segmentId in ("spleen", "liver"):
        draw(node, obliquePhantomVolume, segmentId, liverMask())
    assert set(np.unique(labelArray(node, obliquePhantomVolume, ORGANS))) == {0, 2}


def test_what_lies_beyond_the_scan_is_left_out(obliquePhantomVolume):
    bigger = addPhantom("Bigger", obliqueDirections(), (24, 28, 32))
    matrix = localGrid(obliquePhantomVolume).ijkToRas.copy()
    matrix[:3, 3] -= 2 * matrix[:3, 2]
    bigger.SetIJKToRASMatrix(toMatrix(matrix))
    node = newSegmentation(bigger)
    draw(node, bigger, "liver", np.ones((24, 28, 32)))
    assert (labelArray(node, obliquePhantomVolume, ORGANS) == 2).all()


def test_empty_segmentation_is_refused_unless_the_organ_may_be_absent(tmp_path, phantomVolume):
    node = newSegmentation(phantomVolume)
    with pytest.raises(LogicError, match=r"Drawn has no voxel of Spleen, Liver, Aorta"):
        exportLabelmap(node, phantomVolume, ORGANS, tmp_path / "label.nrrd")
    assert list(tmp_path.iterdir()) == []
    draw(node, phantomVolume, "liver", np.zeros((20, 28, 32)))
    with pytest.raises(LogicError, match="no voxel"):
        exportLabelmap(node, phantomVolume, ORGANS, tmp_path / "label.nrrd")
    exportLabelmap(node, phantomVolume, ORGANS, tmp_path / "label.nrrd", allowEmpty=True)
    assert read_image(tmp_path / "label.nrrd").array_DHW.max() == 0


def test_other_grid_is_refused_and_resampled_when_asked(tmp_path, phantomVolume):
    fine = addPhantom("Fine", np.eye(3), (40, 56, 64))
    fine.SetSpacing(3, 3.5, 4.5)
    fine.SetOrigin(-94.5, -96.75, -87.25)  # each voxel of the phantom is eight of these
    node = newSegmentation(fine)
    draw(node, fine, "liver", np.kron(liverMask(), np.ones((2, 2, 2))))
    with pytest.raises(OtherGridError, match="liver is not on the grid of the scan: resample it to the scan"):
        exportLabelmap(node, phantomVolume, ORGANS, tmp_path / "label.nrrd")
    assert list(tmp_path.iterdir()) == []
    exportLabelmap(node, phantomVolume, ORGANS, tmp_path / "label.nrrd", resample=True)
    assert np.array_equal(read_image(tmp_path / "label.nrrd").array_DHW == 2, liverMask())


def test_resampling_takes_what_slicer_takes(phantomVolume, obliquePhantomVolume, expectErrors):
    expectErrors("DataNodeCache inconsistency")  # slicer.util's own temporary nodes
    node = newSegmentation(obliquePhantomVolume)
    draw(node, obliquePhantomVolume, "liver", liverMask())
    ours = labelArray(node, phantomVolume, ORGANS, resample=True) == 2
    slicers = slicer.util.arrayFromSegmentBinaryLabelmap(node, "liver", phantomVolume) != 0
    assert (ours != slicers).sum() <= 0.01 * slicers.sum()


def test_segmentation_under_a_transform_is_taken_where_it_is_seen(phantomVolume):
    node = newSegmentation(phantomVolume)
    draw(node, phantomVolume, "liver", liverMask())
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (12, 0, -9)  # two voxels along i, one back along k
    transform.SetMatrixTransformToParent(toMatrix(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    moved = np.roll(liverMask(), (-1, 2), (0, 2))
    assert np.array_equal(labelArray(node, phantomVolume, ORGANS) == 2, moved)
    matrix[0, 3] = 3
    transform.SetMatrixTransformToParent(toMatrix(matrix))
    with pytest.raises(OtherGridError):
        labelArray(node, phantomVolume, ORGANS)


def test_contours_and_surfaces_become_voxels_when_asked(phantomVolume, phantomSegmentation):
    """As an RTSTRUCT gives them: no labelmap at all."""
    phantomSegmentation.CreateClosedSurfaceRepresentation()
    segmentation = phantomSegmentation.GetSegmentation()
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation("Binary labelmap")
    with pytest.raises(OtherGridError, match="is a surface"):
        labelArray(phantomSegmentation, phantomVolume, ORGANS)
    made = labelArray(phantomSegmentation, phantomVolume, ORGANS, resample=True) == 2
    overlap = 2 * (made & liverMask()).sum() / (made.sum() + liverMask().sum())
    assert overlap > 0.9
    assert not segmentation.ContainsRepresentation("Binary labelmap")


def test_segments_sharing_one_labelmap_keep_apart(phantomVolume, expectErrors):
    expectErrors("DataNodeCache inconsistency")  # slicer.util's own temporary nodes
    node = newSegmentation(phantomVolume)
    label_KJI = np.zeros((20, 28, 32), np.uint8)
    label_KJI[liverMask()] = 2
    label_KJI[0:2, 0:3, 0:4] = 1
    addSegments(node, label_KJI, localGrid(phantomVolume).ijkToRas, ORGANS)
    assert np.array_equal(labelArray(node, phantomVolume, ORGANS), label_KJI)
    # as the segment editor changes them
    slicer.util.updateSegmentBinaryLabelmapFromArray((label_KJI == 1).astype(np.uint8), node, "aorta", phantomVolume)
    changed = labelArray(node, phantomVolume, ORGANS)
    assert np.array_equal(changed == 3, label_KJI == 1)
    assert np.array_equal(changed == 2, label_KJI == 2)


def test_non_linear_transform_is_no_question_of_resampling(phantomVolume):
    import vtk

    node = newSegmentation(phantomVolume)
    draw(node, phantomVolume, "liver", liverMask())
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for point in ((0, 0, 0), (50, 0, 0), (0, 50, 0), (0, 0, 50), (50, 50, 50)):
        source.InsertNextPoint(point)
        target.InsertNextPoint(point[0] + 0.1 * point[1] * point[2] / 50, point[1], point[2])
    spline.SetBasisToR()
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Breathing")
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(LogicError, match="Breathing") as caught:
        labelArray(node, phantomVolume, ORGANS, resample=True)
    assert not isinstance(caught.value, OtherGridError)
