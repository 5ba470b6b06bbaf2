"""`segment --nifti --dicom-seg` and `results export`: files beside the results, or a line that says what is missing."""

import numpy as np
import pydicom
import pytest
from command_line import assert_refused, run
from dicom_scan import ACCESSION, NAME, PATIENT_ID, write_scan

from organincrement.imaging.safe_read import read_image, read_stored

EXPORTED = ["labels.json", "segmentation.dcm", "segmentation.nii.gz", "uncertainty.dcm"]


@pytest.fixture(scope="module")
def scan(tiny_world, tmp_path_factory):
    """A phantom as a DICOM series, stored in a shuffled order."""
    image = read_image(tiny_world.test.image_path(tiny_world.test.cases()[0]))
    voxels_DHW = np.clip(np.rint(image.array_DHW), -1024, 3000).astype(int)
    folder = tmp_path_factory.mktemp("scan") / "ct-7"
    return write_scan(
        folder, lying="supine", shape=image.shape_DHW, spacing_mm=image.spacing_mm, voxels_DHW=voxels_DHW
    )  # fmt: skip


def segmenting(world, out, *more):
    return "segment", "--model", world.teacher, "--out", out, *more


def test_segment_writes_the_other_formats_beside_its_results(tiny_world, scan, tmp_path, capsys):
    done = run(capsys, *segmenting(tiny_world, tmp_path, "--nifti", "--dicom-seg", scan))
    folder = tmp_path / "ct-7"
    assert done.code == 0 and done.out == f"{folder}\n"
    assert set(EXPORTED) <= {file.name for file in folder.iterdir()}
    labels = read_stored(folder / "segmentation.seg.nrrd")
    np.testing.assert_array_equal(read_stored(folder / "segmentation.nii.gz").array_DHW, labels.array_DHW)
    segments = read_stored(folder / "segmentation.dcm")
    assert np.count_nonzero(segments.array_DHW) == np.count_nonzero(labels.array_DHW) > 0
    identities = [text.encode() for text in (NAME, PATIENT_ID, ACCESSION)]
    for file in folder.iterdir():
        held = [text for text in identities if text in file.read_bytes()]
        assert held == (identities if file.suffix == ".dcm" else []), file.name
    assert not [text for text in (NAME, PATIENT_ID, ACCESSION) if text in done.out + done.err]
    # what an earlier run exported would not be of the new segmentation
    assert run(capsys, *segmenting(tiny_world, tmp_path, "--uncertainty", "none", scan)).code == 0
    assert sorted(file.name for file in folder.iterdir()) == ["report.json", "segmentation.seg.nrrd"]
    assert run(capsys, *segmenting(tiny_world, tmp_path, "--uncertainty", "none", "--dicom-seg", scan)).code == 0
    assert (folder / "segmentation.dcm").exists() and not (folder / "uncertainty.dcm").exists()


def test_results_export_writes_either_format_of_a_finished_result(tiny_world, scan, tmp_path, capsys):
    assert run(capsys, *segmenting(tiny_world, tmp_path, scan)).code == 0
    out = tmp_path / "new" / "out"
    done = run(capsys, "results", "export", tmp_path / "ct-7", "--format", "dicom-seg", "--dicom", scan, "--out", out)
    assert done.code == 0
    assert done.out.splitlines() == [str(out / "segmentation.dcm"), str(out / "uncertainty.dcm")]
    done = run(capsys, "results", "export", tmp_path / "ct-7", "--format", "nifti", "--out", out)
    assert done.code == 0 and sorted(file.name for file in out.iterdir()) == EXPORTED
    assert pydicom.dcmread(out / "segmentation.dcm").PatientID == PATIENT_ID


def test_another_patient_s_series_on_the_same_grid_is_refused_unless_the_user_insists(
    tiny_world, scan, tmp_path, capsys
):  # fmt: skip
    assert run(capsys, *segmenting(tiny_world, tmp_path, scan)).code == 0
    image = read_image(scan)
    other = write_scan(
        tmp_path / "ct-8", lying="supine", shape=image.shape_DHW, spacing_mm=image.spacing_mm,
        voxels_DHW=np.zeros(image.shape_DHW, int),
    )  # fmt: skip
    asked = ("results", "export", tmp_path / "ct-7", "--format", "dicom-seg", "--dicom", other, "--out", tmp_path / "o")
    assert_refused(run(capsys, *asked), "ct-8", "other files on the same grid", "--other-series")
    assert not (tmp_path / "o").exists()
    done = run(capsys, *asked, "--other-series")
    assert done.code == 0 and "not made from the files of this series" in done.err
    # of a file, no series can be known
    file = tiny_world.test.image_path(tiny_world.test.cases()[0])
    assert run(capsys, *segmenting(tiny_world, tmp_path / "of file", file)).code == 0
    (result,) = (tmp_path / "of file").iterdir()
    assert "input_is_dicom" not in (result / "report.json").read_text(encoding="utf-8")


def test_a_dicom_export_without_a_series_is_refused_before_anything_is_segmented(tiny_world, scan, tmp_path, capsys):
    out = tmp_path / "out"
    image = tiny_world.test.image_path(tiny_world.test.cases()[0])
    refused = run(capsys, *segmenting(tiny_world, out, "--dicom-seg", scan, image))
    assert_refused(refused, image.name, "is no DICOM series, as a DICOM export needs", "give the folder")
    assert not out.exists()
    refused = run(capsys, *segmenting(tiny_world, scan.parent, "--dicom-seg", scan))
    assert_refused(refused, "ct-7", "holds the scan's own DICOM series")
    assert run(capsys, *segmenting(tiny_world, tmp_path, scan)).code == 0
    refused = run(capsys, "results", "export", tmp_path / "ct-7", "--format", "dicom-seg", "--out", out)
    assert_refused(refused, "needs the scan's DICOM series", "--dicom")
    assert not out.exists()


def test_the_help_says_that_a_dicom_export_carries_the_patient(capsys):
    for command in (("segment",), ("results", "export")):
        with pytest.raises(SystemExit):
            run(capsys, *command, "--help")
        said = " ".join(capsys.readouterr().out.split())
        assert "the patient's and the study's attributes of the series, as DICOM requires" in said
