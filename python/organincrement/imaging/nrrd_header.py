"""NRRD headers (.nrrd, .nhdr, .seg.nrrd), read with the standard library.

Source: the NRRD format definition, teem.sourceforge.net/nrrd/format.html.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import (
    LIST_OF_FILES,
    Encoding,
    Header,
    check_grid,
    check_shape,
    detached_data,
    parsed_number,
    parsed_whole_number,
)

MAX_HEADER_BYTES = 4 * 2**20
MAX_HEADER_LINES = 100_000
MAX_SKIPPED_LINES = 1000
MAX_SKIPPED_BYTES = 64 * 2**20
TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
ENCODINGS: dict[str, Encoding] = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "txt": "text", "text": "text", "ascii": "text",
}  # fmt: skip
# How each space's axes become L, P, S.
TO_LPS = {
    "left-posterior-superior": (1, 1, 1), "lps": (1, 1, 1), "right-anterior-superior": (-1, -1, 1), "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1), "las": (1, -1, 1),
}  # fmt: skip
KINDS_IN_SPACE = ("domain", "space", "???", "none")
KNOWN = {"type", "dimension", "sizes", "endian", "encoding", "space", "space directions", "space origin", "space units",
         "data file", "line skip", "byte skip", "kinds", "units", "spacings"}  # fmt: skip


def read_nrrd_header(path: Path) -> Header:
    """Check a NRRD header; raises ImageError for what `read_image` must not read."""
    fields, end = _fields(path)
    stored = _stored_type(path, fields)
    sizes = _integers(path, fields, "sizes")
    if [len(sizes)] != _integers(path, fields, "dimension"):
        raise ImageError(f"{path}: its dimension and its {len(sizes)} sizes disagree; export it again")
    shape_DHW = check_shape(path, sizes, stored.itemsize)
    affine = _affine(path, fields, len(sizes))
    spacing_mm, origin_mm, direction = check_grid(path, affine)
    encoding = ENCODINGS.get(fields.get("encoding", "").lower())
    if encoding is None:
        raise ImageError(f"{path}: its encoding {fields.get('encoding', 'none')!r} is not supported; save it as gzip")
    data_path = path if "data file" not in fields else detached_data(path, _single_file(path, fields["data file"]))
    size = int(np.prod(shape_DHW, dtype=np.int64)) * stored.itemsize
    offset, skip = _data_start(path, fields, data_path, 0 if "data file" in fields else end, encoding, size)
    return Header(
        path=path,
        kind="nrrd",
        shape_DHW=shape_DHW,
        spacing_mm=spacing_mm,
        origin_mm=origin_mm,
        direction=direction,
        stored=stored,
        data_path=data_path,
        offset=offset,
        skip=skip,
        encoding=encoding,
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields, names in lower case, and the position behind the header; key/value pairs are passed over."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if not re.fullmatch(rb"NRRD000[1-5]\r?\n", file.readline(16)):
            raise ImageError(f"{path}: is no NRRD image; export it again")
        for _ in range(MAX_HEADER_LINES):
            line = file.readline(MAX_HEADER_BYTES)
            if file.tell() > MAX_HEADER_BYTES:
                break
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            if not text:
                return fields, file.tell()
            name, separator, value = text.partition(": ")
            name = {"datafile": "data file", "lineskip": "line skip", "byteskip": "byte skip"}.get(
                name.lower(), name.lower()
            )
            # Only `name: value` is a field; a key of a `key:=value` pair may hold a colon and a space in its value.
            if text.startswith("#") or ":=" in text.split(": ", 1)[0] or not separator or name not in KNOWN:
                continue
            if name in fields:
                raise ImageError(f"{path}: its header says {name!r} twice; export it again")
            if not value.replace("\t", " ").isprintable():
                raise ImageError(f"{path}: its {name} holds signs that are no text; export it again")
            fields[name] = value.strip()
    raise ImageError(f"{path}: its header has no end; export it again")


def _required(path: Path, fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise ImageError(f"{path}: its header has no {name!r}; export it again")
    return fields[name]


def _integers(path: Path, fields: Mapping[str, str], name: str) -> list[int]:
    words = _required(path, fields, name).split()
    try:
        return [parsed_whole_number(word) for word in words]
    except ValueError:
        raise ImageError(f"{path}: its {name} {fields[name][:40]!r} are no whole numbers; export it again") from None


def _stored_type(path: Path, fields: Mapping[str, str]) -> np.dtype:
    name = _required(path, fields, "type").lower()
    code = next((code for code, names in TYPES.items() if name in names.split("|")), None)
    if code is None:
        raise ImageError(f"{path}: its voxel type {name[:40]!r} is not supported; export one plain number per voxel")
    stored = np.dtype(code)
    if stored.itemsize == 1 or ENCODINGS.get(fields.get("encoding", "").lower()) == "text":
        return stored
    orders = {"little": "<", "big": ">"}
    order = _required(path, fields, "endian").lower()
    if order not in orders:
        raise ImageError(f"{path}: its byte order {order[:40]!r} is neither little nor big; export it again")
    return stored.newbyteorder(orders[order])  # type: ignore[arg-type]


def _affine(path: Path, fields: Mapping[str, str], dimension: int) -> np.ndarray:
    """Index-to-LPS matrix from space, space directions and space origin."""
    space = fields.get("space", "").lower()
    if space not in TO_LPS:
        raise ImageError(
            f"{path}: has no anatomical orientation (space {space or 'missing'!r}); export it again in LPS or RAS"
        )
    _check_axes(path, fields, dimension)
    text = _required(path, fields, "space directions")
    vectors = re.findall(r"\([^()]*\)|none", text)
    if re.sub(r"\([^()]*\)|none|\s", "", text):
        raise ImageError(f"{path}: its space directions {text[:40]!r} are no vectors; export it again")
    if len(vectors) != dimension or "none" in vectors[:3] or set(vectors[3:]) - {"none"}:
        raise ImageError(
            f"{path}: has an axis that is not in space (a colour, vector or time); export one 3-D volume of it"
        )
    affine = np.eye(4)
    for axis, vector in enumerate(vectors[:3]):
        affine[:3, axis] = _vector(path, vector)
    # Without an origin ITK takes the zero point.
    affine[:3, 3] = _vector(path, fields.get("space origin", "(0,0,0)"))
    affine[:3] *= np.array(TO_LPS[space])[:, None]
    return affine


def _check_axes(path: Path, fields: Mapping[str, str], dimension: int) -> None:
    """Raise ImageError unless the first three axes are in space, in millimetres, and their vectors alone space them."""
    kinds = fields["kinds"].lower().split() if "kinds" in fields else ["???"] * dimension
    others = [kind for kind in kinds[:3] if kind not in KINDS_IN_SPACE]
    if len(kinds) != dimension or others:
        raise ImageError(
            f"{path}: its kinds {fields['kinds'][:40]!r} are not those of axes in space; export one 3-D volume of it"
        )
    for name in ("space units", "units"):
        strange = [unit for unit in re.findall(r'"([^"]*)"', fields.get(name, ""))[:3] if unit not in ("mm", "")]
        if strange:
            raise ImageError(f"{path}: its unit of length is {strange[0][:20]!r}; save it in millimetres")
    if any(word.lower() != "nan" for word in fields.get("spacings", "").split()[:3]):
        raise ImageError(f"{path}: has spacings beside its space directions; keep the directions and export it again")


def _vector(path: Path, text: str) -> list[float]:
    try:
        numbers = [parsed_number(word.strip()) for word in text.strip().removeprefix("(").removesuffix(")").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3:
        raise ImageError(f"{path}: {text[:40]!r} in its header is no vector of three numbers; export it again")
    return numbers


def _single_file(path: Path, name: str) -> str:
    if LIST_OF_FILES.fullmatch(name):
        raise ImageError(f"{path}: its voxels are spread over several files; save it as a single file")
    return name


def _data_start(
    path: Path, fields: Mapping[str, str], data_path: Path, offset: int, encoding: Encoding, data_bytes: int
) -> tuple[int, int]:
    """Where the voxels begin: bytes to pass over in the file, and, when compressed, in what comes out."""
    lines = _integers(path, fields, "line skip")[0] if "line skip" in fields else 0
    skip = _integers(path, fields, "byte skip")[0] if "byte skip" in fields else 0
    if (
        not 0 <= lines <= MAX_SKIPPED_LINES
        or not -1 <= skip <= MAX_SKIPPED_BYTES
        or (skip == -1 and (encoding != "raw" or lines))
    ):
        raise ImageError(f"{path}: skips {lines} lines and {skip} bytes, which cannot be; export it again")
    if skip == -1:
        return max(0, data_path.stat().st_size - data_bytes), 0
    with data_path.open("rb") as file:
        file.seek(offset)
        for _ in range(lines):
            if not file.readline(MAX_HEADER_BYTES).endswith(b"\n"):
                raise ImageError(f"{path}: skips more lines than there are; export it again")
        offset = file.tell()
    return (offset, skip) if encoding in ("gzip", "bzip2") else (offset + skip, 0)
