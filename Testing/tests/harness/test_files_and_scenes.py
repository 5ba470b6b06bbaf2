"""Volumes, segmentations and scenes on disk; what the application tells of itself; sample data."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import SampleData
import slicer
import vtk

TERMINOLOGY = (
    "Segmentation category and type - 3D Slicer General Anatomy list"
    "~SCT^85756007^Tissue~SCT^10200004^Liver~^^~Anatomic codes - DICOM master list~^^~^^"
)


def named(segmentation):
    """Name, colour, terminology and voxels of its first segment."""
    segment = segmentation.GetSegmentation().GetNthSegment(0)
    identifier = segmentation.GetSegmentation().GetNthSegmentID(0)
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, identifier, slicer.util.getNode("Phantom"))
    color = tuple(round(value, 3) for value in segment.GetColor())
    return segment.GetName(), color, segment.GetTerminology(), int(np.count_nonzero(voxels))


@pytest.fixture
def liver(phantomSegmentation):
    """The phantom's segmentation with a terminology."""
    phantomSegmentation.GetSegmentation().GetSegment("liver").SetTerminology(TERMINOLOGY)
    return phantomSegmentation


def test_a_segmentation_keeps_names_colours_and_terminology_in_its_file(liver, tmp_path):
    before = named(liver)
    assert slicer.util.saveNode(liver, str(tmp_path / "liver.seg.nrrd"))
    assert named(slicer.util.loadSegmentation(str(tmp_path / "liver.seg.nrrd"))) == before
    assert before[2] == TERMINOLOGY and before[3] > 100


def test_a_scene_keeps_names_colours_and_terminology_in_its_bundle(liver, phantomVolume, tmp_path):
    before, values = named(liver), slicer.util.arrayFromVolume(phantomVolume).copy()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(False)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert named(slicer.util.getNode("Phantom segmentation")) == before
    assert (slicer.util.arrayFromVolume(slicer.util.getNode("Phantom")) == values).all()
    composite = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == slicer.util.getNode("Phantom").GetID()


def test_a_scene_is_saved_into_a_folder(phantomVolume, tmp_path):
    assert slicer.util.saveScene(str(tmp_path / "scene"))
    assert list((tmp_path / "scene").rglob("*.nrrd"))


def test_a_truncated_file_is_not_loaded(tmp_path, expectErrors):
    expectErrors("")
    (tmp_path / "broken.nrrd").write_bytes(b"NRRD0004\ntype: short\n")
    with pytest.raises(RuntimeError):
        slicer.util.loadVolume(str(tmp_path / "broken.nrrd"))


def test_all_slices_jump_to_a_point(phantomVolume):
    jump = slicer.vtkMRMLSliceNode
    jump.JumpAllSlices(slicer.mrmlScene, 12.0, -7.0, 30.0, jump.OffsetJumpSlice)
    for name in ("Red", "Green", "Yellow"):
        matrix = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
        normal, origin = (np.array([matrix.GetElement(row, c) for row in range(3)]) for c in (2, 3))
        assert normal @ (origin - [12, -7, 30]) == pytest.approx(0, abs=1e-6)


def test_a_colour_legend_is_drawn_beside_the_volume(phantomVolume):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    before = view.pixels()
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(phantomVolume)
    legend.SetTitleText("HU")
    after = view.pixels()
    assert (before != after).any(axis=2).mean() > 0.003


def test_terminologies_are_written_and_read(liver):
    logic, entry = slicer.modules.terminologies.logic(), slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(TERMINOLOGY, entry)
    assert entry.GetTypeObject().GetCodeMeaning() == "Liver"
    assert logic.SerializeTerminologyEntry(entry) == TERMINOLOGY


def test_pythonslicer_is_the_python_of_the_tests():
    program = Path(slicer.app.slicerHome) / "bin" / "PythonSlicer"
    if not program.exists():
        pytest.skip("on Windows a stand-in for PythonSlicer.exe cannot be written as a text")
    done = subprocess.run(
        [program, "-c", "import numpy; print(6 * 7)"], capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == "42"


def test_the_environment_of_the_start_is_known(monkeypatch):
    environment = slicer.util.startupEnvironment()
    assert environment["PATH"]
    assert all(isinstance(value, str) for value in environment.values())


def test_sample_data_made_by_a_module_is_loaded():
    def made(source):
        return [slicer.util.addVolumeFromArray(np.zeros((2, 3, 4)), name=source.nodeNames[0])]

    for _ in range(2):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="Harness", sampleName="HarnessPhantom", uris="https://nowhere.invalid/x", fileNames="x.nrrd",
            nodeNames="Made here", customDownloader=made,
        )  # fmt: skip
    assert len(slicer.modules.sampleDataSources["Harness"]) == 1
    assert SampleData.downloadSample("HarnessPhantom").GetName() == "Made here"


def test_sample_data_is_checked_and_never_fetched(phantomVolume, tmp_path):
    slicer.util.saveNode(phantomVolume, str(tmp_path / "p.nrrd"))
    uri = (tmp_path / "p.nrrd").as_uri()
    logic = SampleData.SampleDataLogic()
    nodes = logic.downloadFromURL(uris=uri, fileNames="p.nrrd", nodeNames="From file")
    assert nodes[0].GetName() == "From file"
    with pytest.raises(ValueError, match="checksum"):
        logic.downloadFromURL(uris=uri, fileNames="p.nrrd", nodeNames="x", checksums="SHA256:00")
    with pytest.raises(RuntimeError, match="nothing is downloaded"):
        logic.downloadFromURL(uris="https://nowhere.invalid/p.nrrd", fileNames="p.nrrd", nodeNames="x")
    with pytest.raises(TypeError):
        logic.registerCustomSampleDataSource(sampleName="no URIs", customDownloader=print)


def test_the_subject_hierarchy_offers_its_items(phantomVolume, phantomSegmentation):
    box, seen = slicer.qMRMLSubjectHierarchyComboBox(), []
    box.nodeTypes = ["vtkMRMLSegmentationNode"]
    box.setMRMLScene(slicer.mrmlScene)
    box.connect("currentItemChanged(vtkIdType)", seen.append)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for node in (phantomVolume, phantomSegmentation):  # in the application its plugins do that
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
    item = hierarchy.GetItemByDataNode(phantomSegmentation)
    box.choose("Phantom segmentation")
    assert seen == [item] and box.currentItem() == item
    with pytest.raises(ValueError, match="No entry"):
        box.choose("Phantom")
    hierarchy.RemoveAllItems()


def test_a_linear_transform_moves_what_is_drawn(phantomVolume):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    before = view.pixels().astype(int)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 40)
    transform.SetMatrixTransformToParent(matrix)
    phantomVolume.SetAndObserveTransformNodeID(transform.GetID())
    assert (view.pixels().astype(int) != before).any()
