"""Writing: what Slicer needs is there, values and grid come back, and a failure leaves the old file."""

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import nifti_bytes, ras, save, scan, write

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.nifti_copy import copy_nifti
from organincrement.imaging.safe_read import read_labels, read_stored
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import replacing, write_nifti, write_segmentation, write_volume

SPACE = LabelSpace(
    (organ_from_name("parotid_right"), organ_from_name("liver"), Organ(id="x", name="Gland ü", color=(255, 0, 51)))
)


def labels():
    array = np.zeros((4, 5, 6), np.uint8)
    array[1, 2, 3], array[2, 3, 4] = 1, 2
    return scan().with_array(array)


def test_a_segmentation_carries_name_colour_value_and_terminology_of_every_organ(tmp_path):
    write_segmentation(tmp_path / "a.seg.nrrd", labels(), SPACE)
    image = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    field = image.GetMetaData
    assert [field(f"Segment{i}_Name") for i in range(3)] == ["Right parotid gland", "Liver", "Gland ü"]
    assert [field(f"Segment{i}_LabelValue") for i in range(3)] == ["1", "2", "3"]
    assert [field(f"Segment{i}_ID") for i in range(3)] == list(SPACE.ids)
    assert field("Segment2_Color") == "1.000000 0.000000 0.200000"
    assert {field(f"Segment{i}_Extent") for i in range(3)} == {"0 5 0 4 0 3"}
    assert {field(f"Segment{i}_Layer") for i in range(3)} == {"0"}
    assert field("Segmentation_ContainedRepresentationNames") == "Binary labelmap|"
    parts = field("Segment0_Tags").split("TerminologyEntry:")[1].rstrip("|").split("~")
    assert parts == [
        "Segmentation category and type - DICOM master list",
        "SCT^123037004^Anatomical structure",
        "SCT^45289007^Parotid gland",
        "SCT^24028007^Right",
        "Anatomic codes - DICOM master list",
        "^^",
        "^^",
    ]
    assert "TerminologyEntry" not in field("Segment2_Tags")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), labels().array_DHW)
    assert grid_difference(Volume.from_sitk(image), scan(), 1e-9) is None


def test_a_segmentation_is_read_back_as_labels(tmp_path):
    write_segmentation(tmp_path / "a.seg.nrrd", labels(), SPACE)
    read = read_labels(tmp_path / "a.seg.nrrd", allowed=[1, 2, 3], like=scan())
    np.testing.assert_array_equal(read.array_DHW, labels().array_DHW)


def test_a_label_beyond_the_organs_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ImageError, match="beyond its 3 organs"):
        write_segmentation(tmp_path / "a.seg.nrrd", scan().with_array(np.full((4, 5, 6), 4, np.uint8)), SPACE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4", "f8", ">i2"])
@pytest.mark.parametrize(("name", "writer"), [("a.nrrd", write_volume), ("a.nii.gz", write_nifti)])
def test_volumes_come_back_with_their_values_and_grid(tmp_path, dtype, name, writer):
    # A turned view, as to_orientation gives it, is not contiguous in memory.
    volume = scan().with_array(scan((4, 5, 6), dtype=dtype).array_DHW[::-1, :, ::-1])
    writer(tmp_path / name, volume)
    np.testing.assert_array_equal(read_stored(tmp_path / name).array_DHW, volume.array_DHW)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / name))), volume.array_DHW)
    assert grid_difference(read_stored(tmp_path / name), volume, 1e-4) is None


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    write_volume(tmp_path / "a.nrrd", scan())
    write_volume(tmp_path / "b.nrrd", scan())
    assert (tmp_path / "a.nrrd").read_bytes() == (tmp_path / "b.nrrd").read_bytes()


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.nrrd").write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), replacing(tmp_path / "a.nrrd") as partial:
        partial.write_text("half", encoding="utf-8")
        raise RuntimeError
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.nrrd", "old")]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    with pytest.raises(ImageError, match="missing/a"):
        write_volume(tmp_path / "missing" / "a.nrrd", scan())
    with pytest.raises(ImageError, match="missing/a"):
        write_nifti(tmp_path / "missing" / "a.nii.gz", scan())


def test_a_clean_nifti_is_copied_byte_for_byte(tmp_path):
    source = save(scan(), tmp_path / "a.nii.gz")
    assert copy_nifti(source, tmp_path / "b.nii.gz")
    assert (tmp_path / "b.nii.gz").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_text_about_the_patient_does_not_come_along(tmp_path, order):
    data = nifti_bytes(scan().array_DHW, order=order, sform=ras(scan()), description=b"Doe^Jane 1950", vox_offset=384)
    data = data[:348] + b"\1\0\0\0" + b"Doe^Jane in an extension".ljust(32) + data[352:]
    for name in ("a.nii", "b.nii.gz"):
        source = write(tmp_path / name, data)
        assert not copy_nifti(source, tmp_path / "copy.nii.gz")
        copied = gzip.decompress((tmp_path / "copy.nii.gz").read_bytes())
        assert b"Doe" not in copied and len(copied) == 352 + scan().array_DHW.nbytes
        read = read_stored(tmp_path / "copy.nii.gz")
        np.testing.assert_array_equal(read.array_DHW, scan().array_DHW)
        assert grid_difference(read, read_stored(source), 1e-12) is None


def test_the_file_name_inside_gzip_does_not_come_along(tmp_path):
    with gzip.open(tmp_path / "Doe_Jane.nii.gz", "wb") as file:
        file.write(nifti_bytes(scan().array_DHW, sform=ras(scan())))
    assert b"Doe_Jane" in (tmp_path / "Doe_Jane.nii.gz").read_bytes()
    copy_nifti(tmp_path / "Doe_Jane.nii.gz", tmp_path / "copy.nii.gz")
    assert b"Doe" not in (tmp_path / "copy.nii.gz").read_bytes()


def test_a_damaged_source_leaves_no_copy(tmp_path):
    noise = np.random.default_rng(0).integers(-1000, 1000, (20, 21, 22)).astype(np.int16)
    data = gzip.compress(nifti_bytes(noise, sform=ras(scan()), description=b"text"))
    (tmp_path / "cut.nii.gz").write_bytes(data[:-3000])
    with pytest.raises(ImageError, match=r"cut\.nii\.gz: is cut off"):
        copy_nifti(tmp_path / "cut.nii.gz", tmp_path / "copy.nii.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["cut.nii.gz"]
