"""Which DICOM files of a folder are one volume, and where its slices lie."""

import os

import numpy as np
import pytest
from dicom_series_files import expected, series, set_all, write

from fuzz.dicom_mutants import PIXELS, POSITION, SECRET, decimals
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import examine, peek, read_stored


def test_the_distance_of_slices_comes_from_their_positions(tmp_path):
    made = set_all(set_all(series(), 0x00180050, "DS", "9"), 0x00180088, "DS", "-7")
    assert peek(write(made, tmp_path / "ct")).spacing_mm[0] == pytest.approx(3.0)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_still_even(tmp_path):
    made = series(spacing=(1.25, 1.25, 1.25))
    for index, item in enumerate(made.slices):
        place = made.origin + index * 1.25 * made.normal
        item[POSITION] = ("DS", "\\".join(f"{value:.2f}" for value in place))
    assert peek(write(made, tmp_path / "ct")).spacing_mm[0] == pytest.approx(1.25, abs=0.01)


@pytest.mark.parametrize(
    ("tag", "kind", "value", "reason"),
    [
        (0x00280004, "CS", "MONOCHROME1", "inverted"),
        (0x00280004, "CS", "PALETTE COLOR", "colour"),
        (0x00280002, "US", 3, "colour"),
        (0x00283000, "SQ", [{0x00283002: ("US", 1)}], "look-up table"),
        (0x00281053, "DS", "0", "slope of 0"),
        (0x00281053, "DS", "nan", r"rescale slope \(0028,1053\)"),
        (0x00280030, "DS", "0\\1", "spacing"),
        (0x00280030, "DS", "nan\\1", r"pixel spacing \(0028,0030\)"),
        (0x00200032, "DS", "1\\1_0\\1", r"its position \(0020,0032\) is missing or not 3 numbers"),
        (0x00280101, "US", 17, "17 of 16 bits"),
        (0x00280102, "US", 14, "the highest 14"),
        (0x00280010, "US", 65535, "bytes of pixels where"),
        (0x00280008, "IS", "2", "bytes of pixels where"),
        (0x00200037, "DS", "1\\0\\0\\1\\0\\0", "length 1|inverted"),
        (0x00200037, "DS", "2\\0\\0\\0\\1\\0", "length 1"),
    ],
)
def test_slices_whose_values_or_places_have_no_certain_meaning_are_refused(tmp_path, tag, kind, value, reason):
    with pytest.raises(ImageError, match=reason) as refusal:
        read_stored(write(set_all(series(), tag, kind, value), tmp_path / "ct"))
    assert SECRET not in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_tilt_too_small_to_see_between_two_slices_is_refused_over_many(tmp_path):
    made = series()
    lean = made.normal + 0.02 * made.axes[:, 0]
    for index, item in enumerate(made.slices):
        item[POSITION] = ("DS", decimals(made.origin + index * 3.0 * lean))
    with pytest.raises(ImageError, match="gantry was tilted"):
        peek(write(made, tmp_path / "ct"))


def test_mixed_series_are_named_with_what_to_do(tmp_path):
    made = series()
    made.slices[2][0x0020000E] = ("UI", "1.2.9")
    with pytest.raises(ImageError, match=r"2 DICOM series .*like a\.dcm.*like e\.dcm.*folder of its own"):
        peek(write(made, tmp_path / "ct"))


def test_other_frames_of_reference_are_not_one_volume(tmp_path):
    made = series()
    made.slices[2][0x00200052] = ("UI", "1.2.9")
    with pytest.raises(ImageError, match="export one series"):
        peek(write(made, tmp_path / "ct"))


def test_files_beside_the_slices_are_passed_over_and_strangers_are_named(tmp_path):
    made = series()
    folder = write(made, tmp_path / "ct", DICOMDIR=b"index", **{"notes.txt": b"x", ".DS_Store": b"x"})
    (folder / "older").mkdir()
    assert peek(folder).shape_DHW == (5, 4, 6)
    os.mkfifo(folder / "zz")
    with pytest.raises(ImageError, match="zz: is no DICOM file"):
        peek(folder)


@pytest.mark.parametrize(
    "name",
    ["Thumbs.db", "desktop.ini", "AUTORUN.INF", "label.nii", "label.nii.gz", "label.seg.nrrd", "scan.mha", "scan.MHD"],
)  # fmt: skip
def test_files_of_the_system_and_images_in_other_formats_beside_the_slices_refuse_nothing(tmp_path, name):
    made = series()
    np.testing.assert_allclose(
        read_stored(write(made, tmp_path / "ct", **{name: b"x" * 300})).array_DHW, expected(made), rtol=1e-6
    )


def test_a_slice_named_like_another_format_is_a_slice_and_such_files_alone_are_no_series(tmp_path):
    made = series()
    made.names[4] = "d.nii"
    assert peek(write(made, tmp_path / "ct")).shape_DHW == (5, 4, 6)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.nii").write_bytes(b"x")
    with pytest.raises(ImageError, match="holds no DICOM slices"):
        peek(tmp_path / "none")


@pytest.mark.parametrize(("spacing", "fits"), [("1.25001\\0.75", True), ("1.251\\0.75", False)])
def test_spacings_that_differ_only_in_their_digits_are_one_series(tmp_path, spacing, fits):
    made = series()
    made.slices[2][0x00280030] = ("DS", spacing)
    folder = write(made, tmp_path / "ct")
    if fits:
        assert peek(folder).spacing_mm[1] == pytest.approx(1.25, rel=1e-4)
    else:
        with pytest.raises(ImageError, match="another size, spacing or orientation"):
            peek(folder)


@pytest.mark.parametrize("damaged", [0, 2])
def test_the_first_and_the_middle_slice_are_looked_at_with_points_and_without(tmp_path, damaged):
    made = series(bits=(16, 12), signed=False)
    kind, data = made.slices[damaged][PIXELS]
    made.slices[damaged][PIXELS] = (kind, (np.frombuffer(data, "<u2") | 0x8000).tobytes())
    folder = write(made, tmp_path / "ct")
    elsewhere = made.origin + 3 * made.step_mm * made.normal
    for points in (np.empty((0, 3)), elsewhere[None]):
        with pytest.raises(ImageError, match="beyond the 12 bits"):
            examine(folder, points)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = write(series(), tmp_path / "ct")
    (folder / "a.dcm").rename(tmp_path / "secret.dcm")
    (folder / "a.dcm").symlink_to(tmp_path / "secret.dcm")
    with pytest.raises(ImageError, match=r"a\.dcm: is a link out of the folder"):
        peek(folder)
