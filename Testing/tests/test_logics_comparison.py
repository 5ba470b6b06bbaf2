"""Segments as outlines, as surfaces, and teacher against student."""

import numpy as np
import pytest
import slicer

from fixtures.phantoms import liverMask
from organincrement.contract.organs import organ_from_name
from OrganIncrementLib.Logics import SegmentationDisplay
from OrganIncrementLib.Logics.Grid import localGrid, toMatrix, worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentationDisplay import (
    closeComparison,
    differenceNode,
    show3D,
    showComparison,
    showOutlines,
)
from OrganIncrementLib.Logics.SegmentMasks import addSegments, maskOf, segmentIds


def segmentation(volume, label_KJI, names, name):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    addSegments(node, label_KJI, localGrid(volume).ijkToRas, [organ_from_name(one) for one in names])
    return node


def labels():
    """The teacher's and the student's, in which the organs lie differently and have other values."""
    teacher, student = np.zeros((20, 28, 32), np.uint8), np.zeros((20, 28, 32), np.uint8)
    liver = liverMask()
    teacher[liver] = 1
    teacher[2:5, 3:9, 20:30] = 2
    student[np.roll(liver, 2, axis=2)] = 2
    student[2:5, 3:9, 20:30] = 1
    student[15:18, 20:25, 2:6] = 3
    return teacher, student


@pytest.fixture
def pair(obliquePhantomVolume):
    teacher, student = labels()
    return (
        segmentation(obliquePhantomVolume, teacher, ("liver", "spleen", "aorta"), "Teacher"),
        segmentation(obliquePhantomVolume, student, ("spleen", "liver", "stomach"), "Student"),
    )


def visible(node):
    return bool(node.GetDisplayNode().GetVisibility())


def redPixels():
    return slicer.app.layoutManager().sliceWidget("Red").sliceView().pixels().astype(int)


def colourful():
    return (np.ptp(redPixels(), axis=2) > 60).mean()


def test_outlines_are_lines_and_nothing_inside(phantomSegmentation):
    phantomSegmentation.GetDisplayNode().SetVisibility2DFill(True)
    phantomSegmentation.GetDisplayNode().SetOpacity2DFill(1.0)
    filled = colourful()
    showOutlines(phantomSegmentation)
    outlined = colourful()
    assert 0 < outlined < filled / 2
    assert phantomSegmentation.GetDisplayNode().GetVisibility2DOutline()


def test_surfaces_are_made_when_asked_for_and_hidden_again(phantomSegmentation):
    show3D(phantomSegmentation, False)
    assert not phantomSegmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    show3D(phantomSegmentation, True)
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    view.resetFocalPoint()
    view.resetCamera()
    with3D = view.pixels().astype(int)
    assert phantomSegmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    show3D(phantomSegmentation, False)
    assert np.abs(view.pixels().astype(int) - with3D).max() > 40
    assert visible(phantomSegmentation)


@pytest.mark.parametrize("which", ["teacher", "student"])
def test_one_of_the_two_is_shown(pair, which):
    teacher, student = pair
    showComparison(teacher, student, which)
    assert (visible(teacher), visible(student)) == (which == "teacher", which == "student")
    assert differenceNode() is None


def test_difference_says_who_alone_calls_what_an_organ(pair, obliquePhantomVolume):
    teacher, student = pair
    showComparison(teacher, student, "difference")
    node = differenceNode()
    assert segmentIds(node) == ("liver_only_teacher", "liver_only_student")  # the spleen agrees, the aorta is empty
    grid = worldGrid(obliquePhantomVolume)
    liver, moved = liverMask(), np.roll(liverMask(), 2, axis=2)
    assert np.array_equal(maskOf(node, "liver_only_teacher", grid), liver & ~moved)
    assert np.array_equal(maskOf(node, "liver_only_student", grid), moved & ~liver)
    segment = node.GetSegmentation().GetSegment("liver_only_student")
    assert segment.GetName() == "Liver: only student"
    assert tuple(round(part * 255) for part in segment.GetColor()) == SegmentationDisplay.ONLY_STUDENT_COLOR
    assert not visible(teacher)
    assert not visible(student)
    assert visible(node)
    assert not node.GetSaveWithScene()


def test_voxels_that_change_between_organs_belong_to_both_differences(obliquePhantomVolume):
    label = np.zeros((20, 28, 32), np.uint8)
    label[5:8, 5:8, 5:8] = 1
    teacher = segmentation(obliquePhantomVolume, label, ("liver", "spleen"), "Teacher")
    student = segmentation(obliquePhantomVolume, 2 * label, ("liver", "spleen"), "Student")
    showComparison(teacher, student, "difference")
    grid = worldGrid(obliquePhantomVolume)
    for segmentId in ("liver_only_teacher", "spleen_only_student"):
        assert np.array_equal(maskOf(differenceNode(), segmentId, grid), label == 1), segmentId


def test_difference_is_made_anew_each_time_and_never_kept(pair):
    teacher, student = pair
    count = slicer.mrmlScene.GetNumberOfNodes()
    for _time in range(3):
        showComparison(teacher, student, "difference")
        assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 3
    showComparison(teacher, student, "student")
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    showComparison(teacher, student, "difference")
    closeComparison()
    closeComparison()
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_difference_under_a_transform_lies_with_the_scan(obliquePhantomVolume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = (40, 50, 60)
    transform.SetMatrixTransformToParent(toMatrix(matrix))
    obliquePhantomVolume.SetAndObserveTransformNodeID(transform.GetID())
    teacher, student = labels()
    showComparison(
        segmentation(obliquePhantomVolume, teacher, ("liver", "spleen"), "Teacher"),
        segmentation(obliquePhantomVolume, student, ("spleen", "liver", "stomach"), "Student"),
        "difference",
    )
    liver, moved = liverMask(), np.roll(liverMask(), 2, axis=2)
    mask_KJI = slicer.util.arrayFromSegmentBinaryLabelmap(differenceNode(), "liver_only_teacher", obliquePhantomVolume)
    assert np.array_equal(mask_KJI != 0, liver & ~moved)


def test_without_a_scan_in_the_scene_the_segments_tell_the_grid(pair, obliquePhantomVolume):
    teacher, student = pair
    grid = worldGrid(obliquePhantomVolume)
    slicer.mrmlScene.RemoveNode(obliquePhantomVolume)
    showComparison(teacher, student, "difference")
    liver, moved = liverMask(), np.roll(liverMask(), 2, axis=2)
    assert np.array_equal(maskOf(differenceNode(), "liver_only_teacher", grid), liver & ~moved)


def test_full_agreement_is_an_empty_difference(obliquePhantomVolume):
    teacher, _student = labels()
    one = segmentation(obliquePhantomVolume, teacher, ("liver", "spleen"), "One")
    two = segmentation(obliquePhantomVolume, teacher, ("liver", "spleen"), "Two")
    showComparison(one, two, "difference")
    assert segmentIds(differenceNode()) == ()


def test_different_grids_and_missing_results_are_refused_and_nothing_changes(pair, phantomVolume):
    teacher, student = pair
    elsewhere = segmentation(phantomVolume, labels()[0], ("liver", "spleen"), "Elsewhere")
    for one, two in ((elsewhere, student), (None, student), (teacher, None)):
        count = slicer.mrmlScene.GetNumberOfNodes()
        with pytest.raises(LogicError):
            showComparison(one, two, "difference")
        assert slicer.mrmlScene.GetNumberOfNodes() == count
        assert visible(student)
    with pytest.raises(ValueError):
        showComparison(teacher, student, "both")


def test_one_result_alone_can_be_shown(pair):
    showComparison(None, pair[1], "student")
    assert visible(pair[1])
