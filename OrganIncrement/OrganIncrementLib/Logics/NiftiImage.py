"""NIfTI-1 in one file (.nii, .nii.gz), read with the grid of its sform or qform, written with a sform.

Source: the NIfTI-1 format definition, nifti1.h, nifti.nimh.nih.gov/nifti-1.
"""

import gzip
import io
import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics import NiftiHeader
from OrganIncrementLib.Logics.Grid import Grid
from OrganIncrementLib.Logics.HeaderError import HeaderError
from OrganIncrementLib.Logics.ImageFile import MAX_IMAGE_BYTES, Image, notRead
from OrganIncrementLib.Logics.NiftiHeader import DATA_START, HEADER_BYTES, TYPES
from OrganIncrementLib.Logics.PackedBytes import readAll
from OrganIncrementLib.Logics.ReplacedFile import replaced
from OrganIncrementLib.Translation import _

MILLIMETRES = 2
SCANNER = 1  # the form's coordinates are the scanner's
GZIP_LEVEL = 1  # twice as fast as the level of most programs, a tenth larger


def read(path: Path) -> Image:
    """The voxels, with their slope, and the grid. Raises: LogicError; OSError as the system does."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        head = readAll(path, io.BytesIO(_head(path, packed)), DATA_START, packed=False).tobytes()
        try:
            header = NiftiHeader.parse(head)
        except HeaderError as error:
            raise notRead(path, str(error)) from None
        if header.matrix is None:
            raise notRead(path, _("its orientation is unknown"))
        dtype, shape_KJI = header.dtype, header.shape_KJI
        size = math.prod(shape_KJI) * dtype.itemsize
        if not DATA_START <= header.start <= 2**26 or size > MAX_IMAGE_BYTES:
            raise notRead(path, _("its header and its size do not fit"))
        data = readAll(path, file, size, packed=packed, skip=int(header.start))
    array_KJI = data.view(dtype).reshape(shape_KJI).astype(dtype.newbyteorder("="), copy=False)
    if (header.slope, header.intercept) != (1, 0):
        array_KJI = (array_KJI * np.float32(header.slope) + np.float32(header.intercept)).astype(np.float32)
    return Image(array_KJI, Grid(shape_KJI, header.matrix))


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
