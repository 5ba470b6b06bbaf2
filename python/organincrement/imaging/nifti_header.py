"""NIfTI-1 and NIfTI-2 headers, single file (.nii, .nii.gz), read with the standard library.

Where ITK and nibabel place one file differently it is refused: qform and sform that disagree, neither of them, a stated
spacing that is not that of the sform. Two-file images (.hdr, .img) are refused too.

Source: the NIfTI-1 and NIfTI-2 format definitions (nifti1.h, nifti2.h, nifti.nimh.nih.gov).
"""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import SPACING_RANGE_MM, Header, check_grid, check_shape, check_spacing

SIZES = {1: 348, 2: 540}
LINE_ENDS = b"\r\n\x1a\n"
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
REFUSED_TYPES = {
    0: "of no stated type", 1: "binary", 32: "complex", 128: "RGB colour", 1536: "128-bit float", 1792: "complex",
    2048: "complex", 2304: "RGBA colour",
}  # fmt: skip
UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # unstated (taken as mm), metre, millimetre, micrometre
SMALLEST_SLOPE = float(np.finfo(np.float64).eps)
HALF_TURN = 1e-7
LARGEST_FORM_CODE = 5
MAX_DATA_START = 64 * 2**20

# Two forms of one placement that differ by more than this are a contradiction, not rounding.
AGREEMENT_VOXELS = 0.1

# Byte ranges of the free text (data type, database, description, auxiliary file, intent): may name the patient.
TEXT_FIELDS = {1: ((4, 32), (148, 252), (328, 344)), 2: ((240, 344), (508, 524), (525, 540))}
FIELDS = {
    1: {"dim": (40, "8h"), "datatype": (70, "2h"), "pixdim": (76, "8f"), "vox_offset": (108, "f"),
        "scale": (112, "2f"), "units": (123, "B"), "codes": (252, "2h"), "quaternion": (256, "6f"),
        "rows": (280, "12f")},
    2: {"datatype": (12, "2h"), "dim": (16, "8q"), "pixdim": (104, "8d"), "vox_offset": (168, "q"),
        "scale": (176, "2d"), "codes": (344, "2i"), "quaternion": (352, "6d"), "rows": (400, "12d"),
        "units": (500, "i")},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RawHeader:
    """The bytes of a header and how to read them; `order` is '<' or '>', `version` 1 or 2."""

    path: Path
    data: bytes
    order: str
    version: int
    compressed: bool

    def numbers(self, name: str) -> tuple[float, ...]:
        """The numbers of one field."""
        offset, form = FIELDS[self.version][name]
        return struct.unpack_from(self.order + form, self.data, offset)

    @property
    def voxels_start(self) -> int:
        """Where the voxels begin in the uncompressed file; raises ImageError for an impossible place."""
        start = self.numbers("vox_offset")[0]
        if not SIZES[self.version] + 4 <= start <= MAX_DATA_START or start != int(start):
            raise ImageError(f"{self.path}: its header puts the voxels at byte {start:g}; export the image again")
        return int(start)


def read_raw_header(path: Path) -> RawHeader:
    """The first bytes of a NIfTI file; raises ImageError when it is none, or its data lie in another file."""
    head, compressed = _first_bytes(path, SIZES[2] + 4)
    for version, size in SIZES.items():
        for order in "<>":
            if len(head) >= size + 4 and struct.unpack_from(f"{order}i", head)[0] == size:
                magic = head[344:348] if version == 1 else head[4:8]
                intact = version == 1 or head[8:12] in (LINE_ENDS, bytes(4))
                if magic == f"n+{version}\0".encode() and intact:
                    return RawHeader(
                        path=path, data=head[: size + 4], order=order, version=version, compressed=compressed
                    )
                if magic == f"n+{version}\0".encode():
                    raise ImageError(f"{path}: had its line ends converted, as text; copy it again as a binary file")
                raise ImageError(f"{path}: is an Analyze or two-file NIfTI image; save it as a single .nii.gz")
    raise ImageError(f"{path}: is no NIfTI image, or its header is cut off; export it again")


def read_nifti_header(path: Path) -> Header:
    """Check a NIfTI header; raises ImageError for what `read_image` must not read."""
    raw = read_raw_header(path)
    stored = _stored_type(raw)
    count = int(raw.numbers("dim")[0])
    if not 1 <= count <= 7:
        raise ImageError(f"{path}: its header says {count} dimensions; export it again")
    shape_DHW = check_shape(path, [int(size) for size in raw.numbers("dim")[1 : 1 + count]], stored.itemsize)
    spacing_mm, origin_mm, direction = check_grid(path, _affine(raw, shape_DHW))
    _check_stated_spacing(raw, spacing_mm[::-1])
    slope, intercept = raw.numbers("scale")
    # A slope of 0 means none; nibabel then leaves out the intercept too, as the standard has it, and ITK adds it. NaN
    # and infinity are none to nibabel. ITK takes a slope that it cannot tell from 0 for 1.
    if 0 < abs(slope) < SMALLEST_SLOPE:
        raise ImageError(f"{path}: has a slope of {slope:g}, which readers take for different things; export it again")
    scaled = np.isfinite(slope) and slope != 0
    if scaled and not np.isfinite(intercept):
        raise ImageError(f"{path}: has a slope but no finite intercept, its values are unknown; export it again")
    start = raw.voxels_start
    return Header(
        path=path,
        kind="nifti",
        shape_DHW=shape_DHW,
        spacing_mm=spacing_mm,
        origin_mm=origin_mm,
        direction=direction,
        stored=stored,
        slope=slope if scaled else 1.0,
        intercept=intercept if scaled else 0.0,
        data_path=path,
        offset=0 if raw.compressed else start,
        skip=start if raw.compressed else 0,
        encoding="gzip" if raw.compressed else "raw",
    )


def _first_bytes(path: Path, size: int) -> tuple[bytes, bool]:
    with path.open("rb") as file:
        packed = file.read(65536)
    if not packed.startswith(b"\x1f\x8b"):
        return packed[:size], False
    head = b""
    try:
        # A file may be made of several gzip members, each of them as short as one byte.
        while packed and len(head) < size:
            unpack = zlib.decompressobj(wbits=31)
            head += unpack.decompress(packed, size - len(head))
            packed = unpack.unused_data
    except zlib.error as error:
        raise ImageError(f"{path}: is damaged, it cannot be decompressed ({error}); copy or export it again") from None
    return head, True


def _stored_type(raw: RawHeader) -> np.dtype:
    code, bits = (int(number) for number in raw.numbers("datatype"))
    if code not in TYPES:
        what = REFUSED_TYPES.get(code, f"of an unknown type {code}")
        raise ImageError(f"{raw.path}: its voxels are {what}; export one plain number per voxel")
    stored = np.dtype(TYPES[code]).newbyteorder(raw.order)  # type: ignore[arg-type]
    if bits != stored.itemsize * 8:
        raise ImageError(
            f"{raw.path}: its header says {bits} bits a voxel for a type of {stored.itemsize * 8}; export it again"
        )
    return stored


def _affine(raw: RawHeader, shape_DHW: tuple[int, int, int]) -> np.ndarray:
    """Index-to-LPS matrix in mm: the sform where there is one, else the qform; if both are there they must agree."""
    unit = UNIT_MM.get(int(raw.numbers("units")[0]) & 7)
    if unit is None:
        raise ImageError(f"{raw.path}: its header has an unknown unit of length; save it in millimetres")
    spacing_mm = np.array(raw.numbers("pixdim")[1:4]) * unit
    if unit < 1 and 0 < spacing_mm.min() < SPACING_RANGE_MM[0]:
        raise ImageError(
            f"{raw.path}: its spacing is {spacing_mm.min() / unit:g} in micrometres, as its header says, too small for "
            "a scan (is it in millimetres?); correct its unit of length or export it again"
        )
    check_spacing(raw.path, spacing_mm)
    codes = raw.numbers("codes")
    if not all(0 <= code <= LARGEST_FORM_CODE for code in codes):
        raise ImageError(f"{raw.path}: has an unknown qform or sform code; export it again")
    has_qform, has_sform = (code > 0 for code in codes)
    forms = [_sform(raw)] * has_sform + [_qform(raw)] * has_qform
    if not forms:
        raise ImageError(
            f"{raw.path}: has no orientation (qform and sform code are 0): left and right are unknown; export it again"
        )
    for form in forms:
        form[:3] *= unit
        form[:2] *= -1  # NIfTI counts towards the right and the front, LPS towards the left and the back.
    if len(forms) == 2 and _largest_shift_mm(forms[0], forms[1], shape_DHW) > AGREEMENT_VOXELS * spacing_mm.min():
        raise ImageError(
            f"{raw.path}: its qform and sform place the image differently; keep one of them and export it again"
        )
    return forms[0]


def _check_stated_spacing(raw: RawHeader, spacing_xyz: tuple[float, ...]) -> None:
    unit = UNIT_MM[int(raw.numbers("units")[0]) & 7]
    stated = [value * unit for value in raw.numbers("pixdim")[1:4]]
    if not np.allclose(stated, spacing_xyz, rtol=1e-2, atol=0):
        first, second = (", ".join(f"{value:.4g}" for value in values) for values in (stated, spacing_xyz))
        raise ImageError(f"{raw.path}: its spacing ({first} mm) and its sform ({second} mm) disagree; export it again")


def _sform(raw: RawHeader) -> np.ndarray:
    return np.vstack([np.array(raw.numbers("rows")).reshape(3, 4), [0, 0, 0, 1]])


def _qform(raw: RawHeader) -> np.ndarray:
    """The matrix of the quaternion (b, c, d), the offset, and the handedness in pixdim[0]."""
    b, c, d, *offset = raw.numbers("quaternion")
    squared = b * b + c * c + d * d
    if not squared <= 1 + 1e-4:
        raise ImageError(f"{raw.path}: its qform is no rotation; export the image again")
    a = np.sqrt(max(0.0, 1 - squared))
    if 1 - squared < HALF_TURN:
        # The root of what rounding left would be a turn of its own.
        a, (b, c, d) = 0.0, np.array([b, c, d]) / np.sqrt(squared)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    handedness, *spacing = raw.numbers("pixdim")[:4]
    if handedness not in (-1, 0, 1):  # readers disagree on what else it could mean
        raise ImageError(f"{raw.path}: its qform has the handedness {handedness:g}, not 1 or -1; export it again")
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(spacing)
    matrix[:3, 2] *= -1 if handedness < 0 else 1
    matrix[:3, 3] = offset
    return matrix


def _largest_shift_mm(first: np.ndarray, second: np.ndarray, shape_DHW: tuple[int, int, int]) -> float:
    depth, height, width = (size - 1 for size in shape_DHW)
    corners = np.array([[x, y, z, 1] for x in (0, width) for y in (0, height) for z in (0, depth)]).T
    shift = np.linalg.norm((first - second)[:3] @ corners, axis=0).max()
    return float(shift) if np.isfinite(shift) else np.inf
