"""Hostile NRRD files; the truth is a plain reading of the format's definition that trusts nothing it does not know."""

import bz2
import gzip
import random
import re
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

TYPES = {"u1": "uchar", "i1": "int8", "i2": "short", "u2": "uint16_t", "i4": "int", "u4": "unsigned int",
         "i8": "long long int", "u8": "uint64", "f4": "float", "f8": "double"}  # fmt: skip
SIGNS = {"left-posterior-superior": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "LPS": (1, 1, 1),
         "RAS": (-1, -1, 1), "LAS": (1, -1, 1), "left-anterior-superior": (1, -1, 1)}  # fmt: skip
STRANGE = ("nan", "inf", "-1", "0", "1e30", "999999999999", "", "none", "(1,0,0) (0,1,0) (0,0,1)", "(nan,0,0)", "raw",
           "gzip", "ascii", "hex", "bz2", "big", "little", "3", "4", "2 2 2", "float", "short", "block", "RAS",
           "scanner-xyz", "../secret.raw", "/etc/hostname", "LIST", "scan.raw", "gone.raw", "3.5", "0x10",
           "1_0")  # fmt: skip


class Image:
    """A NRRD image as its header lines, its packed voxels, and whether these lie in a file of their own."""

    def __init__(self, rng: random.Random) -> None:
        self.array_DHW = random_voxels(rng, rng.choice(list(TYPES)))
        code = self.array_DHW.dtype.str[1:]
        self.encoding = rng.choice(("raw", "raw", "gzip", "bzip2", "ascii"))
        endian = rng.choice(("little", "little", "big"))
        affine = random_affine(rng)
        space = rng.choice(list(SIGNS))
        affine[:3] *= np.array(SIGNS[space])[:, None]
        self.lines = [
            f"type: {TYPES[code]}", "dimension: 3", f"space: {space}",
            f"sizes: {' '.join(map(str, self.array_DHW.shape[::-1]))}",
            f"space directions: {' '.join(_vector(affine[:3, axis]) for axis in range(3))}",
            "kinds: domain domain domain", f"endian: {endian}", f"encoding: {self.encoding}",
            f"space origin: {_vector(affine[:3, 3])}",
        ]  # fmt: skip
        data = self.array_DHW.astype(self.array_DHW.dtype.newbyteorder("<" if endian == "little" else ">")).tobytes()
        self.voxels = data if self.encoding == "raw" else self._packed(data, rng)
        self.detached = rng.random() < 0.3
        if self.detached:
            self.lines.append("data file: scan.raw")

    def _packed(self, data: bytes, rng: random.Random) -> bytes:
        if self.encoding == "ascii":
            return b" ".join(repr(value).encode() for value in self.array_DHW.ravel().tolist())
        return gzip.compress(data, rng.randrange(10), mtime=0) if self.encoding == "gzip" else bz2.compress(data)

    def header(self) -> bytes:
        """The header with the blank line behind it."""
        return ("\n".join(["NRRD0005", *self.lines]) + "\n\n").encode()

    def files(self) -> tuple[dict[str, bytes], str]:
        """The files and the name of the one to read."""
        if self.detached:
            return {"scan.nhdr": self.header(), "scan.raw": self.voxels}, "scan.nhdr"
        return {"scan.nrrd": self.header() + self.voxels}, "scan.nrrd"


def mutant(rng: random.Random) -> Mutant:
    """One NRRD image, changed in one way."""
    image = Image(rng)
    change = rng.choice(list(CHANGES))
    must_read = CHANGES[change](image, rng)
    files, target = image.files()
    if change in BYTE_CHANGES:
        changed = rng.choice(list(files))
        end = len(image.header()) if BYTE_CHANGES[change] is _header_bits and changed == target else None
        files[changed] = BYTE_CHANGES[change](files[changed], rng, end)
    what = f"{target} {image.encoding} {image.array_DHW.dtype}: {change}"
    return Mutant(what=what, files=files, target=target, truth=truth, must_read=must_read)


def truth(path: Path) -> Truth:
    """Read the plain part of the format, in which every field stands once."""
    header, _, rest = path.read_bytes().partition(b"\n\n")
    fields: dict[str, str] = {}
    for line in header.decode("latin-1").splitlines()[1:]:
        name, separator, value = line.partition(": ")
        if line.startswith("#") or ":=" in line.split(": ")[0] or not separator:
            continue
        if name.lower() in fields and name.lower() in CHECKED:
            raise NoTruthError(f"{name} twice")
        fields[name.lower()] = value.strip()
    sizes = [int(plain_float(word)) for word in fields["sizes"].split()]
    if not set(fields.get("kinds", "domain").lower().split()[:3]) <= {"domain", "space", "???", "none"}:
        raise NoTruthError("not three axes in space")
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    dtype = next(np.dtype(code) for code, name in TYPES.items() if fields["type"].lower() in (name, *SYNONYMS[code]))
    if "data file" in fields:
        rest = (path.parent / Path(fields["data file"]).name).read_bytes()
    skip = int(fields.get("byte skip", "0"))
    encoding = fields["encoding"].lower()
    if encoding in ("txt", "text", "ascii"):
        kind = float if dtype.kind == "f" else int
        values = np.array([kind(word) for word in rest.split()]).astype(dtype)
    else:
        unpack = {"raw": bytes, "gzip": gzip.decompress, "gz": gzip.decompress, "bzip2": bz2.decompress,
                  "bz2": bz2.decompress}[encoding]  # fmt: skip
        order = {"little": "<", "big": ">"}[fields["endian"].lower()] if dtype.itemsize > 1 else "<"
        content = unpack(rest)[skip:]
        count = int(np.prod(sizes))
        values = np.frombuffer(content[: count * dtype.itemsize], dtype.newbyteorder(order))
    signs = {name.lower(): sign for name, sign in SIGNS.items()}[fields["space"].lower()]
    affine = np.eye(4)
    words = fields["space directions"].replace("none", "").replace(")", ") ").split(")")
    vectors = [[plain_float(number) for number in word.strip(" (").split(",")] for word in words if word.strip()]
    affine[:3, :3] = np.array(vectors[:3]).T
    affine[:3, 3] = [plain_float(number) for number in fields.get("space origin", "0,0,0").strip("()").split(",")]
    affine[:3] *= np.array(signs)[:, None]
    return Truth(array_DHW=values.reshape(sizes[::-1]), affine=affine)


CHECKED = ("type", "sizes", "dimension", "space", "space directions", "space origin", "endian", "encoding", "data file")
SYNONYMS = {
    "u1": ("unsigned char", "uint8", "uint8_t"), "i1": ("signed char", "int8_t"), "i2": ("int16", "signed short"),
    "u2": ("ushort", "uint16", "unsigned short"), "i4": ("int32", "signed int"), "u4": ("uint", "uint32"),
    "i8": ("long long", "int64", "longlong"), "u8": ("uint64_t", "ulonglong"), "f4": (), "f8": (),
}  # fmt: skip


def _unchanged(image: Image, rng: random.Random) -> bool:
    return True


def _harmless_lines(image: Image, rng: random.Random) -> bool:
    line = rng.choice(("# sizes: 1 1 1", "content: sizes: 2 2 2", "Segment0_Name:=type: float", "sizes:=9 9 9",
                       'space units: "mm" "mm" "mm"', "thicknesses: NaN NaN 3", "old min: 7"))  # fmt: skip
    image.lines.insert(rng.randrange(len(image.lines) + 1), line)
    rng.shuffle(image.lines)
    return True


def _byte_skip(image: Image, rng: random.Random) -> bool:
    if image.encoding != "raw":
        return True
    image.voxels = rng.randbytes(7) + image.voxels
    image.lines.append("byte skip: 7")
    return True


def _strange_value(image: Image, rng: random.Random) -> bool:
    index = rng.randrange(len(image.lines))
    image.lines[index] = f"{image.lines[index].partition(': ')[0]}: {rng.choice(STRANGE)}"
    return False


def _strange_number(image: Image, rng: random.Random) -> bool:
    index = rng.randrange(len(image.lines))
    words = image.lines[index].replace(",", " , ").split(" ")
    places = [place for place, word in enumerate(words) if word.strip("()-.e").replace(".", "").isdigit()]
    if places:
        place = rng.choice(places)
        words[place] = words[place].replace(words[place].strip("()"), rng.choice(STRANGE[:6]))
        image.lines[index] = " ".join(words).replace(" , ", ",")
    return not places


def _odd_digits(image: Image, rng: random.Random) -> bool:
    index = rng.choice([at for at, line in enumerate(image.lines) if line.startswith(("sizes", "space "))])
    name, _, value = image.lines[index].partition(": ")
    words = re.findall(r"[^ ,()]+|[ ,()]+", value)
    place = rng.choice([place for place, word in enumerate(words) if any(map(str.isdigit, word))])
    words[place] = odd_digits(words[place], rng)
    image.lines[index] = f"{name}: {''.join(words)}"
    return False


def _other_kinds(image: Image, rng: random.Random) -> bool:
    index = next(at for at, line in enumerate(image.lines) if line.startswith("kinds"))
    kinds = ["domain"] * 3
    kinds[rng.randrange(3)] = rng.choice(("space", "???", "none", "vector", "time", "list", "RGB-color", "3-color"))
    image.lines[index] = f"kinds: {' '.join(kinds)}"
    return set(kinds) <= {"domain", "space", "???", "none"}


def _missing_line(image: Image, rng: random.Random) -> bool:
    return image.lines.pop(rng.randrange(len(image.lines))).startswith(("kinds", "space origin"))


def _double_line(image: Image, rng: random.Random) -> bool:
    image.lines.insert(rng.randrange(len(image.lines)), rng.choice(image.lines))
    return False


def _swapped_names(image: Image, rng: random.Random) -> bool:
    first, second = rng.sample(range(len(image.lines)), 2)
    (a, _, x), (b, _, y) = (image.lines[index].partition(": ") for index in (first, second))
    image.lines[first], image.lines[second] = f"{a}: {y}", f"{b}: {x}"
    return False


def _bytes_later(image: Image, rng: random.Random) -> bool:
    return False


def _header_bits(data: bytes, rng: random.Random, end: int | None) -> bytes:
    return flip_bits(data, rng, 0, end)


def _any_bits(data: bytes, rng: random.Random, end: int | None) -> bytes:
    return flip_bits(data, rng)


def _cut(data: bytes, rng: random.Random, end: int | None) -> bytes:
    return cut(data, rng)


def _splice(data: bytes, rng: random.Random, end: int | None) -> bytes:
    return spliced(data, rng)


def _longer(data: bytes, rng: random.Random, end: int | None) -> bytes:
    return data + rng.randbytes(rng.choice((1, 16, 3000)))


BYTE_CHANGES = {
    "bits of the header": _header_bits, "bits anywhere": _any_bits, "cut off": _cut,
    "bytes left out or put in": _splice, "too long": _longer,
}  # fmt: skip
CHANGES = {
    "unchanged": _unchanged, "harmless lines": _harmless_lines, "byte skip": _byte_skip,
    "a strange value": _strange_value, "a strange number": _strange_number, "a line missing": _missing_line,
    "odd digits": _odd_digits, "other kinds": _other_kinds,
    "a line twice": _double_line, "values exchanged": _swapped_names,
    **dict.fromkeys(BYTE_CHANGES, _bytes_later),
}  # fmt: skip


def _vector(numbers: np.ndarray) -> str:
    return f"({','.join(repr(float(number)) for number in numbers)})"
