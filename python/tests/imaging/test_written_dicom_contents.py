"""What written DICOM says: codes, the model, the patient and nothing else of the source; and what is refused."""

import logging
import warnings

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_results import MADE_BY, ORGANS, places, scan, written
from dicom_scan import ACCESSION, NAME, NEVER_COPIED, PATIENT_ID, write_scan
from dicom_series_files import series, write

from fuzz.dicom_bytes import BIG, EXPLICIT, IMPLICIT, RUN_LENGTHS
from organincrement.contract.labels import Code, Organ
from organincrement.imaging.dicom_source import read_source
from organincrement.imaging.dicom_writing import write_dicom_segmentation, write_dicom_uncertainty
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import read_image, read_stored
from organincrement.imaging.volume import Volume


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


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 144", "Люкceмбypг"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)
def test_names_in_any_letters_arrive_as_they_are(tmp_path, charset, name):
    more = {"SpecificCharacterSet": charset, "PatientName": name, "PatientID": "A\\B"}
    path, labels, _ = scan(tmp_path, **more)
    write_dicom_segmentation(tmp_path / "seg.dcm", labels, ORGANS, read_source(path), MADE_BY)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert str(file.PatientName) == name and list(file.PatientID) == ["A", "B"]
    assert file.SegmentSequence[2].SegmentLabel == "Drüse x"


def test_that_a_source_was_lossy_or_without_its_identity_is_said_on(tmp_path):
    more = {
        "LossyImageCompression": "01", "LossyImageCompressionRatio": 8.5, "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": ["first", "second"],
    }  # fmt: skip
    path, labels, _ = scan(tmp_path, **more)
    write_dicom_segmentation(tmp_path / "seg.dcm", labels, ORGANS, read_source(path), MADE_BY)
    file = pydicom.dcmread(tmp_path / "seg.dcm")
    assert {name: file[name].value for name in more} == more


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, RUN_LENGTHS])
def test_the_source_may_be_stored_in_any_way_that_is_read(tmp_path, syntax):
    path = write(series(syntax=syntax), tmp_path / "s")
    image = read_image(path)
    labels = image.with_array((image.array_DHW > np.median(image.array_DHW)).astype(np.uint8))
    write_dicom_segmentation(tmp_path / "seg.dcm", labels, ORGANS, read_source(path), MADE_BY)
    own = read_stored(tmp_path / "seg.dcm")
    assert places(own, own.array_DHW == 1) == places(labels, labels.array_DHW == 1)


def test_a_single_organ_is_one_segment_and_odd_codes_are_made_to_fit(tmp_path):
    path, labels, _ = scan(tmp_path)
    odd = Organ(
        id="x",
        name="n" * 70 + "ü",
        color=(0, 0, 0),
        category=Code("A" * 30, "1", "c"),
        type=Code("L", "v\\w", "m" * 99),
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
        write_dicom_segmentation(tmp_path / "seg.dcm", labels.with_array(labels.array_DHW * 0), ORGANS, source, MADE_BY)
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
