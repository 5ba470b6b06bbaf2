"""Hostile NIfTI files; the truth is nibabel's reading, with the unit of length that nibabel leaves to its user."""

import gzip
import random
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from fuzz.mutant import Mutant, NoTruthError, Truth, cut, flip_bits, random_affine, random_voxels, spliced

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# Name: place and form, by version.
FIELDS = {
    1: {"sizeof_hdr": (0, "i"), "dim": (40, "8h"), "intent_code": (68, "h"), "datatype": (70, "h"), "bitpix": (72, "h"),
        "pixdim": (76, "8f"), "vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f"),
        "xyzt_units": (123, "B"), "cal_max": (124, "f"), "toffset": (136, "f"), "qform_code": (252, "h"),
        "sform_code": (254, "h"), "quatern": (256, "6f"), "srow": (280, "12f")},
    2: {"sizeof_hdr": (0, "i"), "datatype": (12, "h"), "bitpix": (14, "h"), "dim": (16, "8q"), "pixdim": (104, "8d"),
        "vox_offset": (168, "q"), "scl_slope": (176, "d"), "scl_inter": (184, "d"), "cal_max": (192, "d"),
        "toffset": (216, "d"), "qform_code": (344, "i"), "sform_code": (348, "i"), "quatern": (352, "6d"),
        "srow": (400, "12d"), "xyzt_units": (500, "i"), "intent_code": (504, "i")},
}  # fmt: skip
HARMLESS = ("cal_max", "toffset", "intent_code")
TEXT = {1: (148, 228), 2: (240, 320)}
SIZES = {1: 348, 2: 540}
EXTREMES = {
    "h": (-32768, -1, 0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 512, 32767), "i": (-1, 0, 1, 2, 348, 540, 2**31 - 1),
    "q": (-1, 0, 1, 2, 3, 4, 5, 348, 2**20, 2**62), "B": (0, 1, 2, 3, 4, 8, 10, 255),
    "f": (float("nan"), float("inf"), -1.0, 0.0, 1e-30, 1e30, 0.5, 352.0, 2.0, 353.0, -2.5),
    "d": (float("nan"), float("inf"), -1.0, 0.0, 1e-300, 1e300, 0.5, 2.0, -2.5),
}  # fmt: skip


class Image:
    """A NIfTI image as its fields, its text and its voxels."""

    def __init__(self, rng: random.Random) -> None:
        self.version, self.order = rng.choice((1, 1, 2)), rng.choice("<<>")
        self.array_DHW = random_voxels(rng, rng.choice(list(CODES)))
        self.text, self.extension = b"", b""
        affine = random_affine(rng)
        affine[:2] *= -1
        forms = rng.choice(("sform", "sform", "qform", "both"))
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        quaternion, handedness = _quaternion(affine[:3, :3] / spacing)
        unit = rng.choice((0, 2, 2, 2, 1, 3))
        scale = 1 / UNIT_MM[unit]
        spacing, affine[:3] = spacing * scale, affine[:3] * scale
        depth, height, width = self.array_DHW.shape
        trailing = rng.choice((3, 3, 4, 5))
        slope, inter = rng.choice(((1, 0), (1, 0), (0, 0), (0, 7), (-2.5, 100), (float("nan"), 3), (0.5, -1024)))
        self.fields: dict[str, Any] = {
            "sizeof_hdr": [SIZES[self.version]], "dim": [trailing, width, height, depth, 1, 1, 1, 1],
            "intent_code": [0], "datatype": [CODES[self.array_DHW.dtype.str[1:]]],
            "bitpix": [self.array_DHW.dtype.itemsize * 8], "pixdim": [handedness, *spacing, 0, 0, 0, 0],
            "vox_offset": [SIZES[self.version] + 4], "scl_slope": [slope], "scl_inter": [inter],
            "xyzt_units": [unit | rng.choice((0, 8))], "cal_max": [0], "toffset": [0],
            "qform_code": [rng.randint(1, 4) if forms != "sform" else 0],
            "sform_code": [rng.randint(1, 4) if forms != "qform" else 0],
            "quatern": [*quaternion, *affine[:3, 3]] if forms != "sform" else [0] * 6,
            "srow": affine[:3].ravel().tolist() if forms != "qform" else [0] * 12,
        }  # fmt: skip

    def pack(self) -> bytes:
        """The bytes of a single file."""
        data = bytearray(SIZES[self.version] + 4)
        for name, (place, form) in FIELDS[self.version].items():
            struct.pack_into(self.order + form, data, place, *self.fields[name])
        start, end = TEXT[self.version]
        data[start:end] = self.text.ljust(80, b"\0")[:80]
        magic = {1: (344, b"n+1\0"), 2: (4, b"n+2\0\r\n\x1a\n")}[self.version]
        data[magic[0] : magic[0] + len(magic[1])] = magic[1]
        if self.extension:
            data[SIZES[self.version]] = 1
        voxels = self.array_DHW.astype(self.array_DHW.dtype.newbyteorder(self.order)).tobytes()
        return bytes(data) + self.extension + voxels


def mutant(rng: random.Random) -> Mutant:
    """One NIfTI file, changed in one way."""
    image = Image(rng)
    packed = rng.random() < 0.5
    name = "scan.nii.gz" if packed else "scan.nii"
    change = rng.choice((*CHANGES, *(PACKED_CHANGES if packed else ())))
    if change in PACKED_CHANGES:
        data, must_read = PACKED_CHANGES[change](image.pack(), rng)
    else:
        data, must_read = CHANGES[change](image, rng)
        data = gzip.compress(data, rng.randrange(10), mtime=0) if packed else data
    what = f"{name} version {image.version} {image.order}{image.array_DHW.dtype.str[1:]}: {change}"
    return Mutant(what=what, files={name: data}, target=name, truth=truth, must_read=must_read)


def truth(path: Path) -> Truth:
    """What nibabel reads."""
    data = path.read_bytes()
    data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    kind = nib.Nifti2Image if struct.unpack_from("<i", data)[0] in (540, 0x1C020000) else nib.Nifti1Image
    # From memory and whole, so that a checksum of gzip has been compared.
    image = kind.from_bytes(data)
    unit = UNIT_MM.get(int(image.header["xyzt_units"]) & 7)
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if unit is None or len(shape) != 3 or not (image.header["qform_code"] > 0 or image.header["sform_code"] > 0):
        raise NoTruthError("no placement")
    values = np.asanyarray(image.dataobj).reshape(shape)
    affine = image.affine.copy()
    affine[:3] *= unit
    affine[:2] *= -1
    # The engine and nibabel round a half turn differently when it is written in single precision.
    return Truth(array_DHW=values.transpose(), affine=affine, tolerance_voxels=0.02)


def _unchanged(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    return image.pack(), True


def _harmless_field(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    name = rng.choice(HARMLESS)
    form = FIELDS[image.version][name][1]
    image.fields[name] = [rng.choice([value for value in EXTREMES[form] if value == value])]
    image.text = rng.randbytes(80)
    return image.pack(), True


def _extension(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    size = 16 * rng.randint(1, 4)
    image.extension = struct.pack(image.order + "2i", size, 6) + b"comment".ljust(size - 8)
    image.fields["vox_offset"][0] += size
    return image.pack(), True


def _extreme_field(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([name for name in image.fields if name not in HARMLESS])
        value = rng.choice(EXTREMES[FIELDS[image.version][name][1][-1]])
        image.fields[name][rng.randrange(len(image.fields[name]))] = value
    return image.pack(), False


def _nearby_field(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    name = rng.choice(("dim", "pixdim", "srow", "quatern", "vox_offset", "datatype", "bitpix"))
    index = rng.randrange(len(image.fields[name]))
    whole = name in ("dim", "vox_offset", "datatype", "bitpix")
    image.fields[name][index] += rng.choice((-2, -1, 1, 2, 16)) if whole else rng.uniform(-1, 1)
    return image.pack(), False


def _other_byte_order(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    data = bytearray(image.pack())
    place, form = FIELDS[image.version][rng.choice(list(image.fields))]
    size = struct.calcsize(image.order + form[-1])
    data[place : place + size] = data[place : place + size][::-1]
    return bytes(data), False


def _bits_of_header(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    return flip_bits(image.pack(), rng, 0, SIZES[image.version] + 4), False


def _bits_of_voxels(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    # A whole number stays one whatever its bits are.
    harmless = image.array_DHW.dtype.kind != "f"
    return flip_bits(image.pack(), rng, SIZES[image.version] + 4), harmless


def _cut(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    return cut(image.pack(), rng), False


def _longer(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    return image.pack() + rng.randbytes(rng.choice((1, 2, 16, 100, 5000))), False


def _splice(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    return spliced(image.pack(), rng), False


def _strange_voxel(image: Image, rng: random.Random) -> tuple[bytes, bool]:
    if image.array_DHW.dtype.kind == "f":
        image.array_DHW.flat[rng.randrange(image.array_DHW.size)] = rng.choice((np.nan, np.inf, -np.inf))
    return image.pack(), image.array_DHW.dtype.kind != "f"


def _packed_cut(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    return cut(gzip.compress(data, mtime=0), rng), False


def _packed_bits(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    return flip_bits(gzip.compress(data, mtime=0), rng), False


def _packed_checksum(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    whole = gzip.compress(data, mtime=0)
    return flip_bits(whole, rng, len(whole) - 8), False


def _packed_members(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    place = rng.randrange(1, len(data))
    return gzip.compress(data[:place], 1) + gzip.compress(data[place:], 9), True


def _packed_twice(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    return gzip.compress(gzip.compress(data)), False


def _packed_end(data: bytes, rng: random.Random) -> tuple[bytes, bool]:
    return gzip.compress(data) + rng.randbytes(rng.randint(1, 30)), False


CHANGES = {
    "unchanged": _unchanged, "a harmless field": _harmless_field, "an extension": _extension,
    "an extreme field": _extreme_field, "a nearby value": _nearby_field, "another byte order": _other_byte_order,
    "bits of the header": _bits_of_header, "bits of the voxels": _bits_of_voxels, "cut off": _cut,
    "too long": _longer, "bytes left out or put in": _splice, "a voxel that is no number": _strange_voxel,
}  # fmt: skip
PACKED_CHANGES = {
    "gzip cut off": _packed_cut, "gzip bits": _packed_bits, "gzip checksum": _packed_checksum,
    "gzip members": _packed_members, "gzip twice": _packed_twice, "gzip and more": _packed_end,
}  # fmt: skip


def _quaternion(rotation: np.ndarray) -> tuple[list[float], float]:
    """b, c, d of a rotation, and -1 when it had to be mirrored in its third axis first."""
    handedness = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    b, c, d = nib.quaternions.mat2quat(rotation * np.array([1, 1, handedness]))[1:]
    return [float(b), float(c), float(d)], handedness
