"""The voxels of an image file, decoded by its checked header.

Decoded here and not by an image library because those return zeros, hang or crash on damaged files.
"""

import bz2
import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header
from organincrement.imaging.preflight import check_extra

PIECE_BYTES = 4 * 2**20
LARGEST_TEXT_BYTES = 256 * 2**20


class _Inflated(io.RawIOBase):
    """A zlib or gzip stream as a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj(wbits=47)

    def readable(self) -> bool:
        """True: nothing else can be done with it."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as one step gives; 0 at the end. Raises EOFError when the stream has none."""
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._file.read(65536)
            inflated = self._inflate.decompress(data, len(buffer))
            if inflated:
                buffer[: len(inflated)] = inflated
                return len(inflated)
            if not data:
                raise EOFError("the compressed data end too early")
        return 0


def read_voxels(header: Header) -> np.ndarray:
    """The voxels (D, H, W) in the machine's byte order, in the stored type, or float32 where slope and intercept apply.

    Raises ImageError when the data are cut off, damaged, too long for the header, or hold a value that is not finite.
    """
    try:
        stored_DHW = _text_voxels(header) if header.encoding == "text" else _binary_voxels(header)
    except (EOFError, OSError, zlib.error) as error:
        raise ImageError(f"{header.path}: is cut off or damaged ({error}); copy or export it again") from None
    except MemoryError:
        raise ImageError(
            f"{header.path}: needs {header.data_bytes >> 20} MiB of memory, which is not free; close programs"
        ) from None
    values_DHW = _scaled(header, stored_DHW)
    check_finite(header, values_DHW)
    return values_DHW


def check_voxels(header: Header) -> None:
    """Decompress everything without keeping it; raises ImageError when the data are cut off, damaged or too long."""
    try:
        with opened_voxels(header) as stream:
            _skip(stream, header.data_bytes)
            _check_end(header, stream)
    except (EOFError, OSError, zlib.error) as error:
        raise ImageError(f"{header.path}: is cut off or damaged ({error}); copy or export it again") from None


def check_finite(header: Header, values_DHW: np.ndarray) -> None:
    """Raise ImageError when a voxel is NaN or infinite."""
    # Slice by slice, so that no second array of the size of the scan is made.
    if values_DHW.dtype.kind == "f" and not all(np.isfinite(slice_HW).all() for slice_HW in values_DHW):
        raise ImageError(f"{header.path}: has voxels that are NaN or infinite; export it again with whole HU values")


def _binary_voxels(header: Header) -> np.ndarray:
    buffer = np.empty(header.data_bytes, np.uint8)
    view = memoryview(buffer)
    with opened_voxels(header) as stream:
        position = 0
        while position < len(view):
            count = stream.readinto(view[position : position + PIECE_BYTES])  # type: ignore[attr-defined]
            if not count:
                raise EOFError(f"{position} of {len(view)} bytes are there")
            position += count
        _check_end(header, stream)
    voxels_DHW = buffer.view(header.stored).reshape(header.shape_DHW)
    if not header.stored.isnative:
        voxels_DHW = voxels_DHW.byteswap(inplace=True).view(header.stored.newbyteorder("="))
    return voxels_DHW


def _text_voxels(header: Header) -> np.ndarray:
    with opened_voxels(header) as stream:
        text = stream.read(LARGEST_TEXT_BYTES)
    try:
        numbers = np.array(text.split(), dtype=np.float64)
    except ValueError:
        raise ImageError(f"{header.path}: has voxels that are no numbers; export it again") from None
    if numbers.size != np.prod(header.shape_DHW):
        raise EOFError(f"{numbers.size} of {np.prod(header.shape_DHW)} voxels are there")
    limits = np.iinfo(header.stored) if header.stored.kind in "iu" else np.finfo(header.stored)
    if not (np.isfinite(numbers).all() and numbers.min() >= limits.min and numbers.max() <= limits.max):
        raise ImageError(f"{header.path}: has voxels out of range for their type; export it again")
    return numbers.astype(header.stored).reshape(header.shape_DHW)


@contextlib.contextmanager
def opened_voxels(header: Header) -> Iterator[BinaryIO]:
    """The uncompressed bytes, positioned at the first voxel."""
    with header.data_path.open("rb") as file:
        file.seek(header.offset)
        stream: object = file
        if header.encoding == "gzip":
            stream = gzip.GzipFile(fileobj=file)
        elif header.encoding == "bzip2":
            stream = bz2.BZ2File(file)
        elif header.encoding == "zlib":
            stream = _Inflated(file)
        _skip(cast(BinaryIO, stream), header.skip)
        yield cast(BinaryIO, stream)


def _skip(stream: BinaryIO, size: int) -> None:
    while size > 0:
        count = len(stream.read(min(size, PIECE_BYTES)))
        if not count:
            raise EOFError("the data end before the last voxel")
        size -= count


def _check_end(header: Header, stream: BinaryIO) -> None:
    # Reading to the end also makes gzip compare its checksum.
    extra = 0
    while extra < header.slice_bytes and (count := len(stream.read(min(PIECE_BYTES, header.slice_bytes - extra)))):
        extra += count
    check_extra(header, extra)


def _scaled(header: Header, stored_DHW: np.ndarray) -> np.ndarray:
    if (header.slope, header.intercept) == (1.0, 0.0):
        return stored_DHW
    values_DHW = np.empty(stored_DHW.shape, np.float32)
    with np.errstate(over="ignore"):  # Too large for float32 becomes infinite, which is refused.
        for slice_HW, stored_HW in zip(values_DHW, stored_DHW, strict=True):
            slice_HW[...] = stored_HW * np.float64(header.slope) + header.intercept
    return values_DHW
