"""Hostile MetaImages; the truth is a plain reading of the format's definition that trusts nothing it does not know."""

import random
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz.mutant import (
    Mutant,
    NoTruthError,
    Truth,
    cut,
    flip_bits,
    odd_digits,
    plain_float,
    random_affine,
    random_voxels,
    spliced,
)

TYPES = {"u1": "MET_UCHAR", "i1": "MET_CHAR", "i2": "MET_SHORT", "u2": "MET_USHORT", "i4": "MET_INT", "u4": "MET_UINT",
         "i8": "MET_LONG_LONG", "u8": "MET_ULONG_LONG", "f4": "MET_FLOAT", "f8": "MET_DOUBLE"}  # fmt: skip
ALSO = {"MET_LONG": "i4", "MET_ULONG": "u4"}
ORIGIN = ("Offset", "Position", "Origin")
MATRIX = ("TransformMatrix", "Rotation", "Orientation")
ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
STRANGE = ("nan", "inf", "-1", "0", "1e30", "99999999999", "", "True", "False", "yes", "2", "3", "4", "1 1 1",
           "nan 1 1", "1 0 0 0 1 0 0 0 1", "1 0 0 0 1 0 0 0 0", "MET_SHORT", "MET_STRING", "LIST",
           "../secret.raw", "gone.raw", "/etc/hostname", "scan.raw", "LOCAL", "Tube", "1.5 1.5", "1_0 1 1")  # fmt: skip


class Image:
    """A MetaImage as its header lines but the last, its packed voxels, and the name of the data file."""

    def __init__(self, rng: random.Random) -> None:
        self.array_DHW = random_voxels(rng, rng.choice(list(TYPES)))
        code = self.array_DHW.dtype.str[1:]
        big, self.packed = rng.random() < 0.3, rng.random() < 0.4
        affine = random_affine(rng)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        matrix = (affine[:3, :3] / spacing).T.ravel()
        self.lines = [
            "ObjectType = Image", "NDims = 3", "BinaryData = True", f"{rng.choice(ORDER)} = {big}",
            f"CompressedData = {self.packed}", f"{rng.choice(MATRIX)} = {_words(matrix)}",
            f"{rng.choice(ORIGIN)} = {_words(affine[:3, 3])}", "CenterOfRotation = 0 0 0",
            f"ElementSpacing = {_words(spacing)}", f"DimSize = {' '.join(map(str, self.array_DHW.shape[::-1]))}",
            f"ElementType = {TYPES[code]}",
        ]  # fmt: skip
        data = self.array_DHW.astype(self.array_DHW.dtype.newbyteorder(">" if big else "<")).tobytes()
        self.voxels = zlib.compress(data, rng.randrange(10)) if self.packed else data
        self.data_file = rng.choice(("LOCAL", "LOCAL", "scan.raw"))

    def header(self) -> bytes:
        """The header to its end."""
        return "\n".join([*self.lines, f"ElementDataFile = {self.data_file}", ""]).encode()

    def files(self) -> tuple[dict[str, bytes], str]:
        """The files and the name of the one to read."""
        if self.data_file == "LOCAL":
            return {"scan.mha": self.header() + self.voxels}, "scan.mha"
        return {"scan.mhd": self.header(), "scan.raw": self.voxels}, "scan.mhd"


def mutant(rng: random.Random) -> Mutant:
    """One MetaImage, changed in one way."""
    image = Image(rng)
    change = rng.choice(list(CHANGES))
    must_read = CHANGES[change](image, rng)
    files, target = image.files()
    if change in BYTE_CHANGES:
        changed = rng.choice(list(files))
        part = (0, len(image.header())) if change == "bits of the header" and changed == target else (0, None)
        files[changed] = BYTE_CHANGES[change](files[changed], rng, part)
    what = f"{target} {'packed ' if image.packed else ''}{image.array_DHW.dtype}: {change}"
    return Mutant(what=what, files=files, target=target, truth=truth, must_read=must_read)


def truth(path: Path) -> Truth:
    """Read the plain part of the format, in which every field stands once or says the same twice."""
    data, fields, end = path.read_bytes(), {}, 0
    while "ElementDataFile" not in fields:
        line, _, _ = data[end:].partition(b"\n")
        if not line:
            raise NoTruthError("no end")
        end += len(line) + 1
        name, equals, value = (part.strip() for part in line.decode("latin-1").partition("="))
        if not equals or fields.get(name, value) != value:
            raise NoTruthError(f"{name} twice, or no field")
        fields[name] = value
    sizes = [int(plain_float(word)) for word in fields["DimSize"].split()]
    if int(fields["NDims"]) != 3 or len(sizes) != 3 or fields.get("ElementNumberOfChannels", "1") != "1":
        raise NoTruthError("not three axes")
    codes = {**{name: code for code, name in TYPES.items()}, **ALSO}
    big = _one(fields, ORDER, "False").lower() in ("true", "t", "1")
    dtype = np.dtype(codes[fields["ElementType"]]).newbyteorder(">" if big else "<")
    name = fields["ElementDataFile"]
    if int(fields.get("HeaderSize", 0)) not in (0, end if name.upper() == "LOCAL" else 0):
        raise NoTruthError("two beginnings")
    content = data[end:] if name.upper() == "LOCAL" else (path.parent / Path(name).name).read_bytes()
    if fields.get("CompressedData", "False").lower() in ("true", "t", "1"):
        content = zlib.decompress(content) if zlib.decompressobj().decompress(content) else b""
    values = np.frombuffer(content[: int(np.prod(sizes)) * dtype.itemsize], dtype).reshape(sizes[::-1])
    spacing = [plain_float(word) for word in fields.get("ElementSpacing", fields.get("ElementSize", "1 1 1")).split()]
    matrix = np.array([plain_float(word) for word in _one(fields, MATRIX, "1 0 0 0 1 0 0 0 1").split()]).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = matrix.T * np.array(spacing)
    affine[:3, 3] = [plain_float(word) for word in _one(fields, ORIGIN, "0 0 0").split()]
    return Truth(array_DHW=values, affine=affine)


def _one(fields: dict[str, str], names: tuple[str, ...], missing: str) -> str:
    found = {fields[name] for name in names if name in fields}
    if len(found) > 1:
        raise NoTruthError(f"{names} differ")
    return found.pop() if found else missing


def _unchanged(image: Image, rng: random.Random) -> bool:
    return True


def _harmless_lines(image: Image, rng: random.Random) -> bool:
    line = rng.choice(("Comment = DimSize 2 2 2", "Modality = MET_MOD_CT", "ElementMin = -1024", "Name = NDims",
                       "AnatomicalOrientation = RAI", "ID = -1", "ElementSize = 9 9 9"))  # fmt: skip
    image.lines.insert(rng.randrange(len(image.lines)), line)
    rng.shuffle(image.lines)
    return True


def _strange_value(image: Image, rng: random.Random) -> bool:
    index = rng.randrange(len(image.lines) + 1)
    if index == len(image.lines):
        image.data_file = rng.choice(STRANGE)
    else:
        image.lines[index] = f"{image.lines[index].partition(' = ')[0]} = {rng.choice(STRANGE)}"
    return False


def _strange_number(image: Image, rng: random.Random) -> bool:
    index = rng.randrange(5, len(image.lines) - 1)
    name, _, value = image.lines[index].partition(" = ")
    words = value.split()
    words[rng.randrange(len(words))] = rng.choice(STRANGE[:6])
    image.lines[index] = f"{name} = {' '.join(words)}"
    return name == "CenterOfRotation"


def _odd_digits(image: Image, rng: random.Random) -> bool:
    index = rng.randrange(len(image.lines))
    name, _, value = image.lines[index].partition(" = ")
    words = value.split()
    places = [place for place, word in enumerate(words) if any(map(str.isdigit, word)) and not word.isidentifier()]
    if places and not name.startswith("Center"):
        place = rng.choice(places)
        words[place] = odd_digits(words[place], rng)
        image.lines[index] = f"{name} = {' '.join(words)}"
        return False
    return True


def _header_size(image: Image, rng: random.Random) -> bool:
    image.lines.append(f"HeaderSize = {rng.choice((0, 0, 1, 7, 348, 10_000, -2))}")
    return image.lines[-1] == "HeaderSize = 0"


def _missing_line(image: Image, rng: random.Random) -> bool:
    return image.lines.pop(rng.randrange(len(image.lines))).startswith(("CenterOfRotation", "ObjectType"))


def _double_line(image: Image, rng: random.Random) -> bool:
    line = rng.choice(image.lines)
    image.lines.append(f"{line} 1" if rng.random() < 0.7 else line)
    return False


def _swapped_values(image: Image, rng: random.Random) -> bool:
    first, second = rng.sample(range(len(image.lines)), 2)
    (a, _, x), (b, _, y) = (image.lines[index].partition(" = ") for index in (first, second))
    image.lines[first], image.lines[second] = f"{a} = {y}", f"{b} = {x}"
    return False


def _bytes_later(image: Image, rng: random.Random) -> bool:
    return False


Part = tuple[int, int | None]
BYTE_CHANGES: dict[str, Callable[[bytes, random.Random, Part], bytes]] = {
    "bits of the header": lambda data, rng, part: flip_bits(data, rng, *part),
    "bits anywhere": lambda data, rng, part: flip_bits(data, rng),
    "cut off": lambda data, rng, part: cut(data, rng),
    "bytes left out or put in": lambda data, rng, part: spliced(data, rng),
    "too long": lambda data, rng, part: data + rng.randbytes(rng.choice((1, 16, 3000))),
}
CHANGES = {
    "unchanged": _unchanged, "harmless lines": _harmless_lines, "a strange value": _strange_value,
    "a strange number": _strange_number, "odd digits": _odd_digits, "a header size": _header_size,
    "a line missing": _missing_line, "a line twice": _double_line, "values exchanged": _swapped_values,
    **dict.fromkeys(BYTE_CHANGES, _bytes_later),
}  # fmt: skip


def _words(numbers: np.ndarray) -> str:
    return " ".join(repr(float(number)) for number in numbers)
