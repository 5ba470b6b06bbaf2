"""The header of a NRRD file: for the reader of whole images, and for the stream of slices.

Source: the NRRD format definition, teem.sourceforge.net/nrrd/format.html.
"""

import re
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from OrganIncrementLib.Logics.HeaderError import HeaderError
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


@dataclass(frozen=True, kw_only=True)
class NrrdHeader:
    """Its fields by their names in small letters, and its key/value pairs; what they mean is asked for one by one."""

    fields: dict[str, str]
    pairs: dict[str, str]

    @property
    def encoding(self) -> str:
        """Of the voxels; "" where it is not said."""
        return self.fields.get("encoding", "").lower()

    def shape_KJI(self) -> tuple[int, int, int]:
        """Raises: HeaderError for other than three dimensions, and for voxels in another file."""
        try:
            sizes = [int(word) for word in self.fields["sizes"].split()]
        except (KeyError, ValueError):
            raise _notThree() from None
        if len(sizes) != 3 or min(sizes) < 1 or "data file" in self.fields or "datafile" in self.fields:
            raise HeaderError(_("it is not one image of three dimensions in one file"))
        return sizes[2], sizes[1], sizes[0]

    def dtype(self) -> np.dtype:
        """Raises: HeaderError for an unknown kind of number, or order of bytes."""
        kind = self.fields.get("type", "").lower()
        code = next((code for code, names in TYPES.items() if kind in names.split("|")), None)
        order = {"little": "<", "big": ">"}.get(self.fields.get("endian", "").lower())
        if code is None or (order is None and code[1] != "1"):
            raise _notThree()
        return np.dtype(code if code[1] == "1" else order + code)

    def axes(self) -> np.ndarray:
        """Rows are the steps in mm (right, anterior, superior) along i, j and k. Raises: HeaderError."""
        try:
            return np.array([_numbers(text) for text in self._vectors()]) * self._toRas()
        except (KeyError, ValueError):
            raise _notThree() from None

    def matrix(self) -> np.ndarray:
        """4 × 4, from voxel index (i, j, k, 1) to RAS in mm. Raises: HeaderError where it cannot be known."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes().T
        try:
            matrix[:3, 3] = _numbers(self.fields["space origin"].strip("() ")) * self._toRas()
        except (KeyError, ValueError):
            raise _notThree() from None
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
            raise _notThree()
        return matrix

    def _vectors(self) -> list[str]:
        vectors = re.findall(r"\(([^()]*)\)", self.fields["space directions"])
        if len(vectors) != 3:
            raise ValueError(self.fields["space directions"])
        return vectors

    def _toRas(self) -> np.ndarray:
        return np.array(TO_RAS[self.fields["space"].lower()])


def readHeader(file: BinaryIO) -> NrrdHeader:
    """From where `file` stands, which then stands on the first byte of the voxels. Raises: HeaderError."""
    if not re.fullmatch(rb"NRRD000[1-5]\r?\n", file.readline(16)):
        raise HeaderError(_("it is no NRRD file"))
    header = NrrdHeader(fields={}, pairs={})
    while file.tell() <= MAX_HEADER_BYTES:
        line = file.readline(MAX_HEADER_BYTES)
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        if not text:
            if line:
                return header
            break
        key, separator, value = text.partition(":=")
        if separator and ": " not in key:
            header.pairs[key] = value
        elif not text.startswith("#"):
            name, separator, value = text.partition(": ")
            if separator:
                header.fields[name.lower()] = value.strip()
    raise HeaderError(_("its header has no end"))


def _numbers(text: str) -> np.ndarray:
    numbers = [float(word) for word in text.split(",")]
    if len(numbers) != 3:
        raise ValueError(text)
    return np.array(numbers)


def _notThree() -> HeaderError:
    return HeaderError(_("its header is not that of a scan in three dimensions"))
