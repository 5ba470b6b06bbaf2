"""DICOM folders: slices in order of position, and every irregular series refused by name."""

import struct

import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import rotation, scan

from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import grid_difference
from organincrement.imaging.safe_read import peek, read_image
from organincrement.imaging.volume import Volume


def write_slices(folder, volume, *, series="1.2.3", skip=(), shift_mm=None, tags=None):
    """One file a slice, named in an order that is not that of the positions."""
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    image = volume.to_sitk()
    for index in range(volume.shape_DHW[0]):
        if index in skip:
            continue
        one = image[:, :, index]
        position = np.array(image.TransformIndexToPhysicalPoint((0, 0, index)))
        if shift_mm is not None:
            position = position + index * np.array(shift_mm)
        values = {
            "0008|0060": "CT",
            "0020|000e": series,
            "0020|000d": "1.2",
            "0008|0018": f"{series}.{index + 1}",
            "0020|0032": "\\".join(f"{value:.6f}" for value in position),
            "0020|0037": "\\".join(f"{value:.9f}" for value in volume.direction[:, :2].T.ravel()),
            "0028|1052": "-1024",
            "0028|1053": "1",
            **(tags or {}),
        }
        for key, value in values.items():
            one.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{(index * 7) % 10}_{series}.dcm"))
        writer.Execute(one)
    return folder


def without_element(data: bytes, tag: bytes) -> bytes:
    """Cut an element out of a little endian DICOM file; its length follows the tag, or the two letters of its type."""
    start = data.index(tag)
    explicit = data[start + 4 : start + 6].isalpha()
    (length,) = struct.unpack_from("<H" if explicit else "<I", data, start + (6 if explicit else 4))
    return data[:start] + data[start + 8 + length :]


def ct() -> Volume:
    volume = scan((6, 5, 7))
    return volume.with_array(volume.array_DHW - 1000)


def test_slices_are_put_in_order_of_position_with_their_rescale(tmp_path):
    folder = write_slices(tmp_path / "series", ct())
    (folder / "README.txt").write_text("exported", encoding="utf-8")
    read = read_image(folder)
    np.testing.assert_array_equal(read.array_DHW, ct().array_DHW)
    assert grid_difference(read, ct(), 1e-3) is None
    assert peek(folder).shape_DHW == (6, 5, 7)


def test_a_series_stored_from_head_to_foot_is_turned_along_its_normal(tmp_path):
    flipped = scan((4, 5, 6), direction=rotation() * np.array([1, 1, -1]))
    read = read_image(write_slices(tmp_path / "series", flipped))
    np.testing.assert_array_equal(read.array_DHW, flipped.array_DHW[::-1])
    assert np.linalg.det(read.direction) == pytest.approx(1)


def test_a_missing_slice_is_refused(tmp_path):
    with pytest.raises(ImageError, match="missing or uneven"):
        read_image(write_slices(tmp_path / "series", ct(), skip=(2,)))


def test_one_slice_is_no_volume(tmp_path):
    with pytest.raises(ImageError, match="1 DICOM slices"):
        read_image(write_slices(tmp_path / "series", ct(), skip=(1, 2, 3, 4, 5)))


def test_a_slice_that_is_there_twice_is_refused(tmp_path):
    folder = write_slices(tmp_path / "series", ct())
    path = sorted(folder.iterdir())[0]
    (folder / "again.dcm").write_bytes(path.read_bytes())
    with pytest.raises(ImageError, match="two slices at one position"):
        read_image(folder)


def test_two_series_in_one_folder_are_refused(tmp_path):
    folder = write_slices(tmp_path / "series", ct())
    write_slices(folder, ct(), series="1.2.4")
    with pytest.raises(ImageError, match="2 DICOM series"):
        read_image(folder)


def test_a_tilted_gantry_is_refused(tmp_path):
    sideways = 0.2 * rotation()[:, 1]
    with pytest.raises(ImageError, match="gantry was tilted"):
        read_image(write_slices(tmp_path / "series", ct(), shift_mm=sideways))


def test_slices_of_another_orientation_are_refused(tmp_path):
    folder = write_slices(tmp_path / "series", ct(), skip=(5,))
    turned = scan((6, 5, 7), direction=rotation(10, 5))
    write_slices(folder, turned, skip=(0, 1, 2, 3, 4))
    with pytest.raises(ImageError, match="another size, spacing or orientation"):
        read_image(folder)


def test_a_ct_without_rescale_is_refused(tmp_path):
    folder = write_slices(tmp_path / "series", ct())
    path = sorted(folder.iterdir())[0]
    path.write_bytes(without_element(path.read_bytes(), b"\x28\x00\x52\x10"))
    with pytest.raises(ImageError, match="no rescale"):
        read_image(folder)


def test_a_damaged_slice_is_refused_by_name(tmp_path):
    folder = write_slices(tmp_path / "series", ct())
    (folder / "slice_99.dcm").write_bytes(b"")
    with pytest.raises(ImageError, match=r"slice_99\.dcm"):
        read_image(folder)
