"""Slices of a NIfTI or NRRD file one after another, in bites of some milliseconds, so that no window stands still.

Only for small pictures of a scan: what is measured or segmented is read by Slicer and by the engine.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.NiftiImage import rotation

BITE_BYTES = 2**18  # read from the file at once
OUT_BYTES = 2**19  # unpacked at once, some milliseconds
MAX_SLICE_BYTES = 2**26
MAX_HEADER_BYTES = 2**16
NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
NRRD_TYPES = {
    "signed char": "i1", "int8": "i1", "unsigned char": "u1", "uchar": "u1", "uint8": "u1", "short": "i2",
    "int16": "i2", "unsigned short": "u2", "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4",
    "unsigned int": "u4", "uint": "u4", "uint32": "u4", "float": "f4", "double": "f8",
}  # fmt: skip


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
        header, start, packed = _nrrdHeader(head) if isNrrd else _niftiHeader(head)
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
    if len(head) < 352 or head[344:348] not in (b"n+1\0",):
        raise StreamError("no single-file NIfTI-1")
    order = "<" if struct.unpack_from("<i", head, 0)[0] == 348 else ">"
    dim = struct.unpack_from(f"{order}8h", head, 40)
    kind = struct.unpack_from(f"{order}h", head, 70)[0]
    if dim[0] < 3 or any(size != 1 for size in dim[4 : 1 + dim[0]]) or min(dim[1:4]) < 1 or kind not in NIFTI_TYPES:
        raise StreamError("no scan of three dimensions with plain numbers")
    offset, slope, intercept = struct.unpack_from(f"{order}3f", head, 108)
    if not 352 <= offset < MAX_HEADER_BYTES:
        raise StreamError("the voxels begin nowhere")
    scaled = np.isfinite([slope, intercept]).all() and slope != 0
    header = ScanHeader(
        shape_DHW=(dim[3], dim[2], dim[1]),
        dtype=np.dtype(order + NIFTI_TYPES[kind]),
        axes_ras=_niftiAxes(head, order),
        slope=slope if scaled else 1.0,
        intercept=intercept if scaled else 0.0,
    )
    return header, int(offset), False


def _niftiAxes(head: bytes, order: str) -> np.ndarray:
    """Source: nifti.nimh.nih.gov/nifti-1, methods 2 (qform) and 3 (sform)."""
    qform, sform = struct.unpack_from(f"{order}2h", head, 252)
    if sform > 0:
        rows = np.array(struct.unpack_from(f"{order}12f", head, 280)).reshape(3, 4)
        return _finite(rows[:, :3].T)
    pixdim = np.array(struct.unpack_from(f"{order}8f", head, 76))
    b, c, d = struct.unpack_from(f"{order}3f", head, 256) if qform > 0 else (0.0, 0.0, 0.0)
    step = np.array([pixdim[1], pixdim[2], pixdim[3] * (-1 if pixdim[0] < 0 else 1)])
    return _finite((rotation(b, c, d) * step).T)


def _nrrdHeader(head: bytes) -> tuple[ScanHeader, int, bool]:
    """Source: teem.sourceforge.net/nrrd/format.html."""
    end = head.find(b"\n\n")
    fields = dict(
        line.split(": ", 1) for line in head[:end].decode("utf-8", "replace").splitlines()[1:] if ": " in line
    )
    encoding, kind = fields.get("encoding", ""), NRRD_TYPES.get(fields.get("type", ""))
    try:
        sizes = [int(part) for part in fields.get("sizes", "").split()]
    except ValueError:
        sizes = []
    plain = end > 0 and kind and len(sizes) == 3 and min(sizes) > 0 and "data file" not in fields
    if not plain or encoding not in ("raw", "gzip", "gz"):
        raise StreamError("no plain NRRD of three dimensions")
    order = ">" if fields.get("endian", "little") == "big" else "<"
    header = ScanHeader(
        shape_DHW=(sizes[2], sizes[1], sizes[0]), dtype=np.dtype(order + kind), axes_ras=_nrrdAxes(fields)
    )
    return header, end + 2, encoding != "raw"


def _nrrdAxes(fields: dict[str, str]) -> np.ndarray:
    words = fields.get("space directions", "").replace("(", " ").replace(")", " ").replace(",", " ").split()
    try:
        axes = np.array([float(word) for word in words]).reshape(3, 3)
    except ValueError:
        return np.eye(3)
    if fields.get("space", "").lower() in ("left-posterior-superior", "lps"):
        axes = axes * [-1, -1, 1]
    return _finite(axes)


def _finite(axes: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(axes, axis=1)
    return axes if np.isfinite(axes).all() and (lengths > 0).all() else np.eye(3)
