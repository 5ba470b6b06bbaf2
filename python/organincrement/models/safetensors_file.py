"""The header of a safetensors file: eight bytes of length, JSON, then the tensors one after another."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from organincrement.models.errors import ModelError
from organincrement.models.lazy_tensor import MOST_AXES, LazyTensor, SourceFile, Storage, contiguous_strides, tensor_in

_LENGTH_BYTES = 8
_LARGEST_HEADER_BYTES = 16 * 2**20
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "C64": torch.complex64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a safetensors file says: its tensors by name, and its free text."""

    tensors: Mapping[str, LazyTensor]
    told: Mapping[str, str]


class _Place(NamedTuple):
    """A tensor's type, shape, and bytes from `first` up to `end` of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    first: int
    end: int


class _MisfitError(Exception):
    pass


def read_header(source: SourceFile) -> Header:
    """The header, checked against the bytes of the file. Raises: ModelError, one line."""
    try:
        length = _header_length(source.read(0, _LENGTH_BYTES), source.size)
        places, told = _places(source.read(_LENGTH_BYTES, length), source.size)
    except _MisfitError as error:
        raise ModelError(f"{source.name}: {error}; get the file again") from None
    return Header(tensors={name: _lazy(source, name, place) for name, place in places.items()}, told=told)


def tensors_in(data: bytearray) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a whole file in memory, which they share, and its free text.

    Raises: ModelError, without the file's name, for what is no safetensors file.
    """
    try:
        length = _header_length(bytes(data[:_LENGTH_BYTES]), len(data))
        places, told = _places(bytes(data[_LENGTH_BYTES : _LENGTH_BYTES + length]), len(data))
    except _MisfitError as error:
        raise ModelError(str(error)) from None
    return dict(_shared(data, places)), told


def _shared(data: bytearray, places: Mapping[str, _Place]) -> Iterator[tuple[str, Tensor]]:
    for name, place in places.items():
        count = math.prod(place.shape)
        if not count:
            yield name, torch.empty(place.shape, dtype=place.dtype)
        elif place.first % place.dtype.itemsize or place.dtype == torch.bool:
            copied = torch.frombuffer(data[place.first : place.end], dtype=torch.uint8)
            values = copied != 0 if place.dtype == torch.bool else copied.view(place.dtype)
            yield name, values.view(place.shape)
        else:
            values = torch.frombuffer(data, dtype=place.dtype, count=count, offset=place.first)
            yield name, values.view(place.shape)


def _lazy(source: SourceFile, name: str, place: _Place) -> LazyTensor:
    nbytes = place.end - place.first
    storage = Storage(source=source, name=name, start=place.first, nbytes=nbytes)
    strides = contiguous_strides(place.shape)
    return tensor_in(storage, place.dtype, offset=0, shape=place.shape, strides=strides, limit=nbytes)


def _header_length(start: bytes, size: int) -> int:
    length = int.from_bytes(start, "little")
    if len(start) < _LENGTH_BYTES or _LENGTH_BYTES + length > size:
        raise _MisfitError("is no safetensors file, or was cut off")
    if length > _LARGEST_HEADER_BYTES:
        raise _MisfitError(f"has a header of {length} bytes, far more than a model needs")
    return length


def _places(header: bytes, size: int) -> tuple[dict[str, _Place], dict[str, str]]:
    try:
        entries = json.loads(header, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _MisfitError("has a header that is no JSON") from None
    if not isinstance(entries, dict):
        raise _MisfitError("has a header that lists no tensors")
    told = entries.pop("__metadata__", {})
    if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
        raise _MisfitError("has free text that is no text")
    start = _LENGTH_BYTES + len(header)
    places = {name: _place(start, size, name, entry) for name, entry in entries.items()}
    _check_places(list(places.values()), start, size)
    return places, told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _MisfitError("lists a tensor twice")
    return made


def _no_number(_: str) -> None:
    raise _MisfitError("has a header with values that are no numbers")


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _place(start: int, size: int, name: str, entry: Any) -> _Place:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _MisfitError(f"describes no tensor under {name[:60]!r}")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _numbers(shape) or len(shape) > MOST_AXES or not _numbers(offsets) or len(offsets) != 2:
        raise _MisfitError(f"describes its tensor {name[:60]!r} by what are no shape and places")
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise _MisfitError(f"has its tensor {name[:60]!r} in numbers of an unknown kind")
    first, end = offsets
    if first > end or end - first != math.prod(shape) * dtype.itemsize or start + end > size:
        raise _MisfitError(f"gives its tensor {name[:60]!r} of shape {shape} bytes that do not fit")
    return _Place(dtype=dtype, shape=tuple(shape), first=start + first, end=start + end)


def _check_places(places: list[_Place], start: int, size: int) -> None:
    """The format wants no byte unused and none used twice."""
    for place in sorted(places, key=lambda place: (place.first, place.end)):
        if place.first != start:
            raise _MisfitError("has tensors that overlap, or bytes that belong to none")
        start = place.end
    if start != size:
        raise _MisfitError("has bytes that belong to no tensor, or was cut off")
