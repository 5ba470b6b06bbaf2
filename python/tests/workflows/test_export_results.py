"""Results in other formats: what is written, what is refused in one line, and that half of it never stays."""

import errno
import importlib.util
import json
import shutil

import nibabel
import numpy as np
import pydicom
import pytest
from dicom_scan import ACCESSION, NAME, PATIENT_ID, write_enhanced, write_scan
from tiny_models import organs

from organincrement.contract import codec
from organincrement.contract.results import LabelTable, SegmentReport
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.safe_read import read_image, read_labels, read_stored
from organincrement.imaging.writing import write_segmentation, write_volume
from organincrement.workflows import export_results as module
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.export_results import ExportRequest, export_results
from organincrement.workflows.input_hash import input_sha256

SPACE = organs("liver", "spleen", "liver tumour")


@pytest.fixture
def series(tmp_path):
    return write_scan(tmp_path / "series", lying="oblique")


def write_result(folder, scan, *, turn="", uncertain=True, empty=False, report=True, dicom=True):
    """A folder as `segment` writes it; the spleen has no voxel."""
    folder.mkdir()
    image = read_image(scan)
    labels_DHW = np.zeros(image.shape_DHW, np.uint8)
    if not empty:
        labels_DHW[1:4, 1:4, 1:5], labels_DHW[2, 2, 2] = 1, 3
    labels = image.with_array(labels_DHW)
    percent = image.with_array(np.arange(labels_DHW.size).reshape(labels_DHW.shape).astype(np.uint32) % 101)
    percent = percent.with_array(percent.array_DHW.astype(np.uint8))
    if turn:
        labels, percent = to_orientation(labels, turn), to_orientation(percent, turn)
    write_segmentation(folder / "segmentation.seg.nrrd", labels, SPACE)
    if uncertain:
        write_volume(folder / "uncertainty.nrrd", percent)
    if report:
        made = SegmentReport(
            model="tiny", model_sha256="ab" * 32, input_sha256=input_sha256(scan), organs=(), seconds=1.0, device="CPU",
            versions={}, input_is_dicom=dicom,
        )  # fmt: skip
        codec.write(made, folder / "report.json")
    return folder


def dicom_request(result, out, series, **more):
    return ExportRequest(result=result, out=out, format="dicom-seg", series=series, **more)


def test_a_nifti_export_says_what_each_of_its_values_is(series, tmp_path):
    result = write_result(tmp_path / "result", series)
    files = export_results(ExportRequest(result=result, out=tmp_path / "out", format="nifti"))
    assert [file.name for file in files] == ["labels.json", "segmentation.nii.gz"]
    assert sorted(item.name for item in (tmp_path / "out").iterdir()) == ["labels.json", "segmentation.nii.gz"]
    labels = read_labels(result / "segmentation.seg.nrrd", allowed=[1, 2, 3])
    assert np.array_equal(read_labels(files[1], allowed=[1, 2, 3], like=labels).array_DHW, labels.array_DHW)
    stored = nibabel.load(files[1])
    assert stored.get_data_dtype() == np.uint8
    table = codec.read(LabelTable, files[0])
    assert [(item.value, item.organ.id) for item in table.labels] == [(1, "liver"), (2, "spleen"), (3, "liver_tumour")]
    liver = json.loads(files[0].read_text(encoding="utf-8"))["labels"][0]["organ"]
    assert liver["name"] == "Liver" and liver["color"] == [221, 130, 101]
    assert liver["type"] == {"scheme": "SCT", "value": "10200004", "meaning": "Liver"}


@pytest.mark.parametrize("turn", ["", "RAS", "SLA"])
def test_a_dicom_export_lands_on_the_scan_whatever_way_the_result_s_axes_run(series, tmp_path, turn):
    result = write_result(tmp_path / "result", series, turn=turn)
    said = []
    files = export_results(dicom_request(result, tmp_path / "out", series, notice=said.append))
    assert [file.name for file in files] == ["segmentation.dcm", "uncertainty.dcm"]
    assert said == ["no voxel of Spleen: left out of segmentation.dcm"]
    whole = to_orientation(read_stored(result / "segmentation.seg.nrrd"), "LPS")
    read = to_orientation(read_stored(files[0]), "LPS")
    offset = np.linalg.inv(whole.affine) @ np.array([*read.origin_mm, 1.0])
    start_xyz = np.rint(offset[:3]).astype(int)
    np.testing.assert_allclose(offset[:3], start_xyz, atol=1e-6)
    inside = tuple(slice(i, i + n) for i, n in zip(start_xyz[::-1], read.shape_DHW, strict=True))
    np.testing.assert_array_equal(read.array_DHW, np.array([0, 1, 0, 2])[whole.array_DHW[inside]])
    assert np.count_nonzero(read.array_DHW) == np.count_nonzero(whole.array_DHW)
    names = [item.SegmentLabel for item in pydicom.dcmread(files[0]).SegmentSequence]
    assert names == ["Liver", "Liver tumour"]


def test_an_enhanced_file_is_a_series_too(tmp_path):
    (tmp_path / "scan").mkdir()
    path = write_enhanced(tmp_path / "scan" / "one.dcm")
    result = write_result(tmp_path / "result", path)
    files = export_results(dicom_request(result, tmp_path / "out", path))
    references = [
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for frame in pydicom.dcmread(files[1]).PerFrameFunctionalGroupsSequence
    ]
    assert sorted(references) == [1, 2, 3, 4, 5, 6] and references != sorted(references)


def test_no_identity_of_the_patient_is_in_what_is_not_dicom(series, tmp_path):
    result = write_result(tmp_path / "result", series)
    export_results(ExportRequest(result=result, out=tmp_path / "out", format="nifti"))
    uids = [pydicom.dcmread(next(series.iterdir()))[name].value for name in ("StudyInstanceUID", "SOPInstanceUID")]
    for folder in (result, tmp_path / "out"):
        data = b"".join(file.read_bytes() for file in folder.iterdir())
        assert not [text for text in (NAME, PATIENT_ID, ACCESSION, *uids) if text.encode() in data]


def test_a_series_of_other_files_on_the_same_grid_is_taken_only_where_the_user_says_so(series, tmp_path):
    result = write_result(tmp_path / "result", series)
    other = write_scan(tmp_path / "other phase", lying="oblique", seed=7)
    with pytest.raises(WorkflowError, match=r"^other phase: .* perhaps of another patient; .* or --other-series"):
        export_results(dicom_request(result, tmp_path / "out", other))
    assert not (tmp_path / "out").exists()
    said = []
    export_results(dicom_request(result, tmp_path / "out", other, other_series=True, notice=said.append))
    assert said[0] == "the result was not made from the files of this series; their grids agree"
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_result_of_an_image_file_is_told_that_its_series_cannot_be_checked(series, tmp_path):
    result = write_result(tmp_path / "result", series, dicom=False)
    other, said = write_scan(tmp_path / "exported from", lying="oblique", seed=7), []
    assert len(export_results(dicom_request(result, tmp_path / "out", other, notice=said.append))) == 2
    assert said[0] == "the result was not made from the files of this series; their grids agree"


def test_where_nothing_was_found_there_is_a_map_alone(series, tmp_path):
    result = write_result(tmp_path / "result", series, empty=True)
    said = []
    (only,) = export_results(dicom_request(result, tmp_path / "out", series, notice=said.append))
    assert only.name == "uncertainty.dcm" and said == ["no voxel of any organ: there is no segmentation.dcm"]
    (result / "uncertainty.nrrd").unlink()
    with pytest.raises(WorkflowError, match="no voxel of any organ and no uncertainty"):
        export_results(dicom_request(result, tmp_path / "second", series))
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    "other",
    [
        {"shape": (5, 5, 7)},
        {"shape": (6, 5, 8)},
        {"spacing_mm": (2.7, 0.75, 1.25)},
        {"spacing_mm": (2.5, 0.75, 1.3)},
        {"lying": "supine"},
    ],
)
def test_a_series_that_was_not_segmented_is_refused(series, tmp_path, other):
    result = write_result(tmp_path / "result", series)
    wrong = write_scan(tmp_path / "wrong", **{"lying": "oblique", **other})
    with pytest.raises(ImageError, match=r"wrong: is not the series that was segmented: .*×") as refusal:
        export_results(dicom_request(result, tmp_path / "out", wrong))
    assert "\n" not in str(refusal.value) and not (tmp_path / "out").exists()


def test_what_is_missing_is_said_in_one_line(series, tmp_path):
    result = write_result(tmp_path / "result", series)
    half = write_result(tmp_path / "half", series, report=False)
    for request, says in (
        (dicom_request(result, tmp_path / "out", None), "name its folder with --dicom"),
        (dicom_request(result, tmp_path / "out", tmp_path / "gone"), "gone: there is no such series"),
        (dicom_request(result, series, series), "series: holds the scan's own DICOM series"),
        (dicom_request(half, tmp_path / "out", series), r"half: has no report\.json: it is half-written"),
        (dicom_request(half / "segmentation.seg.nrrd", tmp_path / "out", series), "nrrd: has no report"),
        (dicom_request(series, tmp_path / "out", series), r"holds no segmentation\.seg\.nrrd"),
    ):
        with pytest.raises(WorkflowError, match=says):
            export_results(request)
    assert not (tmp_path / "out").exists()


def test_without_the_library_the_message_says_what_to_install(series, tmp_path, monkeypatch):
    result = write_result(tmp_path / "result", series)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "highdicom" else found(name))
    with pytest.raises(ImageError, match="a DICOM export needs highdicom; install with: pip install highdicom"):
        export_results(dicom_request(result, tmp_path / "out", series))
    assert len(export_results(ExportRequest(result=result, out=tmp_path / "out", format="nifti"))) == 2


def test_a_disk_that_fills_up_leaves_nothing_new_and_the_old_as_it_was(series, tmp_path, monkeypatch):
    result, out = write_result(tmp_path / "result", series), tmp_path / "out"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_dicom_uncertainty", full)
        with pytest.raises(OSError, match="No space left"):
            export_results(dicom_request(result, out, series))
        assert not out.exists()
        out.mkdir()
        (out / "segmentation.dcm").write_text("old", encoding="utf-8")
        with pytest.raises(OSError, match="No space left"):
            export_results(dicom_request(result, out, series))
    assert [(file.name, file.read_text(encoding="utf-8")) for file in out.iterdir()] == [("segmentation.dcm", "old")]
    export_results(dicom_request(result, out, series))
    assert sorted(file.name for file in out.iterdir()) == ["segmentation.dcm", "uncertainty.dcm"]


def test_an_earlier_export_s_map_does_not_stay_beside_a_result_without_one(series, tmp_path):
    out = tmp_path / "out"
    export_results(dicom_request(write_result(tmp_path / "first", series), out, series))
    export_results(dicom_request(write_result(tmp_path / "second", series, uncertain=False), out, series))
    assert [file.name for file in out.iterdir()] == ["segmentation.dcm"]


def test_an_output_that_cannot_be_a_folder_is_refused(series, tmp_path):
    result = write_result(tmp_path / "result", series)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError):
        export_results(dicom_request(result, tmp_path / "file", series))
    with pytest.raises(NotADirectoryError):
        export_results(dicom_request(result, tmp_path / "file" / "out", series))


def test_a_damaged_slice_of_the_series_is_refused(series, tmp_path):
    result = write_result(tmp_path / "result", series)
    copy = shutil.copytree(series, tmp_path / "copy")
    file = sorted(copy.iterdir())[2]
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ImageError, match=rf"{file.name}: "):
        export_results(dicom_request(result, tmp_path / "out", copy))
    assert not (tmp_path / "out").exists()
