"""How segments are drawn: as outlines over the scan, as surfaces in 3-D, and two segmentations against each other."""

import numpy as np
import slicer

from organincrement.contract.labels import Organ
from OrganIncrementLib.Logics.Grid import Grid, toArray, transformToWorld, worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentMasks import addSegment, maskOf, organsOf, orientedImage
from OrganIncrementLib.Translation import _

DIFFERENCE_MARK = "OrganIncrement.Difference"
LINE_PIXELS = 2
# Blue and orange of Okabe and Ito, which everybody can tell apart.
ONLY_TEACHER_COLOR, ONLY_STUDENT_COLOR = (0, 114, 178), (230, 159, 0)
VIEWS = ("teacher", "student", "difference")


def showOutlines(segmentationNode) -> None:
    """Draw the segments as lines, so that the scan and its uncertainty are seen inside them."""
    segmentationNode.CreateDefaultDisplayNodes()
    display = segmentationNode.GetDisplayNode()
    display.SetVisibility(True)
    display.SetVisibility2D(True)
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(LINE_PIXELS)


def show3D(segmentationNode, on: bool) -> None:
    """Show the segments' surfaces in the 3-D views, or no longer. The first time the surfaces are computed."""
    segmentationNode.CreateDefaultDisplayNodes()
    if on:
        segmentationNode.CreateClosedSurfaceRepresentation()
    segmentationNode.GetDisplayNode().SetVisibility3D(bool(on))


def showComparison(teacherNode, studentNode, which: str) -> None:
    """Show the teacher's segments, the student's, or where they differ, as outlines.

    The difference is a segmentation of its own, with segments of what only the teacher, and only the student, calls an
    organ that both know; it is made when it is asked for, and removed when something else is. Raises: LogicError when
    they lie on different grids.
    """
    if which not in VIEWS:
        raise ValueError(f"{which!r} is none of {', '.join(VIEWS)}")
    closeComparison()
    if which == "difference":
        difference = _makeDifference(teacherNode, studentNode)
        showOutlines(difference)
    for node, name in ((teacherNode, "teacher"), (studentNode, "student")):
        if node is not None:
            showOutlines(node)
            node.GetDisplayNode().SetVisibility(which == name)


def closeComparison() -> None:
    """Remove the difference from the scene; the teacher's and the student's segments stay as they are."""
    node = differenceNode()
    if node is not None:
        display = node.GetDisplayNode()
        slicer.mrmlScene.RemoveNode(node)
        if display is not None:
            slicer.mrmlScene.RemoveNode(display)


def differenceNode():
    """The segmentation node of the difference; None while none is shown."""
    scene, name = slicer.mrmlScene, "vtkMRMLSegmentationNode"
    nodes = (scene.GetNthNodeByClass(n, name) for n in range(scene.GetNumberOfNodesByClass(name)))
    return next((node for node in nodes if node.GetAttribute(DIFFERENCE_MARK)), None)


def _makeDifference(teacherNode, studentNode):
    if teacherNode is None or studentNode is None:
        raise LogicError(_("Segment the scan with the teacher and with the student first."))
    grid = _gridOf(studentNode)
    # What the teacher calls liver the student may call spleen, so that each side has a labelmap of its own.
    sides = [np.zeros(grid.shape_KJI, np.uint16) for _side in range(2)]
    segments: list[tuple[int, int, Organ]] = []
    for teacherId, studentId, organ in _pairs(teacherNode, studentNode):
        teacher_KJI, student_KJI = maskOf(teacherNode, teacherId, grid), maskOf(studentNode, studentId, grid)
        for side, (mask_KJI, look) in enumerate(
            (
                (teacher_KJI & ~student_KJI, (_("{organ}: only teacher"), ONLY_TEACHER_COLOR, "only_teacher")),
                (student_KJI & ~teacher_KJI, (_("{organ}: only student"), ONLY_STUDENT_COLOR, "only_student")),
            )
        ):
            if mask_KJI.any():
                value = len(segments) + 1
                sides[side][mask_KJI] = value
                segments.append((side, value, _differenceOrgan(organ, *look)))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", _("Teacher against student"))
    node.SetAttribute(DIFFERENCE_MARK, "1")
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(studentNode.GetTransformNodeID())
    local = np.linalg.inv(transformToWorld(studentNode)) @ grid.ijkToRas
    images = [orientedImage(side.astype(np.uint8) if len(segments) < 256 else side, local) for side in sides]
    for side, value, organ in segments:
        addSegment(node, organ, images[side], value)
    return node


def _differenceOrgan(organ: Organ, text: str, color: tuple[int, int, int], suffix: str) -> Organ:
    return Organ(id=f"{organ.id[:60]}_{suffix}", name=text.format(organ=organ.name), color=color)


def _pairs(teacherNode, studentNode):
    """Segment ids and the organ of what both know."""
    students = organsOf(studentNode)
    for teacherId, organ in organsOf(teacherNode).items():
        match = next((one for one, other in students.items() if other.same_as(organ)), None)
        if match is not None:
            yield teacherId, match, organ


def _gridOf(segmentationNode) -> Grid:
    """The grid of the scan that a segmentation belongs to, else of its first labelmap."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    reference = segmentationNode.GetNodeReference(role)
    if reference is not None:
        return worldGrid(reference)
    import vtk

    segmentation = segmentationNode.GetSegmentation()
    for n in range(segmentation.GetNumberOfSegments()):
        labelmap = segmentation.GetNthSegment(n).GetRepresentation("Binary labelmap")
        if labelmap is not None and not labelmap.IsEmpty():
            matrix = vtk.vtkMatrix4x4()
            labelmap.GetImageToWorldMatrix(matrix)
            extent = labelmap.GetExtent()
            shift = np.eye(4)
            shift[:3, 3] = extent[::2]
            shape_KJI = (extent[5] - extent[4] + 1, extent[3] - extent[2] + 1, extent[1] - extent[0] + 1)
            return Grid(shape_KJI, transformToWorld(segmentationNode) @ toArray(matrix) @ shift)
    raise LogicError(_("{segmentation} has no voxels.").format(segmentation=segmentationNode.GetName()))
