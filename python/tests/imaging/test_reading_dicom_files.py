"""What DICOM files say of their pixels and places: read as meant, or refused in words, never with a patient's name."""

import os
import random
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_series_files import expected, series, set_all, write

from fuzz.dicom_bytes import BIG, EXPLICIT, IMPLICIT, RUN_LENGTHS, dicom_file
from fuzz.dicom_mutants import PIXELS
from fuzz.mutant import flip_bits
from organincrement.imaging.dicom_frames import read_slices
from organincrement.imaging.dicom_pixels import read_slices_pixels
from organincrement.imaging.dicom_tags import read_dicom_file
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import examine, peek, read_stored
from organincrement.imaging.sources import open_source

SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, RUN_LENGTHS])
@pytest.mark.parametrize("bits", [(8, 8), (16, 16), (16, 12)])
@pytest.mark.parametrize("signed", [True, False])
def test_pixels_of_every_layout_get_the_rescale_of_their_own_slice(tmp_path, syntax, bits, signed):
    made = series(syntax=syntax, bits=bits, signed=signed)
    read = read_stored(write(made, tmp_path / "ct"))
    np.testing.assert_allclose(read.array_DHW, expected(made), rtol=1e-6)
    assert read.spacing_mm == pytest.approx((3.0, 1.25, 0.75))
    np.testing.assert_allclose(read.origin_mm, made.origin, atol=1e-6)
    np.testing.assert_allclose(read.direction, np.column_stack([made.axes, made.normal]), atol=1e-6)


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_an_enhanced_file_is_read_frame_by_frame(tmp_path, syntax):
    made = series(syntax=syntax, one_file=True)
    folder = write(made, tmp_path / "ct")
    for path in (folder, folder / "all.dcm"):
        np.testing.assert_allclose(read_stored(path).array_DHW, expected(made), rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE", "MR_small_padded", "MR_small_bigendian", "MR_small_expb", "MR_small_implicit",
     "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"],
)  # fmt: skip
def test_one_slice_in_every_transfer_syntax_has_the_same_pixels(name):
    (original,) = read_slices_pixels(read_slices(read_dicom_file(SAMPLES / "MR_small.dcm")))
    (read,) = read_slices_pixels(read_slices(read_dicom_file(SAMPLES / f"{name}.dcm")))
    np.testing.assert_array_equal(read, original)
    np.testing.assert_array_equal(read, pydicom.dcmread(SAMPLES / "MR_small.dcm").pixel_array)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("J2K_pixelrep_mismatch", "differ in their sign"),
        ("MR_truncated", "cut off: 8130 of 8192"),
        ("SC_rgb_small_odd", "colour"),
        ("rtdose_1frame", "a dose"),
        ("rtdose", "a dose"),
        ("reportsi", "holds no image"),
        ("rtplan_truncated", "cut off"),
        ("rtstruct", "no DICOM file"),
    ],
)
def test_files_that_other_readers_open_wrongly_are_refused(name, reason):
    with pytest.raises(ImageError, match=rf"{name}\.dcm: .*{reason}"):
        list(read_slices_pixels(read_slices(read_dicom_file(SAMPLES / f"{name}.dcm"))))


@pytest.mark.parametrize("name", ["MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
@pytest.mark.parametrize("change", ["rows", "half", "end"])
def test_a_codestream_of_another_size_or_cut_short_is_refused_before_it_is_decoded(tmp_path, name, change):
    file = pydicom.dcmread(SAMPLES / f"{name}.dcm")
    if change == "rows":
        file.Rows = 128
    else:
        (frame,) = pydicom.encaps.generate_frames(file.PixelData, number_of_frames=1)
        kept = frame[: len(frame) // 2 * 2 - 8] if change == "end" else frame[: len(frame) // 4 * 2]
        file.PixelData = pydicom.encaps.encapsulate([kept])
    file.save_as(tmp_path / "slice.dcm")
    with pytest.raises(ImageError, match=r"slice\.dcm: its compressed pixels"):
        list(read_slices_pixels(read_slices(read_dicom_file(tmp_path / "slice.dcm"))))


def test_a_damaged_codestream_is_refused_by_its_name(tmp_path):
    data = bytearray((SAMPLES / "MR_small_jp2klossless.dcm").read_bytes())
    place = data.index(b"\xff\x4f\xff\x51") + 60
    data[place : place + 40] = bytes(40)
    (tmp_path / "slice.dcm").write_bytes(data)
    with pytest.raises(ImageError, match=r"slice\.dcm: cannot be decompressed; export it uncompressed"):
        list(read_slices_pixels(read_slices(read_dicom_file(tmp_path / "slice.dcm"))))


def test_bits_beyond_those_stored_are_an_overlay_where_one_is_declared_and_refused_elsewhere(tmp_path):
    made = series(bits=(16, 12), signed=False)
    for item in made.slices:
        item[PIXELS] = ("OW", (np.frombuffer(item[PIXELS][1], "<u2") | 0x8000).tobytes())
    with pytest.raises(ImageError, match="beyond the 12 bits"):
        read_stored(write(made, tmp_path / "undeclared"))
    set_all(made, 0x60000100, "US", 16)
    set_all(made, 0x60000102, "US", 15)
    np.testing.assert_allclose(read_stored(write(made, tmp_path / "declared")).array_DHW, expected(made), rtol=1e-6)


@pytest.mark.parametrize(("padding", "is_read"), [(b"x" * 6, True), (bytes(40), True), (b"x" * 40, False)])
def test_what_follows_the_pixels_is_padding_below_a_column_or_when_it_is_zero(tmp_path, padding, is_read):
    made = series()
    kind, data = made.slices[2][PIXELS]
    made.slices[2][PIXELS] = (kind, data + padding)
    folder = write(made, tmp_path / "ct")
    if is_read:
        np.testing.assert_allclose(read_stored(folder).array_DHW, expected(made), rtol=1e-6)
    else:
        with pytest.raises(ImageError, match="bytes of pixels where"):
            read_stored(folder)


def test_pixels_of_one_frame_more_are_no_padding(tmp_path):
    made = series()
    kind, data = made.slices[2][PIXELS]
    made.slices[2][PIXELS] = (kind, data + bytes(len(data)))
    with pytest.raises(ImageError, match="bytes of pixels where"):
        read_stored(write(made, tmp_path / "ct"))


@pytest.mark.parametrize("unstated", [True, False])
def test_items_nested_without_end_are_refused(tmp_path, unstated):
    nested = {0x00080005: ("CS", "x")}
    for _ in range(40):
        nested = {0x00089215: ("SQ", [nested])}
    made = series()
    data = dicom_file({**made.slices[0], **nested}, EXPLICIT, unstated=True)
    folder = write(made, tmp_path / "ct", **{"c.dcm": data})
    with pytest.raises(ImageError, match=r"c\.dcm: nests its items"):
        peek(folder)


def test_a_slice_cut_off_at_any_byte_is_refused(tmp_path):
    made = series()
    folder = write(made, tmp_path / "ct")
    whole = (folder / "a.dcm").read_bytes()
    for size in range(0, len(whole), 7):
        (folder / "a.dcm").write_bytes(whole[:size])
        with pytest.raises(ImageError, match=r"a\.dcm"):
            peek(folder)


def test_only_slices_with_points_are_read_to_sample_a_series(tmp_path):
    made = series()
    folder = write(made, tmp_path / "ct")
    points = np.array([made.origin + 2 * 3.0 * made.normal + 0.75 * made.axes[:, 0], [1e6, 0, 0]])
    image = examine(folder, points)
    assert image.inside.tolist() == [True, False]
    assert image.values[0] == pytest.approx(expected(made)[2, 0, 1])


def test_a_slice_that_vanishes_or_shrinks_after_the_check_is_refused(tmp_path):
    folder = write(series(), tmp_path / "ct")
    for change, reason in (
        (lambda path: os.truncate(path, 400), r"cut off"),
        (Path.unlink, "ct: is cut off or damaged"),
    ):
        source = open_source(folder)
        change(folder / "a.dcm")
        with pytest.raises(ImageError, match=reason):
            source.read()
        (folder / "a.dcm").write_bytes(series().files()["a.dcm"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MR_small_jp2klossless", "MR_small_jpeg_ls_lossless"])
def test_damaged_codestreams_end_at_worst_the_process_that_decodes_them(tmp_path, name):
    data = (SAMPLES / f"{name}.dcm").read_bytes()
    begin = data.index(b"\xff\x4f\xff\x51" if "jp2k" in name else b"\xff\xd8\xff")
    outcomes = []
    for number in range(8):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(flip_bits(data, random.Random(number), begin, len(data)))
        try:
            (read,) = read_slices_pixels(read_slices(read_dicom_file(path)))
            # Where the codestream has no checksum, another value is all that can come of it.
            outcomes.append(read.shape == (64, 64) and bool(np.isfinite(read).all()))
        except ImageError as error:
            outcomes.append(str(tmp_path) in str(error) and "\n" not in str(error))
    assert all(outcomes)
