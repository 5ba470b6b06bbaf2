"""Files to read in the tests, written byte by byte where an image library would not write them."""

import gzip
import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from organincrement.imaging.volume import Volume

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024}


def rotation(degrees_x: float = 20, degrees_z: float = 30) -> np.ndarray:
    """A direction that is oblique in all axes."""
    a, b = np.radians([degrees_x, degrees_z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return about_z @ about_x


def scan(
    shape_DHW: tuple[int, int, int] = (4, 5, 6), *, dtype: str = "i2", direction: np.ndarray | None = None
) -> Volume:
    """A small scan, every voxel different, in an oblique grid unless told."""
    array = np.arange(np.prod(shape_DHW)).reshape(shape_DHW).astype(dtype)
    return Volume(array, (3.0, 0.75, 1.25), (-11.5, 22.25, 7.0), rotation() if direction is None else direction)


def save(volume: Volume, path: Path) -> Path:
    """Write with SimpleITK, compressed where the format can."""
    sitk.WriteImage(volume.to_sitk(), str(path), True)
    return path


def nifti_bytes(
    array_DHW: np.ndarray,
    *,
    order: str = "<",
    sform: np.ndarray | None = None,
    quaternion: tuple[float, float, float] | None = None,
    pixdim: tuple[float, ...] = (1, 1.25, 0.75, 3),
    dim: tuple[int, ...] | None = None,
    datatype: int | None = None,
    bits: int | None = None,
    scale: tuple[float, float] = (1, 0),
    units: int = 2,
    description: bytes = b"",
    magic: bytes = b"n+1\0",
    vox_offset: float = 352,
) -> bytes:
    """A NIfTI-1 file; `sform` is 3×4 in RAS mm."""
    header = bytearray(352)
    dim = dim or (3, *array_DHW.shape[::-1])
    code = array_DHW.dtype.str[1:]
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h", header, 40, *dim, *[1] * (8 - len(dim)))
    struct.pack_into(f"{order}2h", header, 70, datatype or CODES[code], bits or array_DHW.dtype.itemsize * 8)
    struct.pack_into(f"{order}8f", header, 76, *pixdim, *[0] * (8 - len(pixdim)))
    struct.pack_into(f"{order}3f", header, 108, vox_offset, *scale)
    header[123] = units
    header[148 : 148 + len(description)] = description
    struct.pack_into(f"{order}2h", header, 252, quaternion is not None, sform is not None)
    struct.pack_into(f"{order}6f", header, 256, *(quaternion or (0, 0, 0)), -5, 6, 7)
    struct.pack_into(f"{order}12f", header, 280, *(np.zeros(12) if sform is None else sform.ravel()))
    header[344:348] = magic
    return bytes(header) + array_DHW.astype(array_DHW.dtype.newbyteorder(order)).tobytes()


def ras(volume: Volume) -> np.ndarray:
    """The 3×4 sform of a volume."""
    return np.diag([-1, -1, 1]) @ volume.affine[:3]


def write(path: Path, data: bytes) -> Path:
    """Write bytes, packed where the name ends in .gz."""
    path.write_bytes(gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data)
    return path
