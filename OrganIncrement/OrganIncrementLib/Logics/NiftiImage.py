"""NIfTI-1 in one file (.nii, .nii.gz), read with the grid of its sform or qform, written with a sform.

Source: the NIfTI-1 format definition, nifti1.h, nifti.nimh.nih.gov/nifti-1.
"""

import gzip
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.Grid import Grid
from OrganIncrementLib.Logics.ImageFile import MAX_IMAGE_BYTES, Image, notRead
from OrganIncrementLib.Logics.PackedBytes import readAll
from OrganIncrementLib.Logics.ReplacedFile import replaced
from OrganIncrementLib.Translation import _

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
HEADER_BYTES = 348
DATA_START = 352
MILLIMETRES = 2
SCANNER = 1  # the form's coordinates are the scanner's
GZIP_LEVEL = 1  # twice as fast as the level of most programs, a tenth larger


def read(path: Path) -> Image:
    """The voxels, with their slope, and the grid. Raises: LogicError; OSError as the system does."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        head = readAll(path, io.BytesIO(_head(path, packed)), DATA_START, packed=False).tobytes()
        order = "<" if struct.unpack_from("<i", head)[0] == HEADER_BYTES else ">"
        if head[344:348] != b"n+1\0" or struct.unpack_from(f"{order}i", head)[0] != HEADER_BYTES:
            raise notRead(path, _("it is no NIfTI image in one file"))
        dim = struct.unpack_from(f"{order}8h", head, 40)
        kind = struct.unpack_from(f"{order}h", head, 70)[0]
        if not 3 <= dim[0] <= 7 or any(n != 1 for n in dim[4 : 1 + dim[0]]) or min(dim[1:4]) < 1 or kind not in TYPES:
            raise notRead(path, _("it is not one image of three dimensions with one number per voxel"))
        start, slope, intercept = struct.unpack_from(f"{order}3f", head, 108)
        matrix = _matrix(path, head, order)
        dtype = np.dtype(order + TYPES[kind])
        size = dim[1] * dim[2] * dim[3] * dtype.itemsize
        if not DATA_START <= start <= 2**26 or size > MAX_IMAGE_BYTES:
            raise notRead(path, _("its header and its size do not fit"))
        data = readAll(path, file, size, packed=packed, skip=int(start))
    shape_KJI = (dim[3], dim[2], dim[1])
    array_KJI = data.view(dtype).reshape(shape_KJI).astype(dtype.newbyteorder("="), copy=False)
    if np.isfinite([slope, intercept]).all() and slope != 0 and (slope, intercept) != (1, 0):
        array_KJI = (array_KJI * np.float32(slope) + np.float32(intercept)).astype(np.float32)
    return Image(array_KJI, Grid(shape_KJI, matrix))


def writing(path: Path, array_KJI: np.ndarray, grid: Grid) -> Iterator[float]:
    """Write a slice a step, packed where the name ends in .gz."""
    little = array_KJI.dtype.newbyteorder("<")
    packed = path.name.lower().endswith(".gz")
    with replaced(path) as file:
        stream = gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) if packed else file
        stream.write(_headerBytes(array_KJI, grid))
        for k, slice_JI in enumerate(array_KJI, 1):
            stream.write(np.ascontiguousarray(slice_JI, dtype=little).data)
            if packed and k == len(array_KJI):
                stream.close()
            yield k / len(array_KJI)


def _headerBytes(array_KJI: np.ndarray, grid: Grid) -> bytes:
    # No qform: near half a turn, which most scans have, its rounded quaternion misses by tenths of a millimetre.
    code = next(code for code, name in TYPES.items() if name == array_KJI.dtype.str[1:])
    head = bytearray(DATA_START)
    k, j, i = array_KJI.shape
    struct.pack_into("<i", head, 0, HEADER_BYTES)
    struct.pack_into("<8h", head, 40, 3, i, j, k, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, code, array_KJI.dtype.itemsize * 8)
    struct.pack_into("<8f", head, 76, 1, *grid.spacing_mm[::-1], 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, DATA_START, 1, 0)
    struct.pack_into("<B", head, 123, MILLIMETRES)
    struct.pack_into("<2h", head, 252, 0, SCANNER)
    struct.pack_into("<12f", head, 280, *grid.ijkToRas[:3].ravel())
    head[344:348] = b"n+1\0"
    return bytes(head)


def _head(path: Path, packed: bool) -> bytes:
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return file.read(DATA_START)
    except (EOFError, gzip.BadGzipFile):
        raise notRead(path, _("it is damaged")) from None


def _matrix(path: Path, head: bytes, order: str) -> np.ndarray:
    """RAS in mm: the sform where there is one, else the qform."""
    unit_mm = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}.get(head[123] & 7)
    qform, sform = struct.unpack_from(f"{order}2h", head, 252)
    if unit_mm is None or (qform <= 0 and sform <= 0):
        raise notRead(path, _("its orientation is unknown"))
    matrix = np.eye(4)
    if sform > 0:
        matrix[:3] = np.array(struct.unpack_from(f"{order}12f", head, 280)).reshape(3, 4)
    else:
        matrix[:3, :3] = rotation(*struct.unpack_from(f"{order}3f", head, 256))
        handedness, *spacing = struct.unpack_from(f"{order}4f", head, 76)
        matrix[:3, :3] *= np.array([*spacing[:2], spacing[2] * (-1 if handedness < 0 else 1)])
        matrix[:3, 3] = struct.unpack_from(f"{order}3f", head, 268)
    matrix[:3] *= unit_mm
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise notRead(path, _("its orientation is unknown"))
    return matrix


def rotation(b: float, c: float, d: float) -> np.ndarray:
    """The turn that a qform's quaternion stands for, (3, 3)."""
    squared = b * b + c * c + d * d
    if 1 - squared < 1e-7:
        # The root of what rounding left would be a turn of its own.
        a, (b, c, d) = 0.0, np.array([b, c, d]) / np.sqrt(squared)
    else:
        a = np.sqrt(1 - squared)
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
