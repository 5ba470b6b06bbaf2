"""The Segment Editor's widget, driven as a module drives it, on the real logic."""

import numpy as np
import pytest
import qt
import slicer


@pytest.fixture
def editor(phantomVolume):
    """A widget with its editor node, an empty segmentation, and the phantom."""
    widget = slicer.qMRMLSegmentEditorWidget()
    widget.setMRMLScene(slicer.mrmlScene)
    widget.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn")
    segmentation.CreateDefaultDisplayNodes()
    widget.setSegmentationNode(segmentation)
    widget.setSourceVolumeNode(phantomVolume)
    yield widget
    widget.setMRMLSegmentEditorNode(None)
    widget.deleteLater()


def button(widget, name):
    return widget.findChild(qt.QAbstractButton, name)


def voxels(widget):
    node = widget.segmentationNode()
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, widget.currentSegmentID(), widget.sourceVolumeNode())


def test_a_segment_is_added_and_selected(editor):
    seen = []
    editor.connect("currentSegmentIDChanged(QString)", seen.append)
    button(editor, "AddSegmentButton").click()
    assert seen == [editor.currentSegmentID()] and seen[0]
    button(editor, "AddSegmentButton").click()
    table = editor.findChild(slicer.qMRMLSegmentsTableView, "SegmentsTableView")
    assert table.segmentCount == 2
    table.setSelectedSegmentIDs([seen[0]])
    assert editor.mrmlSegmentEditorNode().GetSelectedSegmentID() == seen[0]
    button(editor, "RemoveSegmentButton").click()
    assert table.segmentCount == 1


def test_nothing_can_be_added_without_a_source_volume(editor):
    editor.setSourceVolumeNode(None)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Other")
    editor.setSegmentationNode(segmentation)
    assert not button(editor, "AddSegmentButton").enabled


def test_paint_and_erase_where_they_are_told_to(editor):
    button(editor, "AddSegmentButton").click()
    editor.setActiveEffectByName("Paint")
    assert editor.activeEffect().name == "Paint"
    editor.activeEffect().paint((0, 0, 0), radius_mm=25)
    painted = voxels(editor)
    volume_mm3 = np.count_nonzero(painted) * np.prod(editor.sourceVolumeNode().GetSpacing())
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 25**3, rel=0.15)
    editor.setActiveEffectByName("Erase")
    editor.activeEffect().paint((0, 0, 0), radius_mm=12)
    assert 0 < np.count_nonzero(voxels(editor)) < np.count_nonzero(painted)


def test_undo_and_redo(editor):
    button(editor, "AddSegmentButton").click()
    editor.setActiveEffectByName("Paint")
    editor.activeEffect().paint((0, 0, 0), radius_mm=25)
    painted = np.count_nonzero(voxels(editor))
    button(editor, "UndoButton").click()
    assert np.count_nonzero(voxels(editor)) == 0
    button(editor, "RedoButton").click()
    assert np.count_nonzero(voxels(editor)) == painted


def test_threshold_takes_the_voxels_in_its_range(editor):
    button(editor, "AddSegmentButton").click()
    editor.setActiveEffectByName("Threshold")
    effect = editor.activeEffect()
    effect.setParameter("MinimumThreshold", "400")
    effect.setParameter("MaximumThreshold", "3000")
    effect.self().onApply()
    values = slicer.util.arrayFromVolume(editor.sourceVolumeNode())
    assert ((values >= 400) == voxels(editor).astype(bool)).all()
    assert editor.activeEffect() is None


def test_painting_does_not_overwrite_where_the_editor_says_so(editor):
    node = editor.mrmlSegmentEditorNode()
    for _ in range(2):
        button(editor, "AddSegmentButton").click()
    first, second = editor.segmentationNode().GetSegmentation().GetSegmentIDs()
    editor.setActiveEffectByName("Paint")
    for segment in (first, second):
        editor.setCurrentSegmentID(segment)
        editor.activeEffect().paint((0, 0, 0), radius_mm=20)
    assert np.count_nonzero(voxels(editor))
    editor.setCurrentSegmentID(first)
    assert np.count_nonzero(voxels(editor)) == 0
    node.SetOverwriteMode(node.OverwriteNone)
    editor.activeEffect().paint((0, 0, 0), radius_mm=20)
    assert np.count_nonzero(voxels(editor))
    editor.setCurrentSegmentID(second)
    assert np.count_nonzero(voxels(editor))


def test_a_segment_is_hidden_by_its_tick(editor):
    button(editor, "AddSegmentButton").click()
    table = editor.findChild(slicer.qMRMLSegmentsTableView, "SegmentsTableView")
    table.tableWidget().item(0, 0).setCheckState(qt.Qt.Unchecked)
    assert not editor.segmentationNode().GetDisplayNode().GetSegmentVisibility(editor.currentSegmentID())


def test_painting_works_on_an_oblique_volume(editor, obliquePhantomVolume):
    editor.setSegmentationNode(None)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Oblique")
    editor.setSourceVolumeNode(obliquePhantomVolume)
    editor.setSegmentationNode(segmentation)
    button(editor, "AddSegmentButton").click()
    editor.setActiveEffectByName("Paint")
    matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(obliquePhantomVolume))
    editor.activeEffect().paint((matrix @ [5, 10, 8, 1])[:3], radius_mm=3)
    assert np.argwhere(voxels(editor)).tolist() == [[8, 10, 5]]


def _ijk_to_ras(node):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_the_widget_lets_go_when_the_scene_is_closed(editor):
    button(editor, "AddSegmentButton").click()
    editor.setActiveEffectByName("Paint")
    slicer.mrmlScene.Clear(False)
    assert editor.mrmlSegmentEditorNode() is None
    assert editor.activeEffect() is None
    assert editor.segmentationNode() is None


def test_the_order_of_effects_can_be_limited(editor):
    editor.setEffectNameOrder(["Erase", "Paint"])
    editor.unorderedEffectsVisible = False
    assert button(editor, "Threshold").isHidden()
    assert not button(editor, "Paint").isHidden()
