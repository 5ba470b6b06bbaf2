"""NRRD files as the engine writes them: three dimensions, in the patient's space, data in the same file.

Source: the NRRD format definition, teem.sourceforge.net/nrrd/format.html.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.Grid import Grid
from OrganIncrementLib.Logics.HeaderError import HeaderError
from OrganIncrementLib.Logics.ImageFile import MAX_IMAGE_BYTES, Image, notRead
from OrganIncrementLib.Logics.NrrdHeader import TYPES, NrrdHeader, readHeader
from OrganIncrementLib.Logics.PackedBytes import readAll
from OrganIncrementLib.Logics.ReplacedFile import replaced
from OrganIncrementLib.Translation import _


def read(path: Path) -> Image:
    """The voxels, the grid and the key/value pairs. Raises: LogicError; OSError as the system does."""
    with path.open("rb") as file:
        header = _header(path, file)
        try:
            dtype, matrix, shape_KJI = header.dtype(), header.matrix(), header.shape_KJI()
        except HeaderError as error:
            raise notRead(path, str(error)) from None
        encoding = header.encoding
        size = int(np.prod(shape_KJI, dtype=np.int64)) * dtype.itemsize
        if encoding not in ("raw", "gzip", "gz") or size > MAX_IMAGE_BYTES:
            raise notRead(path, _("its encoding or its size is not supported"))
        data = readAll(path, file, size, packed=encoding != "raw")
    array_KJI = data.view(dtype).reshape(shape_KJI)
    return Image(array_KJI.astype(dtype.newbyteorder("="), copy=False), Grid(shape_KJI, matrix), header.pairs)


def gridOf(path: Path) -> Grid:
    """The grid alone, of the header. Raises: as `read`."""
    with path.open("rb") as file:
        header = _header(path, file)
    try:
        return Grid(header.shape_KJI(), header.matrix())
    except HeaderError as error:
        raise notRead(path, str(error)) from None


def writing(path: Path, array_KJI: np.ndarray, grid: Grid) -> Iterator[float]:
    """Write uncompressed, a slice a step: fast enough for a scan that the engine only reads once."""
    little = array_KJI.dtype.newbyteorder("<")
    with replaced(path) as file:
        file.write(headerBytes(array_KJI, grid.ijkToRas, "raw"))
        for k, slice_JI in enumerate(array_KJI, 1):
            file.write(np.ascontiguousarray(slice_JI, dtype=little).data)
            yield k / len(array_KJI)


def headerBytes(array_KJI: np.ndarray, ijkToRas: np.ndarray, encoding: str) -> bytes:
    """The header with the empty line after it; the voxels follow in little-endian order."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ijkToRas
    lines = [
        "NRRD0004",
        f"type: {TYPES[array_KJI.dtype.str[1:]].partition('|')[0]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array_KJI.shape[::-1]))}",
        f"space directions: {' '.join(_vector(lps[:3, axis]) for axis in range(3))}",
        "kinds: domain domain domain",
        "endian: little",
        f"encoding: {encoding}",
        f"space origin: {_vector(lps[:3, 3])}",
    ]
    return ("\n".join(lines) + "\n\n").encode()


def _header(path: Path, file) -> NrrdHeader:
    try:
        return readHeader(file)
    except HeaderError as error:
        raise notRead(path, str(error)) from None


def _vector(numbers) -> str:
    # repr keeps every digit of a float64; adding zero turns -0.0 to 0.0.
    return f"({','.join(repr(float(number) + 0.0) for number in numbers)})"
