"""MetaImage headers (.mha, .mhd), read with the standard library.

Source: the MetaIO format definition, itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import (
    LIST_OF_FILES,
    Header,
    check_grid,
    check_shape,
    check_spacing,
    check_unit_vectors,
    detached_data,
    parsed_number,
    parsed_whole_number,
)
from organincrement.imaging.volume import affine_matrix

MAX_HEADER_BYTES = 65536
TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
SYNONYMS = {
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB", "Origin": "Offset", "Position": "Offset",
    "Rotation": "TransformMatrix", "Orientation": "TransformMatrix",
}  # fmt: skip


# Fields that decide how the voxels are read; a comment may hold anything.
CHECKED = ("NDims", "DimSize", "ElementType", "ElementSpacing", "TransformMatrix", "Offset", "BinaryDataByteOrderMSB",
           "CompressedData", "ElementDataFile", "HeaderSize", "ElementNumberOfChannels")  # fmt: skip
# What programs write for axes to the left, back and head: where the first voxel lies, or that they do not know.
USUAL_ANATOMY = ("RAI", "???")
TRUE, FALSE = ("true", "t", "1"), ("false", "f", "0")


def read_metaimage_header(path: Path) -> Header:
    """Check a MetaImage header; raises ImageError for what `read_image` must not read."""
    fields, end = _fields(path)
    stored = _stored_type(path, fields)
    sizes = [int(size) for size in _numbers(path, fields, "DimSize", whole=True)]
    if [len(sizes)] != _numbers(path, fields, "NDims", whole=True):
        raise ImageError(f"{path}: its NDims and its {len(sizes)} sizes disagree; export it again")
    shape_DHW = check_shape(path, sizes, stored.itemsize)
    spacing_mm, origin_mm, direction = check_grid(path, _affine(path, fields, len(sizes)))
    name = _required(path, fields, "ElementDataFile")
    if LIST_OF_FILES.fullmatch(name):
        raise ImageError(f"{path}: its voxels are spread over several files; save it as a single .mha")
    local = name.upper() == "LOCAL"
    data_path = path if local else detached_data(path, name)
    compressed = _is_true(path, fields, "CompressedData")
    data_bytes = int(np.prod(shape_DHW, dtype=np.int64)) * stored.itemsize
    return Header(
        path=path,
        kind="metaimage",
        shape_DHW=shape_DHW,
        spacing_mm=spacing_mm,
        origin_mm=origin_mm,
        direction=direction,
        stored=stored,
        data_path=data_path,
        offset=_data_start(path, fields, data_path, end if local else 0, data_bytes),
        encoding="zlib" if compressed else "raw",
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields under their first names, and the position behind ElementDataFile, which is the last."""
    fields: dict[str, str] = {}
    # ElementSpacing is the distance of the voxels; ElementSize stands for it only where it is missing.
    size: str | None = None
    with path.open("rb") as file:
        while file.tell() < MAX_HEADER_BYTES:
            line = file.readline(MAX_HEADER_BYTES)
            name, separator, value = (part.strip() for part in line.decode("utf-8", errors="replace").partition("="))
            if not separator:
                break
            if name == "ElementSize":
                size = value
                continue
            known = SYNONYMS.get(name, name)
            if known in CHECKED and not value.replace("\t", " ").isprintable():
                raise ImageError(f"{path}: its {name} holds signs that are no text; export it again")
            if fields.get(known, value) != value:
                raise ImageError(f"{path}: its header says {name[:40]!r} twice; export it again")
            fields[known] = value
            if name == "ElementDataFile":
                if size is not None:
                    fields.setdefault("ElementSpacing", size)
                return fields, file.tell()
    raise ImageError(f"{path}: is no MetaImage, or its header has no ElementDataFile at its end; export it again")


def _required(path: Path, fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise ImageError(f"{path}: its header has no {name}; export it again")
    return fields[name]


def _numbers(path: Path, fields: Mapping[str, str], name: str, *, whole: bool = False) -> list[float]:
    words = _required(path, fields, name).split()
    try:
        return [parsed_whole_number(word) if whole else parsed_number(word) for word in words]
    except ValueError:
        raise ImageError(f"{path}: its {name} {fields[name][:40]!r} are not numbers; export it again") from None


def _is_true(path: Path, fields: Mapping[str, str], name: str, *, missing: bool = False) -> bool:
    word = fields.get(name, str(missing)).lower()
    if word not in (*TRUE, *FALSE):
        raise ImageError(f"{path}: its {name} {word[:40]!r} is neither True nor False; export it again")
    return word in TRUE


def _stored_type(path: Path, fields: Mapping[str, str]) -> np.dtype:
    name = _required(path, fields, "ElementType")
    if name not in TYPES or fields.get("ElementNumberOfChannels", "1") != "1":
        what = f"{name[:40]}, {fields.get('ElementNumberOfChannels', '1')[:10]} a voxel"
        raise ImageError(f"{path}: its voxels are {what}; export one plain number per voxel")
    if not _is_true(path, fields, "BinaryData", missing=True):
        raise ImageError(f"{path}: its voxels are written as text; save it as binary")
    if fields.get("ObjectType", "Image").lower() != "image":
        raise ImageError(f"{path}: holds a {fields['ObjectType'][:20]} and no image; export the image")
    for key, usual in (("ElementToIntensityFunctionSlope", 1.0), ("ElementToIntensityFunctionOffset", 0.0)):
        if key in fields and _numbers(path, fields, key) != [usual]:
            raise ImageError(f"{path}: its values need its {key}, which programs ignore; export it with plain values")
    msb = _is_true(path, fields, "BinaryDataByteOrderMSB")
    return np.dtype(TYPES[name]).newbyteorder(">" if msb else "<")


def _affine(path: Path, fields: Mapping[str, str], dimension: int) -> np.ndarray:
    """Index-to-LPS matrix; each row of TransformMatrix is the direction of one image axis."""
    # Without a spacing, or an offset, ITK takes one millimetre and the zero point.
    spacing_xyz = _numbers(path, fields, "ElementSpacing") if "ElementSpacing" in fields else [1.0] * dimension
    rows = (
        _numbers(path, fields, "TransformMatrix") if "TransformMatrix" in fields else np.eye(dimension).ravel().tolist()
    )
    origin = _numbers(path, fields, "Offset") if "Offset" in fields else [0.0] * dimension
    anatomy = fields.get("AnatomicalOrientation", USUAL_ANATOMY[0])
    if "TransformMatrix" not in fields and anatomy.upper() not in USUAL_ANATOMY:
        raise ImageError(
            f"{path}: has an AnatomicalOrientation {anatomy[:10]!r} but no TransformMatrix; export it again"
        )
    if len(spacing_xyz) != dimension or len(rows) != dimension**2 or len(origin) != dimension:
        raise ImageError(f"{path}: its spacing, offset or matrix does not have {dimension} axes; export it again")
    check_spacing(path, spacing_xyz[:3])
    direction = np.array(rows).reshape(dimension, dimension)[:3, :3].T
    check_unit_vectors(path, direction)
    width_mm, height_mm, depth_mm = spacing_xyz[:3]
    return affine_matrix((depth_mm, height_mm, width_mm), (origin[0], origin[1], origin[2]), direction)


def _data_start(path: Path, fields: Mapping[str, str], data_path: Path, end: int, data_bytes: int) -> int:
    """Where the voxels begin: behind the header that ends at `end`, in a file of its own where its HeaderSize says."""
    if "HeaderSize" not in fields:
        return end
    size = int(_numbers(path, fields, "HeaderSize", whole=True)[0])
    packed = _is_true(path, fields, "CompressedData")
    start = max(0, data_path.stat().st_size - data_bytes) if size == -1 and not packed else size
    # Within one file other readers pass over this many bytes of it; 0 says nothing there.
    if end and start not in (0, end):
        raise ImageError(f"{path}: its HeaderSize {size} is not where its header ends; export it again")
    if start < 0:
        raise ImageError(f"{path}: its HeaderSize {size} cannot be; export it again")
    return end or start
