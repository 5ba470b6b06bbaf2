"""The voxels of an image file, decoded by its checked header.

Decoded here and not by an image library because those return zeros, hang or crash on damaged files.
"""

import bz2
import contextlib
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header
from organincrement.imaging.preflight import check_extra

PIECE_BYTES = 4 * 2**20
PACKED_BYTES = 256 * 2**10
LARGEST_TEXT_BYTES = 64 * 2**20
LARGEST_WORD_BYTES = 64


class _Inflated(io.RawIOBase):
    """A zlib stream, or a gzip file of any number of members, as a file; a third faster than the `gzip` module's."""

    def __init__(self, file: BinaryIO, *, members: bool) -> None:
        self._file, self._members = file, members
        self._inflate = self._new()

    def readable(self) -> bool:
        """True: nothing else can be done with it."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as one step gives; 0 at the end. Raises EOFError when the stream has none."""
        data = self._inflate.unconsumed_tail
        while not self._inflate.eof:
            data = data or self._file.read(PACKED_BYTES)
            inflated = self._inflate.decompress(data, len(buffer))
            if self._inflate.eof and self._members:
                self._next_member()
            if inflated:
                buffer[: len(inflated)] = inflated
                return len(inflated)
            if not data:
                raise EOFError("the compressed data end too early")
            data = self._inflate.unconsumed_tail
        return 0

    def _next_member(self) -> None:
        # Zeros may fill up the last block of a tape.
        rest = self._inflate.unused_data.lstrip(b"\0")
        while not rest and (more := self._file.read(PACKED_BYTES)):
            rest = more.lstrip(b"\0")
        if rest:
            self._file.seek(-len(rest), io.SEEK_CUR)
            self._inflate = self._new()

    def _new(self) -> "zlib._Decompress":
        # zlib itself compares the length and the checksum at the end of each member.
        return zlib.decompressobj(wbits=31 if self._members else 15)


def read_voxels(header: Header) -> np.ndarray:
    """The voxels (D, H, W) in the machine's byte order, in the stored type, or float32 where slope and intercept apply.

    Raises ImageError when the data are cut off, damaged, too long for the header, or hold a value that is not finite.
    """
    with reading(header):
        stored_DHW = _text_voxels(header) if header.encoding == "text" else _binary_voxels(header)
        values_DHW = _scaled(header, stored_DHW)
    check_finite(header, values_DHW)
    return values_DHW


def read_slabs(header: Header, slices: int) -> Iterator[np.ndarray]:
    """The voxels of `read_voxels`, so many slices (D, H, W) at a time, in the memory of these; errors as there."""
    if header.encoding == "text":
        whole_DHW = read_voxels(header)
        yield from (whole_DHW[start : start + slices] for start in range(0, len(whole_DHW), slices))
        return
    depth, height, width = header.shape_DHW
    with reading(header), opened_voxels(header) as stream:
        for start in range(0, depth, slices):
            stored_DHW = np.empty((min(slices, depth - start), height, width), header.stored)
            _fill(stream, memoryview(stored_DHW.reshape(-1).view(np.uint8)))
            values_DHW = _scaled(header, stored_DHW)
            check_finite(header, values_DHW)
            yield values_DHW
        _check_end(header, stream)


def value_type(header: Header) -> np.dtype:
    """The type that `read_voxels` gives: the stored one in the machine's order, float32 where a slope applies."""
    return np.dtype(np.float32) if _is_scaled(header) else header.stored.newbyteorder("=")


def sampled_voxels(header: Header, flat: np.ndarray) -> np.ndarray:
    """The values of voxels by their flat index, in little memory: the voxels pass by in pieces.

    Everything is read where only that shows damage (packed data, floating point numbers), else only the pieces that are
    asked for. Raises ImageError as `read_voxels`.
    """
    if header.encoding == "text":
        return read_voxels(header).ravel()[flat]
    order = np.argsort(flat, kind="stable")
    values = np.empty(flat.size, value_type(header))
    begin = 0
    with reading(header), opened_voxels(header) as stream:
        for start, stored in _pieces(header, stream, flat[order]):
            piece = _scaled(header, stored)
            check_finite(header, piece[None])
            end = begin + int(np.searchsorted(flat[order[begin:]], start + piece.size))
            here = order[begin:end]
            values[here] = piece[flat[here] - start]
            begin = end
    return values


def _pieces(header: Header, stream: BinaryIO, wanted: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Position of the first voxel, and voxels in their stored type, of every piece, or of those with a wanted voxel."""
    count = PIECE_BYTES // header.stored.itemsize
    total = header.data_bytes // header.stored.itemsize
    sparse = header.encoding == "raw" and not _may_be_infinite(header)
    starts = np.unique(wanted // count) * count if sparse else np.arange(0, total, count)
    for start in starts.tolist():
        if sparse:
            stream.seek(header.offset + header.skip + start * header.stored.itemsize)
        piece = np.empty(min(count, total - start), header.stored)
        _fill(stream, memoryview(piece.view(np.uint8)))
        yield start, piece
    if not sparse:
        _check_end(header, stream)


def check_voxels(header: Header) -> None:
    """Decompress everything without keeping it; raises ImageError when the data are cut off, damaged or too long."""
    with reading(header), opened_voxels(header) as stream:
        _skip(stream, header.data_bytes)
        _check_end(header, stream)


def check_finite(header: Header, values_DHW: np.ndarray) -> None:
    """Raise ImageError when a voxel is NaN or infinite."""
    # Slice by slice, so that no second array of the size of the scan is made.
    if values_DHW.dtype.kind == "f" and not all(np.isfinite(slice_HW).all() for slice_HW in values_DHW):
        raise ImageError(f"{header.path}: has voxels that are NaN or infinite; export it again without any")


@contextlib.contextmanager
def reading(header: Header) -> Iterator[None]:
    """Turns what goes wrong while reading into an ImageError that names the file."""
    try:
        yield
    except (EOFError, OSError, zlib.error) as error:
        raise ImageError(f"{header.path}: is cut off or damaged ({error}); copy or export it again") from None
    except MemoryError:
        raise ImageError(
            f"{header.path}: needs {header.data_bytes >> 20} MiB of memory, which is not free; close programs"
        ) from None


def _binary_voxels(header: Header) -> np.ndarray:
    buffer = np.empty(header.data_bytes, np.uint8)
    with opened_voxels(header) as stream:
        _fill(stream, memoryview(buffer))
        _check_end(header, stream)
    voxels_DHW = buffer.view(header.stored).reshape(header.shape_DHW)
    if not header.stored.isnative:
        voxels_DHW = voxels_DHW.byteswap(inplace=True).view(header.stored.newbyteorder("="))
    return voxels_DHW


def _text_voxels(header: Header) -> np.ndarray:
    count = int(np.prod(header.shape_DHW))
    with opened_voxels(header) as stream:
        text = stream.read(LARGEST_TEXT_BYTES + 1)
    if len(text) > LARGEST_TEXT_BYTES:
        raise ImageError(f"{header.path}: has over {LARGEST_TEXT_BYTES >> 20} MiB of text; save it as gzip")
    if len(text) < 2 * count - 1:  # a digit and a space each
        raise EOFError(f"{len(text)} bytes of text are no {count} voxels")
    voxels = np.empty(count, header.stored)
    done = 0
    for words in _words(text):
        numbers = _numbers(header, words)
        if done + len(numbers) > count:
            raise EOFError("more voxels are there than the header says")
        voxels[done : done + len(numbers)] = numbers
        done += len(numbers)
    if done != count:
        raise EOFError(f"{done} of {count} voxels are there")
    return voxels.reshape(header.shape_DHW)


def _words(text: bytes) -> Iterator[list[bytes]]:
    """The words of a text, some thousands at a time: a list of all of them would take many times its memory."""
    start = 0
    while start < len(text):
        end = min(len(text), start + PIECE_BYTES // 16)
        last = min(len(text), end + LARGEST_WORD_BYTES)
        while end < last and not text[end : end + 1].isspace():
            end += 1
        yield text[start:end].split()
        start = end


def _numbers(header: Header, words: list[bytes]) -> np.ndarray:
    kind = header.stored.kind
    if any(len(word) > LARGEST_WORD_BYTES or b"_" in word for word in words):
        raise ImageError(f"{header.path}: has voxels that are no numbers; export it again")
    try:
        numbers = [float(word) for word in words] if kind == "f" else [int(word) for word in words]
    except ValueError:
        raise ImageError(f"{header.path}: has voxels that are no numbers of their type; export it again") from None
    limits = np.finfo(header.stored) if kind == "f" else np.iinfo(header.stored)
    if not all(limits.min <= number <= limits.max for number in numbers):
        raise ImageError(f"{header.path}: has voxels out of range for their type; export it again")
    return np.array(numbers, header.stored)


def _fill(stream: BinaryIO, view: memoryview) -> None:
    """Read until the buffer is full; raises EOFError when there is too little."""
    position = 0
    while position < len(view):
        count = stream.readinto(view[position : position + PIECE_BYTES])  # type: ignore[attr-defined]
        if not count:
            raise EOFError(f"{position} of {len(view)} bytes are there")
        position += count


@contextlib.contextmanager
def opened_voxels(header: Header) -> Iterator[BinaryIO]:
    """The uncompressed bytes, positioned at the first voxel."""
    with header.data_path.open("rb") as file:
        file.seek(header.offset)
        stream: object = file
        if header.encoding in ("gzip", "zlib"):
            stream = _Inflated(file, members=header.encoding == "gzip")
        elif header.encoding == "bzip2":
            stream = bz2.BZ2File(file)
        _skip(cast(BinaryIO, stream), header.skip)
        yield cast(BinaryIO, stream)


def _skip(stream: BinaryIO, size: int) -> None:
    while size > 0:
        count = len(stream.read(min(size, PIECE_BYTES)))
        if not count:
            raise EOFError("the data end before the last voxel")
        size -= count


def _check_end(header: Header, stream: BinaryIO) -> None:
    # Reading to the end also compares the checksum of what is packed.
    extra = 0
    while extra <= header.spare_bytes and (count := len(stream.read(header.spare_bytes + 1 - extra))):
        extra += count
    check_extra(header, extra)


def _is_scaled(header: Header) -> bool:
    return (header.slope, header.intercept) != (1.0, 0.0)


def _may_be_infinite(header: Header) -> bool:
    """Whether a value can turn out not to be finite: floating point numbers, and whole ones times a vast slope."""
    if header.stored.kind == "f":
        return True
    limits = np.iinfo(header.stored)
    largest = max(abs(limits.min), limits.max) * abs(header.slope) + abs(header.intercept)
    return largest > float(np.finfo(np.float32).max) / 2


def _scaled(header: Header, stored: np.ndarray) -> np.ndarray:
    """Voxels of any shape in the machine's order, times the slope; slice by slice, so that no large copy is made."""
    if not _is_scaled(header):
        return stored.astype(stored.dtype.newbyteorder("="), copy=False)
    values = np.empty(stored.shape, np.float32)
    with np.errstate(over="ignore"):  # Too large for float32 becomes infinite, which is refused.
        for part, stored_part in zip(np.atleast_2d(values), np.atleast_2d(stored), strict=True):
            part[...] = stored_part * np.float64(header.slope) + header.intercept
    return values
