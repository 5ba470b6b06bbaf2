"""The header of a NIfTI-1 image in one file: for the reader of whole images, and for the stream of slices.

Source: the NIfTI-1 format definition, nifti1.h, nifti.nimh.nih.gov/nifti-1.
"""

import struct
from dataclasses import dataclass

import numpy as np

from OrganIncrementLib.Logics.HeaderError import HeaderError
from OrganIncrementLib.Translation import _

TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
HEADER_BYTES = 348
DATA_START = 352


@dataclass(frozen=True, kw_only=True)
class NiftiHeader:
    """What it says. start: byte of the first voxel, as written (any number). slope, intercept: 1 and 0 for none.

    matrix: 4 × 4, from voxel index (i, j, k, 1) to RAS in mm; None where the orientation is unknown. spacing: along i,
    j and k as written.
    """

    shape_KJI: tuple[int, int, int]
    dtype: np.dtype
    start: float
    slope: float
    intercept: float
    matrix: np.ndarray | None
    spacing: tuple[float, float, float]


def parse(head: bytes) -> NiftiHeader:
    """From the file's first DATA_START bytes. Raises: HeaderError for anything but one image of three dimensions."""
    if len(head) < DATA_START:
        raise HeaderError(_("it is no NIfTI image in one file"))
    order = "<" if struct.unpack_from("<i", head)[0] == HEADER_BYTES else ">"
    if head[344:348] != b"n+1\0" or struct.unpack_from(f"{order}i", head)[0] != HEADER_BYTES:
        raise HeaderError(_("it is no NIfTI image in one file"))
    dim = struct.unpack_from(f"{order}8h", head, 40)
    kind = struct.unpack_from(f"{order}h", head, 70)[0]
    if not 3 <= dim[0] <= 7 or any(n != 1 for n in dim[4 : 1 + dim[0]]) or min(dim[1:4]) < 1 or kind not in TYPES:
        raise HeaderError(_("it is not one image of three dimensions with one number per voxel"))
    start, slope, intercept = struct.unpack_from(f"{order}3f", head, 108)
    isScaled = bool(np.isfinite([slope, intercept]).all()) and slope != 0
    return NiftiHeader(
        shape_KJI=(dim[3], dim[2], dim[1]),
        dtype=np.dtype(order + TYPES[kind]),
        start=start,
        slope=slope if isScaled else 1.0,
        intercept=intercept if isScaled else 0.0,
        matrix=_matrix(head, order),
        spacing=struct.unpack_from(f"{order}3f", head, 80),
    )


def _matrix(head: bytes, order: str) -> np.ndarray | None:
    """The sform where there is one, else the qform."""
    unit_mm = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}.get(head[123] & 7)
    qform, sform = struct.unpack_from(f"{order}2h", head, 252)
    if unit_mm is None or (qform <= 0 and sform <= 0):
        return None
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
        return None
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
