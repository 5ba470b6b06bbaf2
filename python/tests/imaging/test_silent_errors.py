"""What SimpleITK 2.5 reads wrongly without a word, hangs on or crashes on: one test each, all refused by name."""

import os
import zlib

import numpy as np
import pytest
from imaging_files import nifti_bytes, ras, scan, write
from test_reading_nrrd_and_metaimage import VOXELS, metaimage, nrrd

from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import examine, peek, read_stored

SFORM = ras(scan())
HERE = np.array([scan().origin_mm])


def assert_refused_everywhere(path, reason):
    for reading in (read_stored, peek, lambda where: examine(where, HERE)):
        with pytest.raises(ImageError, match=reason) as refusal:
            reading(path)
        assert path.name in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_truncated_nifti_is_not_filled_with_zeros(tmp_path):
    data = nifti_bytes(scan().array_DHW, sform=SFORM)
    assert_refused_everywhere(write(tmp_path / "cut.nii", data[:-2]), "cut off")
    assert_refused_everywhere(write(tmp_path / "cut.nii.gz", data[:-2]), "cut off")


@pytest.mark.parametrize("spacing", [np.nan, 0, -3, np.inf])
def test_a_spacing_that_is_no_length_does_not_become_one(tmp_path, spacing):
    data = nifti_bytes(scan().array_DHW, sform=SFORM, pixdim=(1, 1.25, 0.75, spacing))
    assert_refused_everywhere(write(tmp_path / "a.nii", data), "spacing")
    assert_refused_everywhere(metaimage(tmp_path / "a.mha", ElementSpacing=f"1.25 0.75 {spacing}"), "spacing")
    directions = f"(1.25,0,0) (0,0.75,0) (0,0,{spacing})"
    if spacing != -3:  # a direction that points down
        assert_refused_everywhere(nrrd(tmp_path / "a.nrrd", space_directions=directions), "spacing|not finite")


def test_a_direction_of_zeros_does_not_become_upright(tmp_path):
    assert_refused_everywhere(metaimage(tmp_path / "a.mha", TransformMatrix="0 0 0 0 0 0 0 0 0"), "length 1")
    assert_refused_everywhere(
        nrrd(tmp_path / "a.nrrd", space_directions="(1,0,0) (0,1,0) (0,1e-1,1e-9)"), "cannot be inverted"
    )


def test_sheared_axes_do_not_become_square(tmp_path):
    sheared = SFORM @ np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert_refused_everywhere(write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW, sform=sheared)), "right angles")


def test_a_header_cannot_read_any_file_of_the_computer(tmp_path):
    (tmp_path / "secret").write_bytes(VOXELS)
    (tmp_path / "scans").mkdir()
    for name in ("../secret", str(tmp_path / "secret"), "..\\secret"):
        header = nrrd(tmp_path / "scans" / "a.nhdr", b"", **{"data file": name})
        assert_refused_everywhere(header, "outside its folder")
        assert_refused_everywhere(metaimage(tmp_path / "scans" / "a.mhd", b"", ElementDataFile=name), "outside")
    (tmp_path / "scans" / "voxels.raw").symlink_to(tmp_path / "secret")
    header = nrrd(tmp_path / "scans" / "a.nhdr", b"", **{"data file": "voxels.raw"})
    assert_refused_everywhere(header, "link out of the folder")


@pytest.mark.parametrize("name", ["pipe.raw", "/dev/zero", "loop.raw"])
def test_data_that_never_end_are_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / "pipe.raw")
    (tmp_path / "loop.raw").symlink_to("loop.raw")
    header = nrrd(tmp_path / "a.nhdr", b"", **{"data file": name})
    assert_refused_everywhere(header, "missing or no regular file|outside its folder|link out")


def test_a_few_bytes_that_claim_a_terabyte_take_no_memory(tmp_path):
    assert_refused_everywhere(nrrd(tmp_path / "a.nrrd", sizes="10000 10000 10000"), "above the limit")
    packed = nrrd(tmp_path / "b.nrrd", zlib.compress(VOXELS), sizes="1000 1000 1000", encoding="gzip")
    assert_refused_everywhere(packed, "cannot hold its voxels")
    text = nrrd(tmp_path / "c.nrrd", b"1 2 3", sizes="1000 1000 1000", encoding="ascii")
    with pytest.raises(ImageError, match=r"c\.nrrd: is cut off"):
        read_stored(text)


def test_a_header_that_says_too_few_voxels_does_not_shift_them(tmp_path):
    assert_refused_everywhere(nrrd(tmp_path / "a.nrrd", sizes="5 5 4"), "more voxels")
    assert_refused_everywhere(metaimage(tmp_path / "a.mha", DimSize="6 4 4"), "more voxels")
    data = nifti_bytes(scan().array_DHW, sform=SFORM, dim=(3, 6, 5, 3))
    assert_refused_everywhere(write(tmp_path / "a.nii", data), "more voxels")


def test_a_field_that_stands_twice_does_not_win_by_its_place(tmp_path):
    path = nrrd(tmp_path / "a.nrrd")
    path.write_bytes(path.read_bytes().replace(b"\nendian", b"\nsizes: 5 6 4\nendian", 1))
    assert_refused_everywhere(path, "twice")
    path = metaimage(tmp_path / "a.mha")
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing", b"ElementSpacing = 1 1 1\nElementSpacing", 1))
    assert_refused_everywhere(path, "twice")


def test_packed_metaimage_voxels_are_read_without_a_stated_size(tmp_path):
    # SimpleITK gives what happens to be in memory.
    path = metaimage(tmp_path / "a.mha", zlib.compress(VOXELS), CompressedData="True")
    np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_do_not_become_intensities(tmp_path, value):
    array = scan(dtype="f4").array_DHW
    array[-1, -1, -1] = value
    path = write(tmp_path / "a.nii", nifti_bytes(array, sform=SFORM))
    for reading in (read_stored, lambda where: examine(where, HERE)):
        with pytest.raises(ImageError, match=r"a\.nii: has voxels that are NaN or infinite"):
            reading(path)


def test_colours_vectors_times_and_complex_numbers_do_not_become_grey(tmp_path):
    for datatype in (32, 128, 1792, 2304):
        data = nifti_bytes(scan().array_DHW, sform=SFORM, datatype=datatype)
        assert_refused_everywhere(write(tmp_path / "a.nii", data), "complex|colour")
    assert_refused_everywhere(metaimage(tmp_path / "a.mha", ElementNumberOfChannels="3"), "one plain number")
    four = nrrd(tmp_path / "a.nrrd", sizes="2 3 5 4", dimension="4", space_directions="none (1,0,0) (0,1,0) (0,0,1)")
    assert_refused_everywhere(four, "4-D")
