"""NRRD files as the engine writes them: three dimensions, in the patient's space, data in the same file.

Source: the NRRD format definition, teem.sourceforge.net/nrrd/format.html.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.Grid import Grid
from OrganIncrementLib.Logics.ImageFile import MAX_IMAGE_BYTES, Image, notRead
from OrganIncrementLib.Logics.PackedBytes import readAll
from OrganIncrementLib.Logics.ReplacedFile import replaced
from OrganIncrementLib.Translation import _

TYPES = {
    "i1": "signed char|int8|int8_t", "u1": "unsigned char|uchar|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "unsigned short|ushort|unsigned short int|uint16|uint16_t", "i4": "int|signed int|int32|int32_t",
    "u4": "unsigned int|uint|uint32|uint32_t",
    "i8": "long long int|longlong|long long|signed long long|signed long long int|int64|int64_t",
    "u8": "unsigned long long int|ulonglong|unsigned long long|uint64|uint64_t", "f4": "float", "f8": "double",
}  # fmt: skip
TO_RAS = {
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1), "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
}  # fmt: skip
MAX_HEADER_BYTES = 4 * 2**20


def read(path: Path) -> Image:
    """The voxels, the grid and the key/value pairs. Raises: LogicError; OSError as the system does."""
    with path.open("rb") as file:
        fields, pairs = _header(path, file)
        try:
            dtype = _dtype(fields)
            sizes = [int(word) for word in fields["sizes"].split()]
            matrix = _matrix(fields)
        except (KeyError, ValueError):
            raise notRead(path, _("its header is not that of a scan in three dimensions")) from None
        if len(sizes) != 3 or min(sizes) < 1 or "data file" in fields or "datafile" in fields:
            raise notRead(path, _("it is not one image of three dimensions in one file"))
        shape_KJI = (sizes[2], sizes[1], sizes[0])
        encoding = fields.get("encoding", "").lower()
        size = int(np.prod(shape_KJI, dtype=np.int64)) * dtype.itemsize
        if encoding not in ("raw", "gzip", "gz") or size > MAX_IMAGE_BYTES:
            raise notRead(path, _("its encoding or its size is not supported"))
        data = readAll(path, file, size, packed=encoding != "raw")
    array_KJI = data.view(dtype).reshape(shape_KJI)
    return Image(array_KJI.astype(dtype.newbyteorder("="), copy=False), Grid(shape_KJI, matrix), pairs)


def gridOf(path: Path) -> Grid:
    """The grid alone, of the header. Raises: as `read`."""
    with path.open("rb") as file:
        fields, _pairs = _header(path, file)
    try:
        i, j, k = (int(word) for word in fields["sizes"].split())
        return Grid((k, j, i), _matrix(fields))
    except (KeyError, ValueError):
        raise notRead(path, _("its header is not that of a scan in three dimensions")) from None


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


def _header(path: Path, file) -> tuple[dict[str, str], dict[str, str]]:
    if not re.fullmatch(rb"NRRD000[1-5]\r?\n", file.readline(16)):
        raise notRead(path, _("it is no NRRD file"))
    fields: dict[str, str] = {}
    pairs: dict[str, str] = {}
    while file.tell() <= MAX_HEADER_BYTES:
        line = file.readline(MAX_HEADER_BYTES)
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if not text:
            if line:
                return fields, pairs
            break
        key, separator, value = text.partition(":=")
        if separator and ": " not in key:
            pairs[key] = value
        elif not text.startswith("#"):
            name, separator, value = text.partition(": ")
            if separator:
                fields[name.lower()] = value.strip()
    raise notRead(path, _("its header has no end"))


def _dtype(fields: dict[str, str]) -> np.dtype:
    kind = fields["type"].lower()
    code = next((code for code, names in TYPES.items() if kind in names.split("|")), None)
    if code is None:
        raise ValueError(kind)
    order = {"little": "<", "big": ">"}[fields["endian"].lower()] if code[1] != "1" else "|"
    return np.dtype(order + code)


def _matrix(fields: dict[str, str]) -> np.ndarray:
    matrix = np.eye(4)
    vectors = re.findall(r"\(([^()]*)\)", fields["space directions"])
    if len(vectors) != 3:
        raise ValueError(fields["space directions"])
    for axis, vector in enumerate((*vectors, fields["space origin"].strip("() "))):
        matrix[:3, axis] = [float(word) for word in vector.split(",")]
    matrix[:3] *= np.array(TO_RAS[fields["space"].lower()])[:, None]
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
        raise ValueError("the directions span no space")
    return matrix


def _vector(numbers) -> str:
    # repr keeps every digit of a float64; adding zero turns -0.0 to 0.0.
    return f"({','.join(repr(float(number) + 0.0) for number in numbers)})"
