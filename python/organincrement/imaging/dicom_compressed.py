"""Compressed DICOM pixels: whether the codestream is whole and of the size that the header says; run lengths decoded.

A decoder given a codestream of another size than the header's, or a shorter one, may return grey without a word.
Sources: DICOM PS3.5 (2024), A.4 and annex G; ITU-T T.81 B.2, T.87 C.2, T.800 A.5.
"""

import itertools
import struct
from typing import BinaryIO

import numpy as np

from organincrement.imaging.dicom_frames import Slice
from organincrement.imaging.errors import ImageError

RUN_LENGTHS = "1.2.840.10008.1.2.5"
JPEG_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91))
RUN_LENGTH_HEADER_BYTES = 64
MAX_FRAGMENTS = 10_000
MAX_CODESTREAM_BYTES = 512 * 2**20
# Frame headers of JPEG and JPEG-LS; the numbers between are tables.
FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def encoded_frame(item: Slice) -> bytes:
    """The codestream of the one frame of a file; raises ImageError when it is cut off or there are several frames."""
    pixels = item.pixels
    if pixels.frames != 1 or pixels.enhanced or pixels.data.file_bytes is not None:
        raise ImageError(f"{item.path}: is an enhanced image with compressed frames; export it uncompressed")
    with item.path.open("rb") as file:
        file.seek(pixels.data.offset)
        parts = []
        while (size := _item_bytes(item, file)) is not None:
            part = file.read(size)
            parts.append(part)
            if len(part) != size or len(parts) > MAX_FRAGMENTS or sum(map(len, parts)) > MAX_CODESTREAM_BYTES:
                raise _cut_off(item)
    return b"".join(parts[1:])  # the first item lists where the frames begin


def check_codestream(item: Slice) -> None:
    """Raise ImageError unless the codestream begins and ends as it must and has the size that the header says."""
    data = encoded_frame(item)
    if item.pixels.syntax == RUN_LENGTHS:
        _segments(item, data)
        return
    if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise _cut_off(item)
    is_2000 = data.startswith(b"\xff\x4f\xff\x51")
    found = _jpeg_2000_size(data) if is_2000 else _jpeg_size(data)
    height, width = item.pixels.shape_HW
    if found is None or found[:3] != (height, width, 1) or not 1 <= found[3] <= item.pixels.allocated_bits:
        raise ImageError(f"{item.path}: its compressed pixels are not of the size that it says; export it again")
    # Some decoders follow the codestream here and some the header.
    if is_2000 and (data[42] >= 0x80) != item.pixels.signed:
        raise ImageError(f"{item.path}: its header and its compressed pixels differ in their sign; export it again")


def unpacked(item: Slice) -> np.ndarray:
    """The bytes of a run-length coded frame in the order of little-endian pixels; raises ImageError when it is cut."""
    data = encoded_frame(item)
    count = item.pixels.shape_HW[0] * item.pixels.shape_HW[1]
    segments = _segments(item, data)
    planes = np.empty((count, len(segments)), np.uint8)
    for plane, (start, end) in enumerate(reversed(segments)):  # the most significant byte comes first
        planes[:, plane] = _unpacked_segment(item, data[start:end], count)
    return planes.ravel()


def _segments(item: Slice, data: bytes) -> list[tuple[int, int]]:
    """Where the packed bytes of each byte of the pixels begin and end."""
    width = item.pixels.allocated_bits // 8
    if len(data) < RUN_LENGTH_HEADER_BYTES:
        raise _cut_off(item)
    count, *starts = struct.unpack_from("<16I", data)
    places = [*starts[:width], len(data)]
    if count != width or places[0] < RUN_LENGTH_HEADER_BYTES or sorted(places) != places:
        raise _cut_off(item)
    return list(itertools.pairwise(places))


def _unpacked_segment(item: Slice, data: bytes, count: int) -> np.ndarray:
    values = bytearray(count)
    position = length = 0
    while length < count:
        if position + 1 >= len(data):
            raise _cut_off(item)
        control = data[position]
        if control < 128:
            end, run = position + 2 + control, control + 1
            if end > len(data):
                raise _cut_off(item)
            values[length : length + run] = data[position + 1 : end]
            position = end
        elif control > 128:
            run = 257 - control
            if data[position + 1]:  # zeros are there already
                values[length : length + run] = data[position + 1 : position + 2] * run
            position += 2
        else:
            run, position = 0, position + 1
        length += run
    if length != count:
        raise _cut_off(item)
    return np.frombuffer(values, np.uint8)


def _item_bytes(item: Slice, file: BinaryIO) -> int | None:
    head = file.read(8)
    if len(head) == 8:
        group, element, size = struct.unpack("<HHI", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            return None
        if (group, element) == (0xFFFE, 0xE000) and size <= MAX_CODESTREAM_BYTES:
            return int(size)
    raise _cut_off(item)


def _jpeg_size(data: bytes) -> tuple[int, int, int, int] | None:
    """Height, width, components and bits of a JPEG or JPEG-LS codestream."""
    position = 2
    while data[:2] == b"\xff\xd8" and position + 10 <= len(data) and data[position] == 0xFF:
        marker, size = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in FRAME_MARKERS:
            bits, height, width, components = struct.unpack_from(">BHHB", data, position + 4)
            return height, width, components, bits
        if marker == 0xDA:
            return None
        position += 1 if marker == 0xFF else 2 + size
    return None


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int, int] | None:
    """Height, width, components and bits of a JPEG 2000 codestream."""
    if len(data) < 43:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    (components,) = struct.unpack_from(">H", data, 40)
    return bottom - top, right - left, components, (data[42] & 0x7F) + 1


def _cut_off(item: Slice) -> ImageError:
    return ImageError(f"{item.path}: its compressed pixels are cut off or damaged; export the series again")
