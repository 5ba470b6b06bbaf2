"""NIfTI: what is read agrees with SimpleITK, and what cannot be read with certainty is refused by name."""

import gzip
import os
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import nifti_bytes, ras, rotation, save, scan, write

from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.safe_read import peek, read_image, read_stored
from organincrement.imaging.volume import Volume

AXIAL = np.eye(3)
SFORM = ras(scan())


def as_sitk_reads(path):
    return Volume.from_sitk(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_each_voxel_type_is_read_as_simpleitk_reads_it(tmp_path, dtype, suffix):
    path = save(scan(dtype=dtype), tmp_path / f"scan{suffix}")
    read = read_stored(path)
    assert read.array_DHW.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(read.array_DHW, scan(dtype=dtype).array_DHW)
    assert grid_difference(read, as_sitk_reads(path), 1e-5) is None
    assert read_image(path).array_DHW.dtype == np.float32


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (-1, 1, 1), (1, 1, -1), (-1, -1, -1)])
def test_flipped_and_mirrored_axes_are_read_as_simpleitk_reads_them(tmp_path, signs):
    path = save(scan(direction=rotation() * np.array(signs)), tmp_path / "scan.nii.gz")
    assert grid_difference(read_image(path), as_sitk_reads(path), 1e-5) is None
    np.testing.assert_allclose(read_image(path).direction, rotation() * np.array(signs), atol=1e-6)


def test_permuted_axes_keep_each_spacing_with_its_axis(tmp_path):
    path = save(scan(direction=AXIAL[:, [2, 0, 1]]), tmp_path / "scan.nii.gz")
    read = read_image(path)
    assert read.spacing_mm == pytest.approx((3.0, 0.75, 1.25))
    assert grid_difference(read, as_sitk_reads(path), 1e-5) is None


def test_an_image_with_an_sform_only_is_placed_by_it(tmp_path):
    path = write(tmp_path / "scan.nii.gz", nifti_bytes(scan().array_DHW, sform=SFORM))
    assert grid_difference(read_image(path), scan(), 1e-4) is None
    assert grid_difference(as_sitk_reads(path), scan(), 1e-4) is None


@pytest.mark.parametrize("handedness", [1, -1, 0])
def test_an_image_with_a_qform_only_is_placed_by_it(tmp_path, handedness):
    data = nifti_bytes(scan().array_DHW, quaternion=(0.1, 0.2, 0.3), pixdim=(handedness, 1.25, 0.75, 3))
    path = write(tmp_path / "scan.nii", data)
    assert grid_difference(read_image(path), as_sitk_reads(path), 1e-5) is None
    assert np.linalg.det(read_image(path).direction) == pytest.approx(-1 if handedness < 0 else 1)


@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_big_endian_is_read_with_the_right_values_and_native_order(tmp_path, dtype):
    path = write(tmp_path / "scan.nii.gz", nifti_bytes(scan(dtype=dtype).array_DHW, order=">", sform=SFORM))
    read = read_stored(path)
    assert read.array_DHW.dtype == np.dtype(dtype) and read.array_DHW.dtype.isnative
    np.testing.assert_array_equal(read.array_DHW, scan(dtype=dtype).array_DHW)
    assert grid_difference(read, scan(), 1e-4) is None


def test_slope_and_intercept_are_applied(tmp_path):
    path = write(tmp_path / "scan.nii", nifti_bytes(scan().array_DHW, sform=SFORM, scale=(2.5, -1024)))
    np.testing.assert_allclose(read_image(path).array_DHW, scan().array_DHW * 2.5 - 1024)


@pytest.mark.parametrize("slope", [0, np.nan])
def test_a_slope_that_is_none_leaves_the_values(tmp_path, slope):
    path = write(tmp_path / "scan.nii", nifti_bytes(scan().array_DHW, sform=SFORM, scale=(slope, 5)))
    np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)


def test_metres_become_millimetres(tmp_path):
    pixdim = (1, 1.25e-3, 0.75e-3, 3e-3)
    path = write(tmp_path / "scan.nii", nifti_bytes(scan().array_DHW, sform=SFORM / 1000, pixdim=pixdim, units=1))
    assert grid_difference(read_image(path), scan(), 1e-3) is None


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path):
    path = write(tmp_path / "scan.nii", nifti_bytes(scan().array_DHW, sform=SFORM, dim=(4, 6, 5, 4, 1)))
    assert read_image(path).shape_DHW == (4, 5, 6)


def test_nifti_2_is_read(tmp_path):
    header = bytearray(544)
    struct.pack_into("<i8s2h", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16)
    struct.pack_into("<8q", header, 16, 3, 6, 5, 4, 1, 1, 1, 1)
    struct.pack_into("<8d", header, 104, 1, 1.25, 0.75, 3, 0, 0, 0, 0)
    struct.pack_into("<q2d", header, 168, 544, 1, 0)
    struct.pack_into("<2i", header, 344, 0, 1)
    struct.pack_into("<12d", header, 400, *SFORM.ravel())
    struct.pack_into("<i", header, 500, 2)
    path = write(tmp_path / "scan.nii.gz", bytes(header) + scan().array_DHW.tobytes())
    assert grid_difference(read_image(path), scan(), 1e-6) is None
    np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)


SHEARED = SFORM @ np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
FLAT = SFORM @ np.array([[1, 0, 0.6, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])
FAR_QUATERNION = (0.7, 0.1, 0.1)
SHORT = scan().array_DHW


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"dim": (4, 6, 5, 2, 2)}, "4-D"),
        ({"dim": (2, 30, 4)}, "2-D"),
        ({"dim": (3, 6, 5, 0)}, "size"),
        ({"dim": (3, 6, 5, -4)}, "size"),
        ({"dim": (9, 6, 5, 4)}, "9 dimensions"),
        ({"dim": (7, 32767, 32767, 32767, 32767, 1, 1, 1)}, "4-D"),
        ({"dim": (3, 32767, 32767, 32767)}, "above the limit"),
        ({"dim": (3, 6, 5, 5)}, "cut off"),
        ({"dim": (3, 6, 5, 3)}, "more voxels"),
        ({"datatype": 128}, "RGB"),
        ({"datatype": 2304}, "RGB"),
        ({"datatype": 32}, "complex"),
        ({"datatype": 1}, "binary"),
        ({"datatype": 77}, "unknown type"),
        ({"bits": 8}, "bits"),
        ({"pixdim": (1, np.nan, 0.75, 3)}, "spacing"),
        ({"pixdim": (1, 1.25, 0, 3)}, "spacing"),
        ({"pixdim": (1, 1.25, 0.75, -3)}, "spacing"),
        ({"pixdim": (1, 1.25, 0.75, np.inf)}, "spacing"),
        ({"pixdim": (1, 1.25, 0.75, 4)}, "disagree"),
        ({"sform": SHEARED}, "right angles"),
        ({"sform": FLAT}, "inverted"),
        ({"sform": np.zeros((3, 4))}, "spacing"),
        ({"sform": SFORM * np.nan}, "not finite"),
        ({"sform": None}, "no orientation"),
        ({"sform": None, "quaternion": (1, 1, 1)}, "no rotation"),
        ({"quaternion": FAR_QUATERNION}, "place the image differently"),
        ({"magic": b"ni1\0"}, "two-file"),
        ({"magic": b"\0\0\0\0"}, "two-file"),
        ({"vox_offset": 20}, "byte 20"),
        ({"vox_offset": np.nan}, "byte nan"),
        ({"vox_offset": 1e30}, "byte"),
        ({"units": 5}, "unit of length"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused_with_name_and_reason(tmp_path, settings, reason):
    path = write(tmp_path / "bad_scan.nii", nifti_bytes(SHORT, **{"sform": SFORM, **settings}))
    with pytest.raises(ImageError, match=rf"bad_scan\.nii: .*({reason})") as refusal:
        read_image(path)
    assert "\n" not in str(refusal.value) and ";" in str(refusal.value)
    with pytest.raises(ImageError):
        peek(path)


@pytest.mark.parametrize("kept", [0, 3, 100, 347, 351, 400, 591])
def test_truncated_nifti_is_refused_with_its_name(tmp_path, kept):
    path = write(tmp_path / "cut.nii", nifti_bytes(SHORT, sform=SFORM)[:kept])
    with pytest.raises(ImageError, match=r"cut\.nii"):
        read_image(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_truncated_gzip_is_refused_by_the_header_check_and_by_reading(tmp_path, part):
    noise = np.random.default_rng(0).integers(-1000, 1000, (20, 21, 22)).astype(np.int16)
    data = gzip.compress(nifti_bytes(noise, sform=SFORM), mtime=0)
    path = tmp_path / "cut.nii.gz"
    path.write_bytes(data[: int(len(data) * part)])
    for reading in (read_image, peek):
        with pytest.raises(ImageError, match=r"cut\.nii\.gz: is cut off"):
            reading(path)


def test_a_flipped_bit_in_the_compressed_voxels_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(-1000, 1000, (20, 21, 22)).astype(np.int16)
    data = bytearray(gzip.compress(nifti_bytes(noise, sform=SFORM), mtime=0))
    data[len(data) // 2] ^= 4
    path = tmp_path / "damaged.nii.gz"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"damaged\.nii\.gz"):
        read_image(path)


def test_a_small_file_that_claims_gigabytes_is_refused_before_memory_is_taken(tmp_path):
    path = write(tmp_path / "bomb.nii.gz", nifti_bytes(SHORT, sform=SFORM, dim=(3, 1000, 1000, 1000)))
    with pytest.raises(ImageError, match="cannot hold its voxels"):
        read_image(path)


def test_gzip_in_several_members_is_read_whole(tmp_path):
    data = nifti_bytes(SHORT, sform=SFORM)
    path = tmp_path / "members.nii.gz"
    path.write_bytes(gzip.compress(data[:360]) + gzip.compress(data[360:]))
    np.testing.assert_array_equal(read_stored(path).array_DHW, SHORT)
    assert peek(path).shape_DHW == SHORT.shape


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_refused(tmp_path, value):
    array = scan(dtype="f4").array_DHW
    array[1, 2, 3] = value
    with pytest.raises(ImageError, match="NaN or infinite"):
        read_image(write(tmp_path / "scan.nii", nifti_bytes(array, sform=SFORM)))


def test_a_missing_file_a_folder_without_slices_and_a_strange_ending_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "scan.jpg").write_bytes(b"123")
    for name in ("missing.nii", "empty", "scan.jpg"):
        with pytest.raises(ImageError, match=name):
            read_image(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(ImageError, match="no regular file"):
        read_image(tmp_path / "pipe.nii")
