"""Valid files that few programs write: a value at a physical point is what SimpleITK and nibabel find there.

Where the two differ the file is refused in words, and a test says so.
"""

import bz2
import gzip
import struct
import zlib

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import nifti_bytes, ras, rotation, scan, write
from test_reading_nrrd_and_metaimage import metaimage, nrrd

from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import nearest_index
from organincrement.imaging.safe_read import examine, peek, read_stored

SFORM = ras(scan())
AXES = [np.eye(3)[:, list(order)] * np.array(signs) for order in ((0, 1, 2), (2, 0, 1), (1, 0, 2), (2, 1, 0))
        for signs in ((1, 1, 1), (-1, 1, -1), (-1, -1, -1))]  # fmt: skip


def random_points(grid, count=200):
    index_xyz = np.random.default_rng(0).uniform(-0.45, np.array(grid.shape_DHW[::-1]) - 0.55, (count, 3))
    return index_xyz @ grid.affine[:3, :3].T + grid.affine[:3, 3]


def at_points_by_simpleitk(path, points):
    image = sitk.ReadImage(str(path))
    return [image.GetPixel(image.TransformPhysicalPointToIndex(point)) for point in points.tolist()]


def at_points_by_nibabel(path, points):
    image = nib.load(path)
    index = nib.affines.apply_affine(np.linalg.inv(image.affine), points * (-1, -1, 1))
    return np.asanyarray(image.dataobj).reshape(image.shape[:3])[tuple(np.rint(index).astype(int).T)]


def assert_read_as_others_do(path, *, nibabel=False):
    points = random_points(peek(path))
    image, read = examine(path, points), read_stored(path)
    assert image.inside.all()
    np.testing.assert_allclose(image.values, at_points_by_simpleitk(path, points), rtol=1e-6)
    np.testing.assert_array_equal(image.values, read.array_DHW[tuple(nearest_index(read, points)[0].T)])
    if nibabel:
        np.testing.assert_allclose(image.values, at_points_by_nibabel(path, points), rtol=1e-6)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_nifti_of_each_type_and_byte_order(tmp_path, order, dtype):
    assert_read_as_others_do(
        write(tmp_path / "a.nii.gz", nifti_bytes(scan(dtype=dtype).array_DHW, order=order, sform=SFORM)), nibabel=True
    )


@pytest.mark.parametrize("direction", [*AXES, rotation(), rotation(-15, 40) * np.array([1, -1, 1])])
def test_nifti_in_any_order_of_axes_flipped_and_oblique(tmp_path, direction):
    volume = scan(direction=direction)
    assert_read_as_others_do(write(tmp_path / "a.nii", nifti_bytes(volume.array_DHW, sform=ras(volume))), nibabel=True)


@pytest.mark.parametrize("scale", [(-2.0, 7), (0, 9), (np.nan, 9), (np.inf, 9), (0.5, -1024), (1, 3)])
def test_nifti_slopes_negative_zero_and_none(tmp_path, scale):
    path = write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW, sform=SFORM, scale=scale))
    points = random_points(peek(path))
    np.testing.assert_allclose(examine(path, points).values, at_points_by_nibabel(path, points), rtol=1e-6)


@pytest.mark.parametrize("intercept", [np.nan, np.inf])
def test_nifti_with_a_slope_and_no_intercept_is_refused_as_readers_differ(tmp_path, intercept):
    path = write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW, sform=SFORM, scale=(2, intercept)))
    with pytest.raises(ImageError, match="no finite intercept"):
        read_stored(path)


@pytest.mark.parametrize("slope", [1e-17, -1e-16, 1e-40])
def test_nifti_with_a_slope_that_itk_takes_for_none_is_refused(tmp_path, slope):
    path = write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW, sform=SFORM, scale=(slope, 0)))
    with pytest.raises(ImageError, match=r"a\.nii: has a slope of"):
        read_stored(path)


def test_nifti_in_millimetres_that_says_micrometres_is_refused_in_words(tmp_path):
    path = write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW, sform=SFORM, units=3))
    with pytest.raises(ImageError, match=r"spacing is 0\.75 in micrometres, .*is it in millimetres"):
        read_stored(path)


@pytest.mark.parametrize("quaternion", [(0, 0, 1), (0, 1, 0), (0.6, 0.8, 0), (0, 0, 0), (0.1, -0.2, 0.3)])
@pytest.mark.parametrize("handedness", [1, -1, 0])
def test_nifti_with_a_qform_only_also_of_a_half_turn(tmp_path, quaternion, handedness):
    pixdim = (handedness, 1.25, 0.75, 3)
    path = write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW, quaternion=quaternion, pixdim=pixdim))
    assert_read_as_others_do(path, nibabel=handedness != 0)


def test_nifti_whose_two_forms_agree_is_placed_by_them_and_refused_where_they_do_not(tmp_path):
    upright = scan(direction=np.diag([-1.0, -1, 1]))
    upright = type(upright)(upright.array_DHW, upright.spacing_mm, (5.0, -6.0, 7.0), upright.direction)
    path = write(tmp_path / "a.nii", nifti_bytes(upright.array_DHW, sform=ras(upright), quaternion=(0, 0, 0)))
    assert_read_as_others_do(path, nibabel=True)
    other = write(tmp_path / "b.nii", nifti_bytes(upright.array_DHW, sform=ras(upright), quaternion=(0, 0, 1)))
    with pytest.raises(ImageError, match="place the image differently"):
        read_stored(other)


def test_nifti_without_either_form_is_refused_as_readers_differ(tmp_path):
    path = write(tmp_path / "a.nii", nifti_bytes(scan().array_DHW))
    with pytest.raises(ImageError, match="left and right are unknown"):
        read_stored(path)


@pytest.mark.parametrize(("units", "scale"), [(0, 1), (2, 1), (10, 1), (1, 1e-3), (3, 1e3), (9, 1e-3)])
def test_nifti_in_metres_millimetres_and_micrometres_lies_at_the_same_place(tmp_path, units, scale):
    pixdim = (1, 1.25 * scale, 0.75 * scale, 3 * scale)
    data = nifti_bytes(scan().array_DHW, sform=SFORM * scale, pixdim=pixdim, units=units)
    read = read_stored(write(tmp_path / "a.nii", data))
    np.testing.assert_allclose(read.affine, scan().affine, atol=1e-4)


def test_nifti_behind_an_extension(tmp_path):
    data = nifti_bytes(scan().array_DHW, sform=SFORM, vox_offset=400)
    path = write(tmp_path / "a.nii.gz", data[:348] + b"\1\0\0\0" + struct.pack("<2i", 48, 6) + bytes(40) + data[352:])
    assert_read_as_others_do(path, nibabel=True)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_nifti_of_any_gzip_level_and_in_many_members(tmp_path, level):
    data = nifti_bytes(scan().array_DHW, sform=SFORM)
    whole = tmp_path / "whole.nii.gz"
    whole.write_bytes(gzip.compress(data, level))
    assert_read_as_others_do(whole, nibabel=True)
    parts = tmp_path / "parts.nii.gz"
    parts.write_bytes(b"".join(gzip.compress(data[place : place + 50], level) for place in range(0, len(data), 50)))
    np.testing.assert_array_equal(read_stored(parts).array_DHW, scan().array_DHW)
    named_otherwise = tmp_path / "packed.nii"
    named_otherwise.write_bytes(gzip.compress(data, level))
    np.testing.assert_array_equal(read_stored(named_otherwise).array_DHW, scan().array_DHW)


@pytest.mark.parametrize("suffix", [".hdr", ".img"])
def test_two_file_nifti_is_refused_in_words(tmp_path, suffix):
    nib.save(nib.Nifti1Pair(scan().array_DHW.T, np.diag([1, 2, 3, 1])), tmp_path / "a.hdr")
    with pytest.raises(ImageError, match="two-file"):
        read_stored(tmp_path / f"a{suffix}")


def test_unsigned_64_bit_values_keep_every_digit(tmp_path):
    array = np.full((2, 3, 4), 2**63 + 1, np.uint64)
    path = tmp_path / "a.nrrd"
    nrrd(path, array.tobytes(), type="uint64", sizes="4 3 2")
    assert examine(path, random_points(peek(path), 3)).values.tolist() == [2**63 + 1] * 3


@pytest.mark.parametrize("space", ["left-posterior-superior", "RAS", "LAS", "lps", "right-anterior-superior"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_nrrd_in_each_space_and_encoding(tmp_path, space, encoding):
    pack = {"raw": bytes, "gzip": gzip.compress, "bzip2": bz2.compress,
            "ascii": lambda data: " ".join(map(str, scan().array_DHW.ravel())).encode()}[encoding]  # fmt: skip
    directions = " ".join(f"({','.join(map(repr, axis))})" for axis in (rotation() * (1.25, 0.75, 3)).T.tolist())
    path = tmp_path / "a.nrrd"
    nrrd(path, pack(scan().array_DHW.tobytes()), space=space, encoding=encoding, space_directions=directions)
    if encoding == "bzip2":  # not built into SimpleITK
        np.testing.assert_array_equal(read_stored(path).array_DHW, scan().array_DHW)
    else:
        assert_read_as_others_do(path)


def test_nrrd_behind_skipped_lines_and_bytes_and_detached(tmp_path):
    voxels = scan().array_DHW.tobytes()
    (tmp_path / "a.raw").write_bytes(b"one\ntwo\n" + b"1234567" + voxels)
    skipping = {"line skip": "2", "byte skip": "7", "data file": "a.raw"}
    assert_read_as_others_do(nrrd(tmp_path / "a.nhdr", b"", **skipping))
    (tmp_path / "b.raw").write_bytes(b"any header" + voxels)
    assert_read_as_others_do(nrrd(tmp_path / "b.nhdr", b"", **{"byte skip": "-1", "data file": "b.raw"}))


def test_nrrd_in_hexadecimal_and_of_unknown_space_is_refused_in_words(tmp_path):
    for changed in ({"encoding": "hex"}, {"space": "scanner-xyz"}, {"space": None, "space dimension": "3"}):
        with pytest.raises(ImageError, match=r"a\.nrrd: .*;"):
            read_stored(nrrd(tmp_path / "a.nrrd", **changed))


PACKED = zlib.compress(scan().array_DHW.tobytes())
SYNONYMS = [
    {"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"},
    {"Offset": None, "Position": "4 5 6"},
    {"Offset": None, "Origin": "4 5 6"},
    {"Offset": "4 5 6", "Origin": "4 5 6"},
    {"TransformMatrix": None, "Rotation": "0 1 0 -1 0 0 0 0 1"},
    {"TransformMatrix": None, "AnatomicalOrientation": "RAI"},
    {"AnatomicalOrientation": "LPS"},
    {"CenterOfRotation": "7 7 7"},
    # Without the size SimpleITK gives what happens to be in memory.
    {"CompressedData": "True", "CompressedDataSize": str(len(PACKED))},
]


@pytest.mark.parametrize("changed", SYNONYMS)
def test_metaimage_synonyms(tmp_path, changed):
    voxels = scan().array_DHW.astype(">i2" if "ElementByteOrderMSB" in changed else "<i2").tobytes()
    path = tmp_path / "a.mha"
    metaimage(path, PACKED if "CompressedData" in changed else voxels, **changed)
    assert_read_as_others_do(path)


def test_metaimage_with_detached_data_behind_a_header(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"any header" + scan().array_DHW.tobytes())
    for size in ("10", "-1"):
        assert_read_as_others_do(metaimage(tmp_path / "a.mhd", b"", ElementDataFile="a.raw", HeaderSize=size))


@pytest.mark.parametrize("changed", [
    {"Offset": "4 5 6", "Origin": "7 8 9"}, {"TransformMatrix": None, "AnatomicalOrientation": "LPS"},
    {"CompressedData": "maybe"}, {"ObjectType": "Tube"}, {"ElementToIntensityFunctionSlope": "2"},
])  # fmt: skip
def test_metaimages_that_contradict_themselves_or_that_others_ignore_parts_of_are_refused(tmp_path, changed):
    with pytest.raises(ImageError, match=r"a\.mha: .*;"):
        read_stored(metaimage(tmp_path / "a.mha", **changed))
