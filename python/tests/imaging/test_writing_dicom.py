"""DICOM segmentations and parametric maps: every voxel where it was in the patient, in four readers' eyes."""

import shutil
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_results import MADE_BY, ORGANS, SCANS, places, points, scan, written

from organincrement.imaging.dicom_source import read_source
from organincrement.imaging.dicom_writing import write_dicom_segmentation, write_dicom_uncertainty
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.safe_read import read_stored
from organincrement.imaging.volume import Volume


def frame_grid(file, frame):
    """The plane of a frame as a volume of one slice, from what the file itself says."""
    shared = file.SharedFunctionalGroupsSequence[0]
    rows, columns = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    origin = tuple(map(float, frame.PlanePositionSequence[0].ImagePositionPatient))
    direction = np.column_stack([rows, columns, np.cross(rows, columns)])
    return Volume(np.zeros((1, file.Rows, file.Columns)), (1.0, row_mm, column_mm), origin, direction)


@pytest.mark.parametrize("kind", SCANS)
def test_every_frame_lies_on_the_slice_that_it_names_and_holds_its_voxels(tmp_path, kind):
    path, labels, percent = written(tmp_path, kind)
    sources = [pydicom.dcmread(file) for file in (path.iterdir() if path.is_dir() else [path])]
    by_uid = {source.SOPInstanceUID: source for source in sources}
    segmentation = pydicom.dcmread(tmp_path / "seg.dcm")
    found = {number: set() for number in (1, 2, 3)}
    for frame, pixels_HW in zip(
        segmentation.PerFrameFunctionalGroupsSequence, segmentation.pixel_array, strict=True
    ):  # fmt: skip
        (derived,) = frame.DerivationImageSequence[0].SourceImageSequence
        source = by_uid[derived.ReferencedSOPInstanceUID]
        if kind == "enhanced":
            source = source.PerFrameFunctionalGroupsSequence[derived.ReferencedFrameNumber - 1].PlanePositionSequence[0]
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(place, source.ImagePositionPatient, rtol=0, atol=1e-9)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[number] |= places(frame_grid(segmentation, frame), pixels_HW[None])
    assert found == {number: places(labels, labels.array_DHW == value) for number, value in ((1, 1), (2, 3), (3, 4))}
    (series,) = segmentation.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == sources[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == set(by_uid)
    assert segmentation.FrameOfReferenceUID == sources[0].FrameOfReferenceUID
    read = pydicom.dcmread(tmp_path / "map.dcm")
    assert read.NumberOfFrames == labels.shape_DHW[0]
    values = {}
    for frame, pixels_HW in zip(read.PerFrameFunctionalGroupsSequence, read.pixel_array, strict=True):
        grid = frame_grid(read, frame)
        here = map(tuple, points(grid, np.ones((1, *pixels_HW.shape))) + 0.0)
        values |= dict(zip(here, pixels_HW.ravel(), strict=True))
    expected = zip(map(tuple, points(percent, percent.array_DHW >= 0) + 0.0), percent.array_DHW.ravel(), strict=True)
    assert values == dict(expected)


@pytest.mark.parametrize("kind", SCANS)
def test_highdicom_and_our_own_reader_find_the_same_voxels(tmp_path, kind):
    _, labels, percent = written(tmp_path, kind)
    numbers = np.array([0, 1, 0, 2, 3], np.uint8)[labels.array_DHW]
    own = read_stored(tmp_path / "seg.dcm")
    assert {value: places(own, own.array_DHW == value) for value in (1, 2, 3)} == {
        value: places(labels, numbers == value) for value in (1, 2, 3)
    }
    volume = hd.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    for value in (1, 2, 3):
        index = np.argwhere(volume.array == value)
        found = np.round(volume.map_indices_to_reference(index), 3) + 0.0
        assert {tuple(place) for place in found.tolist()} == places(labels, numbers == value)
    volume = hd.imread(tmp_path / "map.dcm").get_volume(apply_real_world_transform=True)
    found = np.round(volume.map_indices_to_reference(np.argwhere(volume.array >= 0)), 3) + 0.0
    expected = zip(map(tuple, points(percent, percent.array_DHW >= 0) + 0.0), percent.array_DHW.ravel(), strict=True)
    assert dict(zip(map(tuple, found), volume.array.ravel(), strict=True)) == dict(expected)


def dcmqi(program, file, out):
    """What a program of dcmqi makes of a file, and where it lies."""
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        pytest.skip(f"dcmqi's {program} is not installed: there is no build of it for this system")
    out.mkdir()
    merging = ["--mergeSegments"] if program.startswith("seg") else []
    command = [found, "--inputDICOM", file, "--outputDirectory", out, "--outputType", "nrrd", *merging]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (image,) = out.glob("*.nrrd")
    return read_stored(image), (out / "meta.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", SCANS)
def test_dcmqi_reads_voxels_places_and_codes(tmp_path, kind):
    _, labels, percent = written(tmp_path, kind)
    image, meta = dcmqi("segimage2itkimage", tmp_path / "seg.dcm", tmp_path / "segments")
    numbers = np.array([0, 1, 0, 2, 3], np.uint8)[labels.array_DHW]
    for value in (1, 2, 3):
        assert places(image, image.array_DHW == value) == places(labels, numbers == value)
    for text in ("64033007", "7771000", "108369006", "10200004", "gland_of_nobody_s_list", "Left kidney", "AUTOMATIC"):
        assert f'"{text}"' in meta
    image, meta = dcmqi("paramap2itkimage", tmp_path / "map.dcm", tmp_path / "map")
    assert places(image, image.array_DHW > 90) == places(percent, percent.array_DHW > 90)
    assert image.array_DHW.sum() == percent.array_DHW.sum() and '"CodeValue" : "%"' in meta


@pytest.mark.parametrize("turned", ["LPS", "RAS", "SLA", "PIR"])
@pytest.mark.parametrize("kind", ["feet first", "oblique", "enhanced"])
def test_a_result_whose_axes_run_another_way_lands_at_the_same_places(tmp_path, kind, turned):
    path, labels, percent = scan(tmp_path, kind)
    source = read_source(path)
    write_dicom_segmentation(tmp_path / "seg.dcm", to_orientation(labels, turned), ORGANS, source, MADE_BY)
    write_dicom_uncertainty(tmp_path / "map.dcm", to_orientation(percent, turned), source, MADE_BY)
    own = read_stored(tmp_path / "seg.dcm")
    for number, value in ((1, 1), (2, 3), (3, 4)):
        assert places(own, own.array_DHW == number) == places(labels, labels.array_DHW == value)
    volume = hd.imread(tmp_path / "map.dcm").get_volume()
    found = np.round(volume.map_indices_to_reference(np.argwhere(volume.array > 50)), 3) + 0.0
    assert {tuple(place) for place in found.tolist()} == places(percent, percent.array_DHW > 50)
