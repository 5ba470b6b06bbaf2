"""Results of the engine in the scene: right names, colours, codes, and every voxel on its scan."""

import shutil

import numpy as np
import pytest
import slicer

from fixtures.phantoms import addPhantom, liverMask, obliqueDirections
from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.safe_read import read_image
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti, write_segmentation, write_volume
from OrganIncrementLib.Logics import ResultLoader, Terminology
from OrganIncrementLib.Logics.CaseLabels import IGNORED_ID
from OrganIncrementLib.Logics.Grid import localGrid, toMatrix, worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentMasks import maskOf, segmentIds
from OrganIncrementLib.Logics.VolumeExport import exportVolume

ORGANS = tuple(organ_from_name(name) for name in ("liver", "left kidney", "liver tumour", "thing of mine"))


def engineLabels(node, tmp_path):
    """Labels on the grid that the engine reads from the exported volume."""
    exportVolume(node, tmp_path / "scan.nrrd")
    image = read_image(tmp_path / "scan.nrrd")
    labels_DHW = np.zeros(image.shape_DHW, np.uint8)
    labels_DHW[liverMask(image.shape_DHW)] = 1
    labels_DHW[2:5, 3:9, 20:30] = 2
    labels_DHW[10, 14, 12] = 3
    return image.with_array(labels_DHW)


@pytest.fixture
def caseFolder(tmp_path, obliquePhantomVolume):
    """A result folder for the oblique phantom, written by the engine's own writers; the fourth organ has no voxel."""
    folder = tmp_path / "case"
    folder.mkdir()
    labels = engineLabels(obliquePhantomVolume, tmp_path)
    write_segmentation(folder / "segmentation.seg.nrrd", labels, LabelSpace(ORGANS))
    uncertainty = np.random.default_rng(1).integers(0, 101, labels.shape_DHW).astype(np.uint8)
    write_volume(folder / "uncertainty.nrrd", labels.with_array(uncertainty))
    return folder


def assertSegments(node, labels_DHW, volume):
    """All of ORGANS, in their order, with their looks, and the voxels of the labels."""
    segmentation = node.GetSegmentation()
    assert segmentIds(node) == tuple(organ.id for organ in ORGANS)
    for value, organ in enumerate(ORGANS, 1):
        segment = segmentation.GetSegment(organ.id)
        assert segment.GetName() == organ.name
        assert tuple(round(part * 255) for part in segment.GetColor()) == organ.color
        assert Terminology.organOf(segment) == organ
        assert np.array_equal(maskOf(node, organ.id, worldGrid(volume)), labels_DHW == value)


def labelsOf(caseFolder):
    return read_labels(caseFolder / "segmentation.seg.nrrd")


def read_labels(path):
    return read_image(path).array_DHW.astype(np.uint8)


def test_segmentation_of_an_oblique_scan_lies_on_it(caseFolder, obliquePhantomVolume):
    node = ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "By the teacher")
    assert node.GetName() == "By the teacher"
    assertSegments(node, labelsOf(caseFolder), obliquePhantomVolume)
    # as Slicer sees it, too
    mask_KJI = slicer.util.arrayFromSegmentBinaryLabelmap(node, "liver", obliquePhantomVolume)
    assert np.array_equal(mask_KJI != 0, labelsOf(caseFolder) == 1)
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is obliquePhantomVolume
    assert node.GetSegmentation().GetNumberOfLayers() == 1


def test_segmentation_is_the_one_that_slicer_itself_reads(caseFolder, obliquePhantomVolume):
    """Our reader against vtkMRMLSegmentationStorageNode: names, colours, terminology and voxels."""
    ours = ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "Ours").GetSegmentation()
    theirs = slicer.util.loadSegmentation(str(caseFolder / "segmentation.seg.nrrd"))
    for organ in ORGANS:
        a, b = ours.GetSegment(organ.id), theirs.GetSegmentation().GetSegment(organ.id)
        assert a.GetName() == b.GetName()
        assert a.GetColor() == pytest.approx(b.GetColor(), abs=1e-3)
        if organ.type is not None:
            assert Terminology._tag(a, "TerminologyEntry") == Terminology._tag(b, "TerminologyEntry")
        assert Terminology.organOf(b) == organ
        mask_KJI = slicer.util.arrayFromSegmentBinaryLabelmap(theirs, organ.id, obliquePhantomVolume)
        if mask_KJI is not None:
            assert np.array_equal(mask_KJI != 0, labelsOf(caseFolder) == ORGANS.index(organ) + 1)


def test_scan_under_a_transform_gets_its_results_under_it_too(tmp_path, obliquePhantomVolume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, :3] = 1.25 * obliqueDirections()
    matrix[:3, 3] = (10, 20, 30)
    transform.SetMatrixTransformToParent(toMatrix(matrix))
    obliquePhantomVolume.SetAndObserveTransformNodeID(transform.GetID())
    labels = engineLabels(obliquePhantomVolume, tmp_path)
    write_segmentation(tmp_path / "segmentation.seg.nrrd", labels, LabelSpace(ORGANS))
    write_volume(tmp_path / "uncertainty.nrrd", labels)
    node = ResultLoader.loadSegmentation(tmp_path, obliquePhantomVolume, "Result")
    assert node.GetTransformNodeID() == transform.GetID()
    assertSegments(node, labels.array_DHW, obliquePhantomVolume)
    uncertainty = ResultLoader.loadUncertainty(tmp_path, obliquePhantomVolume, "Uncertainty")
    assert worldGrid(uncertainty).difference(worldGrid(obliquePhantomVolume)) == ""
    mask_KJI = slicer.util.arrayFromSegmentBinaryLabelmap(node, "liver", obliquePhantomVolume)
    assert np.array_equal(mask_KJI != 0, labels.array_DHW == 1)


def test_uncertainty_has_the_values_and_the_grid_of_the_scan(caseFolder, obliquePhantomVolume):
    node = ResultLoader.loadUncertainty(caseFolder, obliquePhantomVolume, "Uncertainty")
    read = read_image(caseFolder / "uncertainty.nrrd")
    assert np.array_equal(slicer.util.arrayFromVolume(node), read.array_DHW)
    assert np.array_equal(localGrid(node).ijkToRas, localGrid(obliquePhantomVolume).ijkToRas)
    assert node.GetName() == "Uncertainty"


@pytest.mark.parametrize("moved_mm, isRefused", [(0.0, False), (0.005, False), (0.007, True), (6.0, True)])
def test_result_of_another_grid_is_refused_from_a_thousandth_of_a_voxel(
    caseFolder, obliquePhantomVolume, moved_mm, isRefused
):
    r, a, s = obliquePhantomVolume.GetOrigin()
    obliquePhantomVolume.SetOrigin(r + moved_mm, a, s)
    if not isRefused:
        ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "Result")
        return
    for load in (ResultLoader.loadSegmentation, ResultLoader.loadUncertainty):
        with pytest.raises(LogicError, match=r"not on the grid of Oblique phantom \(voxels lie up to .* mm apart\)"):
            load(caseFolder, obliquePhantomVolume, "Result")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_result_of_another_size_is_refused_with_both_sizes(caseFolder):
    other = addPhantom("Other", obliqueDirections(), (20, 28, 31))
    with pytest.raises(LogicError, match="32×28×20 voxels against 31×28×20"):
        ResultLoader.loadSegmentation(caseFolder, other, "Result")


def test_damaged_files_are_refused_in_one_line_and_leave_no_node(caseFolder, obliquePhantomVolume):
    path = caseFolder / "segmentation.seg.nrrd"
    whole = path.read_bytes()
    end = whole.index(b"\n\n") + 2
    flipped = bytearray(whole)
    flipped[(end + len(whole)) // 2] ^= 0xFF
    noSegments = whole[:end].replace(b"Segment0_ID", b"Seg_ment0_I") + whole[end:]
    badColor = whole.replace(b"Segment1_Color:=", b"Segment1_Color:=red ")
    huge = whole.replace(b"sizes: 32 28 20", b"sizes: 900000 900000 9000")
    for content in (
        b"",
        b"NRRD0004\n",
        whole[: end - 40],
        whole[:-60],
        bytes(flipped),
        noSegments,
        badColor,
        huge,
        b"no",
    ):
        path.write_bytes(content)
        with pytest.raises(LogicError) as caught:
            ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "Result")
        assert "segmentation.seg.nrrd" in str(caught.value)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(LogicError, match=r"segmentation.seg.nrrd is not there"):
        ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "Result")
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_regions_are_read_and_damaged_ones_refused(engineWorld, tmp_path):
    regions = ResultLoader.loadRegions(engineWorld.result)
    assert all(region.volume_mm3 > 0 for region in regions)
    assert ResultLoader.loadRegions(tmp_path) == ()
    (tmp_path / "regions.json").write_text("{", encoding="utf-8")
    with pytest.raises(LogicError, match=r"regions.json"):
        ResultLoader.loadRegions(tmp_path)


def test_what_the_real_engine_wrote_is_loaded(engineWorld):
    volume = ResultLoader.loadImage(engineWorld.scan)
    node = ResultLoader.loadSegmentation(engineWorld.studentResult, volume, "Student")
    assert segmentIds(node) == ("liver", "spleen", "stomach")
    labels_DHW = read_labels(engineWorld.studentResult / "segmentation.seg.nrrd")
    for value, segmentId in enumerate(segmentIds(node), 1):
        assert np.array_equal(maskOf(node, segmentId, worldGrid(volume)), labels_DHW == value)
    uncertainty = ResultLoader.loadUncertainty(engineWorld.studentResult, volume, "Uncertainty")
    assert 0 <= slicer.util.arrayFromVolume(uncertainty).max() <= 100


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_label_of_a_dataset_is_loaded_with_every_organ(tmp_path, obliquePhantomVolume, ending):
    labels = engineLabels(obliquePhantomVolume, tmp_path)
    path = tmp_path / f"label{ending}"
    (write_nifti if ending == ".nii.gz" else write_volume)(path, labels)
    node = ResultLoader.loadLabel(path, ORGANS, obliquePhantomVolume)
    assertSegments(node, labels.array_DHW, obliquePhantomVolume)


def test_voxels_nobody_looked_at_are_a_segment_of_their_own(tmp_path, obliquePhantomVolume):
    labels = engineLabels(obliquePhantomVolume, tmp_path)
    array_DHW = labels.array_DHW.copy()
    array_DHW[-3:] = 255
    write_volume(tmp_path / "label.nrrd", labels.with_array(array_DHW))
    node = ResultLoader.loadLabel(tmp_path / "label.nrrd", ORGANS, obliquePhantomVolume)
    assert segmentIds(node) == (*(organ.id for organ in ORGANS), IGNORED_ID)
    assert np.array_equal(maskOf(node, IGNORED_ID, worldGrid(obliquePhantomVolume)), array_DHW == 255)
    assert np.array_equal(maskOf(node, "liver", worldGrid(obliquePhantomVolume)), array_DHW == 1)


@pytest.mark.parametrize("value, words", [(9, "label values 9"), (-1, "no labels"), (0.5, "no labels")])
def test_label_with_other_values_is_refused(tmp_path, obliquePhantomVolume, value, words):
    labels = engineLabels(obliquePhantomVolume, tmp_path)
    array_DHW = labels.array_DHW.astype(np.float32)
    array_DHW[0, 0, 0] = value
    write_volume(tmp_path / "label.nrrd", labels.with_array(array_DHW))
    with pytest.raises(LogicError, match=words):
        ResultLoader.loadLabel(tmp_path / "label.nrrd", ORGANS, obliquePhantomVolume)


def test_label_of_64_bit_numbers_is_loaded(tmp_path, obliquePhantomVolume):
    labels = engineLabels(obliquePhantomVolume, tmp_path)
    write_nifti(tmp_path / "label.nii.gz", labels.with_array(labels.array_DHW.astype(np.int64)))
    node = ResultLoader.loadLabel(tmp_path / "label.nii.gz", ORGANS, obliquePhantomVolume)
    assertSegments(node, labels.array_DHW, obliquePhantomVolume)
    image = ResultLoader.loadImage(tmp_path / "label.nii.gz")
    assert np.array_equal(slicer.util.arrayFromVolume(image), labels.array_DHW)


def test_scene_saved_and_loaded_keeps_names_colours_and_terminology(caseFolder, obliquePhantomVolume, tmp_path):
    labels_DHW = labelsOf(caseFolder)
    ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "Result")
    before = (caseFolder / "segmentation.seg.nrrd").read_bytes()
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    slicer.mrmlScene.Clear(False)
    shutil.copytree(caseFolder, tmp_path / "kept")
    shutil.rmtree(caseFolder)  # the bundle holds all it needs
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False)
    node = slicer.util.getNode("Result")
    assertSegments(node, labels_DHW, slicer.util.getNode("Oblique phantom"))
    assert (tmp_path / "kept" / "segmentation.seg.nrrd").read_bytes() == before


def test_big_result_is_loaded_within_two_seconds(tmp_path, slicerApp):
    import time

    volume = slicer.util.addVolumeFromArray(np.zeros((100, 512, 512), np.int16))
    labels_DHW = np.zeros((100, 512, 512), np.uint8)
    labels_DHW[10:90, 100:400, 100:400] = 1
    lps = Volume(labels_DHW, (1, 1, 1), (0, 0, 0), np.diag([-1.0, -1, 1]))
    write_segmentation(tmp_path / "segmentation.seg.nrrd", lps, LabelSpace(ORGANS))
    started = time.process_time()
    ResultLoader.loadSegmentation(tmp_path, volume, "Big")
    assert time.process_time() - started < 2


def test_segmentation_with_more_values_than_organs_or_two_of_one_id_is_refused(caseFolder, obliquePhantomVolume):
    path = caseFolder / "segmentation.seg.nrrd"
    whole = path.read_bytes()
    fewer = b"\n".join(line for line in whole.split(b"\n\n", 1)[0].split(b"\n") if not line.startswith(b"Segment3_"))
    fewer = b"\n".join(line for line in fewer.split(b"\n") if not line.startswith(b"Segment2_"))
    twice = whole.replace(b"Segment1_ID:=kidney_left", b"Segment1_ID:=liver")
    for content in (fewer + b"\n\n" + whole.split(b"\n\n", 1)[1], twice):
        path.write_bytes(content)
        with pytest.raises(LogicError, match="does not say what its segments are"):
            ResultLoader.loadSegmentation(caseFolder, obliquePhantomVolume, "Result")
