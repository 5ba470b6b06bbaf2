"""The pixels of DICOM slices as numbers: plain and run-length coded here, what is JPEG in a process of its own.

Source: DICOM PS3.5 (2024), sections 8 and 8.1.1 (bits), annex G (run lengths).
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from organincrement.imaging.dicom_compressed import JPEG_SYNTAXES, RUN_LENGTHS, check_codestream, unpacked
from organincrement.imaging.dicom_frames import Slice
from organincrement.imaging.dicom_tags import DEFLATED, EXPLICIT_BIG, IMPLICIT_LITTLE
from organincrement.imaging.errors import ImageError
from organincrement.imaging.limited import LimitError, Limits, run_limited

PLAIN_SYNTAXES = (IMPLICIT_LITTLE, "1.2.840.10008.1.2.1", EXPLICIT_BIG, DEFLATED)
DECODING_BYTES = 2 * 2**30
SECONDS_PER_SLICE = 1.0


def check_slice(item: Slice) -> None:
    """Raise ImageError unless the pixels are stored in a way that can be read and look whole."""
    pixels = item.pixels
    if pixels.data.bytes is not None:
        if pixels.syntax not in PLAIN_SYNTAXES:
            raise ImageError(f"{item.path}: says that its pixels are compressed, and they are not; export it again")
        if pixels.big_endian and pixels.allocated_bits == 8 and pixels.data.words:
            raise ImageError(f"{item.path}: has bytes stored as big-endian words; export it as little endian")
    elif pixels.syntax in JPEG_SYNTAXES or pixels.syntax == RUN_LENGTHS:
        check_codestream(item)
    else:
        raise ImageError(f"{item.path}: is compressed in a way that is not read; export it uncompressed")


def read_slices_pixels(slices: Sequence[Slice], *, checked: bool = False) -> Iterator[np.ndarray]:
    """The values (H, W) as float32 of each slice in turn; raises ImageError for one that cannot be read.

    checked: `check_slice` has been called for each, as `read_series` does.
    """
    if not checked:
        for item in slices:
            check_slice(item)
    jpeg = [item for item in slices if item.pixels.syntax in JPEG_SYNTAXES]
    decoded = iter(_jpeg_slices(jpeg))
    for item in slices:
        yield next(decoded) if item.pixels.syntax in JPEG_SYNTAXES else _own_slice(item)


def _own_slice(item: Slice) -> np.ndarray:
    pixels = item.pixels
    kind = f"{'i' if pixels.signed else 'u'}{pixels.allocated_bits // 8}"
    if pixels.syntax == RUN_LENGTHS:
        stored_HW = unpacked(item).view(f"<{kind}").reshape(pixels.shape_HW)
    else:
        order = ">" if pixels.big_endian else "<"
        stored_HW = np.frombuffer(plain_bytes(item), f"{order}{kind}").reshape(pixels.shape_HW)
    values_HW = _counted_bits(item, stored_HW) * np.float64(item.slope) + item.intercept
    return values_HW.astype(np.float32)


def plain_bytes(item: Slice) -> bytes:
    """The stored bytes of one uncompressed frame; raises ImageError when they are not there any more."""
    pixels = item.pixels
    start, size = pixels.data.offset + item.frame * pixels.frame_bytes, pixels.frame_bytes
    if pixels.data.file_bytes is not None:
        return pixels.data.file_bytes[start : start + size]
    with item.path.open("rb") as file:
        file.seek(start)
        data = file.read(size)
    if len(data) != size:
        raise ImageError(f"{item.path}: is cut off; copy or export the series again")
    return data


def _counted_bits(item: Slice, stored_HW: np.ndarray) -> np.ndarray:
    """The numbers in the bits that count; raises ImageError when the others hold something nobody has declared."""
    pixels = item.pixels
    if pixels.stored_bits == pixels.allocated_bits:
        return stored_HW
    unused = pixels.allocated_bits - pixels.stored_bits
    native_HW = stored_HW.astype(stored_HW.dtype.newbyteorder("="))
    # Up and down again: an arithmetic shift repeats the sign.
    counted_HW = (native_HW << unused) >> unused
    unsigned_too = native_HW.view(f"u{native_HW.itemsize}") & ((1 << pixels.stored_bits) - 1)
    plain = (counted_HW == native_HW).all() or (unsigned_too == native_HW.view(f"u{native_HW.itemsize}")).all()
    if not plain and not pixels.has_overlay:
        raise ImageError(
            f"{item.path}: has values beyond the {pixels.stored_bits} bits that it says; export the series again"
        )
    return counted_HW


def _jpeg_slices(slices: Sequence[Slice]) -> Iterator[np.ndarray]:
    """Decode in a process of its own: a damaged codestream may crash or hang the library that reads it."""
    if not slices:
        return
    with tempfile.TemporaryDirectory(prefix="organincrement-") as folder:
        out = Path(folder) / "values"
        arguments = {"paths": [str(item.path) for item in slices], "out": str(out)}
        limits = Limits(memory_bytes=DECODING_BYTES, wall_s=30 + SECONDS_PER_SLICE * len(slices))
        try:
            decoded = run_limited("organincrement.imaging.dicom_decoding:decode", arguments, limits)
        except LimitError as error:
            raise ImageError(f"{slices[0].path.parent}: {error}; export the series uncompressed") from None
        if decoded != len(slices):
            raise ImageError(f"{slices[decoded].path}: cannot be decompressed; export it uncompressed")
        with out.open("rb") as file:
            for item in slices:
                values = np.fromfile(file, np.float32, item.pixels.shape_HW[0] * item.pixels.shape_HW[1])
                yield _jpeg_values(item, values)


def _jpeg_values(item: Slice, values: np.ndarray) -> np.ndarray:
    """The decoder's values, when they are those that the header allows."""
    pixels = item.pixels
    half = 1 << (pixels.stored_bits - 1)
    low, high = (-half, half - 1) if pixels.signed else (0, 2 * half - 1)
    ends = sorted(end * item.slope + item.intercept for end in (low, high))
    slack = abs(item.slope) / 2 + 1e-5 * max(map(abs, ends))
    fits = values.size == pixels.shape_HW[0] * pixels.shape_HW[1]
    if not fits or values.min() < ends[0] - slack or values.max() > ends[1] + slack:
        raise ImageError(f"{item.path}: has values beyond the {pixels.stored_bits} bits that it says; export it again")
    return values.reshape(pixels.shape_HW)
