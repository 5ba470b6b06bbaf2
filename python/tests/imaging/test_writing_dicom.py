"""DICOM segmentations and parametric maps: every voxel where it was in the patient, in four readers' eyes."""

import logging
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_scan import ACCESSION, LYING, NAME, NEVER_COPIED, PATIENT_ID, write_enhanced, write_scan

from organincrement.contract.labels import Code, Organ
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.dicom_source import read_source
from organincrement.imaging.dicom_writing import MadeBy, write_dicom_segmentation, write_dicom_uncertainty
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.safe_read import read_image, read_stored
from organincrement.imaging.volume import Volume

ORGANS = {
    1: organ_from_name("kidney_left"),
    2: organ_from_name("spleen"),
    3: organ_from_name("liver tumour"),
    4: Organ(id="gland_of_nobody_s_list", name="Drüse\\x", color=(255, 0, 51)),
}
MADE_BY = MadeBy(model="a model \\ of ours", sha256="0123456789abcdef" * 4)
SCANS = [*LYING, "enhanced"]


def scan(folder, kind="oblique", **more):
    """A series, its labels and its uncertainty; the spleen has no voxel."""
    path = write_enhanced(folder / "one.dcm", **more) if kind == "enhanced" else write_scan(folder / "s", lying=kind, **more)  # noqa: E501
    image = read_image(path)
    labels_DHW = np.zeros(image.shape_DHW, np.uint8)
    labels_DHW[1:4, 1:3, 2:5] = 1
    labels_DHW[3:5, 3:, 1:] = 3
    labels_DHW[5, 0, 0] = 4
    percent_DHW = np.random.default_rng(1).integers(0, 101, image.shape_DHW).astype(np.uint8)
    return path, image.with_array(labels_DHW), image.with_array(percent_DHW)


def written(folder, kind="oblique", **more):
    path, labels, percent = scan(folder, kind, **more)
    source = read_source(path)
    left_out = write_dicom_segmentation(folder / "seg.dcm", labels, ORGANS, source, MADE_BY)
    write_dicom_uncertainty(folder / "map.dcm", percent, source, MADE_BY)
    assert left_out == ("Spleen",)
    return path, labels, percent


def points(volume, mask_DHW):
    """Of voxels, rounded to a micrometre, in the order of the array."""
    index_xyz = np.argwhere(mask_DHW)[:, ::-1]
    return np.round(index_xyz @ volume.affine[:3, :3].T + volume.affine[:3, 3], 3)


def places(volume, mask_DHW):
    """Where voxels lie, as a set."""
    return {tuple(place) for place in (points(volume, mask_DHW) + 0.0).tolist()}


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
        values |= dict(zip(map(tuple, points(grid, np.ones((1, *pixels_HW.shape))) + 0.0), pixels_HW.ravel(), strict=True))
    expected = zip(map(tuple, points(percent, percent.array_DHW >= 0) + 0.0), percent.array_DHW.ravel(), strict=True)
    assert values == dict(expected)


@pytest.mark.parametrize("kind", SCANS)
def test_highdicom_and_our_own_reader_find_the_same_voxels(tmp_path, kind):
    path, labels, percent = written(tmp_path, kind)
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


def test_segments_carry_codes_colours_and_the_model_behind_them(tmp_path):
    written(tmp_path)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    kidney, tumour, gland = file.SegmentSequence
    assert [item.SegmentLabel for item in file.SegmentSequence] == ["Left kidney", "Liver tumour", "Drüse x"]
    assert file.SegmentationType == "BINARY" and file.SegmentsOverlap == "NO"

    def codes(sequence):
        return [(c.CodingSchemeDesignator, c.get("CodeValue") or c.LongCodeValue, c.CodeMeaning) for c in sequence]

    assert codes(kidney.SegmentedPropertyCategoryCodeSequence) == [("SCT", "123037004", "Anatomical structure")]
    assert codes(kidney.SegmentedPropertyTypeCodeSequence) == [("SCT", "64033007", "Kidney")]
    modifiers = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
    assert codes(modifiers) == [("SCT", "7771000", "Left")]
    assert codes(tumour.SegmentedPropertyCategoryCodeSequence)[0][1] == "49755003"
    assert codes(tumour.AnatomicRegionSequence) == [("SCT", "10200004", "Liver")]
    private = [("99ORGANINCREMENT", "gland_of_nobody_s_list", "Drüse x")]
    assert codes(gland.SegmentedPropertyTypeCodeSequence) == private
    assert file.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99ORGANINCREMENT"
    for item, value in zip(file.SegmentSequence, (1, 3, 4), strict=True):
        lab = hd.color.CIELabColor.from_dicom_value(tuple(item.RecommendedDisplayCIELabValue))
        assert np.abs(np.subtract(lab.to_rgb(), ORGANS[value].color)).max() <= 1
        assert item.SegmentAlgorithmType == "AUTOMATIC"
        (algorithm,) = item.SegmentationAlgorithmIdentificationSequence
        assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("a model of ours", "package 0123456789abcdef")


def test_the_map_says_what_its_numbers_mean(tmp_path):
    written(tmp_path)
    file = pydicom.dcmread(tmp_path / "map.dcm")
    (mapping,) = file.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    unit = mapping.MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == ("%", "UCUM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    ends = mapping.DoubleFloatRealWorldValueFirstValueMapped, mapping.DoubleFloatRealWorldValueLastValueMapped
    assert ends == (0, 100) and "Entropy in per cent" in mapping.LUTExplanation
    assert file.ContentQualification == "RESEARCH" and "research use only" in file.SeriesDescription


def test_patient_and_study_are_carried_over_and_nothing_else_of_the_source(tmp_path):
    path, _, _ = written(tmp_path)
    source = pydicom.dcmread(next(path.iterdir()))
    for name in ("seg.dcm", "map.dcm"):
        file = pydicom.dcmread(tmp_path / name)
        assert (file.PatientName, file.PatientID, file.AccessionNumber) == (NAME, PATIENT_ID, ACCESSION)
        for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "StudyInstanceUID"):
            assert file[keyword].value == source[keyword].value
        assert file.ContentCreatorName == file.Manufacturer == "OrganIncrement"
        assert file.SeriesInstanceUID != source.SeriesInstanceUID
        data = (tmp_path / name).read_bytes()
        assert [text for text in NEVER_COPIED if text.encode() in data] == []


def test_strange_and_missing_values_of_the_patient_are_carried_over_in_silence(tmp_path, capfd, caplog):
    odd = {"PatientName": "Müller^Jörg" + "x" * 80, "PatientSex": "female", "StudyDate": "1999-1", "PatientID": None}
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("ignore")
        path, labels, _ = scan(tmp_path, **odd)
        caplog.clear()
        warnings.simplefilter("error")
        write_dicom_segmentation(tmp_path / "seg.dcm", labels, ORGANS, read_source(path), MADE_BY)
        assert capfd.readouterr() == ("", "") and not caplog.records
        warnings.simplefilter("ignore")
        file = pydicom.dcmread(tmp_path / "seg.dcm")
        assert (file.PatientName, file.PatientSex, file.StudyDate) == (odd["PatientName"], "female", "1999-1")
        assert file.PatientID == "" and file.SpecificCharacterSet == "ISO_IR 192"


def test_a_single_organ_is_one_segment_and_odd_codes_are_made_to_fit(tmp_path):
    path, labels, _ = scan(tmp_path)
    odd = Organ(
        id="x", name="n" * 70 + "ü", color=(0, 0, 0), category=Code("A" * 30, "1", "c"), type=Code("L", "v\\w", "m" * 99)
    )
    only = labels.with_array((labels.array_DHW == 3).astype(np.uint16))
    assert write_dicom_segmentation(tmp_path / "seg.dcm", only, {1: odd}, read_source(path), MADE_BY) == ()
    (segment,) = pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence
    assert segment.SegmentLabel == "n" * 64
    own = read_stored(tmp_path / "seg.dcm")
    assert places(own, own.array_DHW == 1) == places(labels, labels.array_DHW == 3)


def moved(volume, *, shift_mm=0.0, spacing=1.0, drop=0):
    spacing_mm = (volume.spacing_mm[0] * spacing, *volume.spacing_mm[1:])
    x, y, z = volume.origin_mm
    return Volume(volume.array_DHW[drop:], spacing_mm, (x + shift_mm, y, z), volume.direction)


@pytest.mark.parametrize("change", [{"shift_mm": 0.5}, {"spacing": 1.05}, {"drop": 1}])
def test_another_series_than_the_segmented_one_is_refused_and_nothing_written(tmp_path, change):
    path, labels, percent = scan(tmp_path)
    source = read_source(path)
    with pytest.raises(ImageError, match=r"is not the series that was segmented: .* give the series of this scan"):
        write_dicom_segmentation(tmp_path / "seg.dcm", moved(labels, **change), ORGANS, source, MADE_BY)
    with pytest.raises(ImageError, match="is not the series that was segmented"):
        write_dicom_uncertainty(tmp_path / "map.dcm", moved(percent, **change), source, MADE_BY)
    assert [item.name for item in tmp_path.iterdir()] == ["s"]


def test_nothing_to_write_and_values_that_are_no_per_cent_are_refused(tmp_path):
    path, labels, percent = scan(tmp_path)
    source = read_source(path)
    with pytest.raises(ImageError, match="no voxel of any organ"):
        write_dicom_segmentation(
            tmp_path / "seg.dcm", labels.with_array(labels.array_DHW * 0), ORGANS, source, MADE_BY
        )
    with pytest.raises(ImageError, match="outside 0 to 100"):
        write_dicom_uncertainty(
            tmp_path / "map.dcm", percent.with_array(percent.array_DHW + np.float32(0.5)), source, MADE_BY
        )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"FrameOfReferenceUID": None}, "FrameOfReferenceUID"),
        ({"StudyInstanceUID": None}, "StudyInstanceUID"),
        ({"SOPInstanceUID": "1.2.3"}, "one SOPInstanceUID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1"}, "kind of image"),
    ],
)
def test_a_series_that_nothing_can_refer_to_is_refused(tmp_path, change, says):
    if change.get("SOPInstanceUID", "") is None:
        return
    path = write_scan(tmp_path / "s", **change)
    with pytest.raises(ImageError, match=says):
        read_source(path)


def test_what_is_no_dicom_series_is_refused_with_what_is_missing(tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"x" * 400)
    with pytest.raises(ImageError, match=r"scan\.nii\.gz: is no DICOM series.*give the folder"):
        read_source(tmp_path / "scan.nii.gz")
    with pytest.raises(ImageError, match="holds no DICOM slices"):
        read_source(tmp_path)


def test_the_library_s_own_words_do_not_reach_the_user(tmp_path, monkeypatch):
    path, labels, _ = scan(tmp_path)
    source = read_source(path)

    def failing(**_):
        raise KeyError(f"bad value {NAME}")

    monkeypatch.setattr(hd.seg, "Segmentation", failing)
    with pytest.raises(ImageError, match=r"seg\.dcm: cannot be made of this series \(KeyError\)") as refusal:
        write_dicom_segmentation(tmp_path / "seg.dcm", labels, ORGANS, source, MADE_BY)
    assert NAME not in str(refusal.value) and not (tmp_path / "seg.dcm").exists()
