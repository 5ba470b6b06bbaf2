"""Slices of a NIfTI or NRRD file one after another, in bites of some milliseconds, so that no window stands still.

Only for small pictures of a scan: what is measured or segmented is read by Slicer and by the engine.
"""

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics import NiftiHeader
from OrganIncrementLib.Logics.HeaderError import HeaderError
from OrganIncrementLib.Logics.NrrdHeader import readHeader

BITE_BYTES = 2**18  # read from the file at once
OUT_BYTES = 2**19  # unpacked at once, some milliseconds
MAX_SLICE_BYTES = 2**26


class StreamError(ValueError):
    """Why a file gives no picture."""


@dataclass(frozen=True, kw_only=True)
class ScanHeader:
    """A scan's grid. axes_ras: rows are the steps in mm (right, anterior, superior) along i, j and k."""

    shape_DHW: tuple[int, int, int]
    dtype: np.dtype
    axes_ras: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0


class _Bytes:
    """A file's unpacked bytes from its start; `None` out of `more` says that nothing is left."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        packed = self._file.read(2) == b"\x1f\x8b"
        self._file.seek(0)
        self._unpacker = zlib.decompressobj(31) if packed else None
        self._rest = b""

    def unpackFrom(self, start: int) -> None:
        """What follows byte `start` of the file is gzip (NRRD packs the voxels only)."""
        self._file.seek(start)
        self._unpacker = zlib.decompressobj(31)
        self._rest = b""

    def more(self) -> bytes | None:
        if self._unpacker is None:
            return self._file.read(OUT_BYTES) or None
        block = self._rest or self._file.read(BITE_BYTES)
        if not block or self._unpacker.eof:
            return None
        try:
            out = self._unpacker.decompress(block, OUT_BYTES)
        except zlib.error as error:
            raise StreamError(str(error)) from None
        self._rest = self._unpacker.unconsumed_tail
        return out

    def close(self) -> None:
        self._file.close()


def slices(path: Path) -> Iterator[ScanHeader | np.ndarray | None]:
    """First the header, then each slice (H, W) in the file's own values; `None` between bites.

    Raises: StreamError for a format, a size or a damage that gives no picture; OSError as the system does.
    """
    source = _Bytes(path)
    try:
        head = b""
        while len(head) < 4096 and (bite := source.more()) is not None:
            head += bite
            yield None
        isNrrd = head.startswith(b"NRRD000")
        try:
            header, start, packed = _nrrdHeader(head) if isNrrd else _niftiHeader(head)
        except HeaderError as error:
            raise StreamError(str(error)) from None
        sliceBytes = header.shape_DHW[1] * header.shape_DHW[2] * header.dtype.itemsize
        if not 0 < sliceBytes <= MAX_SLICE_BYTES:
            raise StreamError("a slice has too many voxels for a small picture")
        yield header
        data = bytearray(head[start:])
        if packed:
            source.unpackFrom(start)
            data.clear()
        for _index in range(header.shape_DHW[0]):
            while len(data) < sliceBytes:
                bite = source.more()
                if bite is None:
                    raise StreamError("the file ends before its last slice")
                data += bite
                yield None
            yield np.frombuffer(bytes(data[:sliceBytes]), header.dtype).reshape(header.shape_DHW[1:])
            del data[:sliceBytes]
    finally:
        source.close()


def _niftiHeader(head: bytes) -> tuple[ScanHeader, int, bool]:
    found = NiftiHeader.parse(head)
    if not NiftiHeader.DATA_START <= found.start <= len(head):
        raise StreamError("the voxels begin nowhere")
    axes = np.diag(found.spacing) if found.matrix is None else found.matrix[:3, :3].T
    header = ScanHeader(
        shape_DHW=found.shape_KJI, dtype=found.dtype, axes_ras=_finite(axes), slope=found.slope,
        intercept=found.intercept,
    )  # fmt: skip
    return header, int(found.start), False


def _nrrdHeader(head: bytes) -> tuple[ScanHeader, int, bool]:
    file = io.BytesIO(head)
    found = readHeader(file)
    if found.encoding not in ("raw", "gzip", "gz"):
        raise StreamError("no plain NRRD of three dimensions")
    try:
        axes = found.axes()
    except HeaderError:
        axes = np.eye(3)
    header = ScanHeader(shape_DHW=found.shape_KJI(), dtype=found.dtype(), axes_ras=_finite(axes))
    return header, file.tell(), found.encoding != "raw"


def _finite(axes: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(axes, axis=1)
    return axes if np.isfinite(axes).all() and (lengths > 0).all() else np.eye(3)
