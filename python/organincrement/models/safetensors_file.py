"""The header of a safetensors file: eight bytes of length, JSON, then the tensors one after another."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from organincrement.models.errors import ModelError
from organincrement.models.lazy_tensor import MOST_AXES, LazyTensor, SourceFile, Storage, tensor_in

_LENGTH_BYTES = 8
_LARGEST_HEADER_BYTES = 16 * 2**20
_DTYPES = {
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


def read_header(source: SourceFile) -> Header:
    """The header, checked against the bytes of the file. Raises: ModelError, one line."""
    try:
        return _read(source)
    except _MisfitError as error:
        raise ModelError(f"{source.name}: {error}; get the file again") from None


class _MisfitError(Exception):
    pass


def _read(source: SourceFile) -> Header:
    length = int.from_bytes(source.read(0, _LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    if source.size < _LENGTH_BYTES or start > source.size:
        raise _MisfitError("is no safetensors file, or was cut off")
    if length > _LARGEST_HEADER_BYTES:
        raise _MisfitError(f"has a header of {length} bytes, far more than a model needs")
    try:
        entries = json.loads(source.read(_LENGTH_BYTES, length), object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise _MisfitError("has a header that is no JSON") from None
    if not isinstance(entries, dict):
        raise _MisfitError("has a header that lists no tensors")
    told = entries.pop("__metadata__", {})
    if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
        raise _MisfitError("has free text that is no text")
    tensors = {name: _tensor(source, start, name, entry) for name, entry in entries.items()}
    _check_places([tensor.storage for tensor in tensors.values()], start, source.size)
    return Header(tensors=tensors, told=told)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _MisfitError("lists a tensor twice")
    return made


def _no_number(_: str) -> None:
    raise _MisfitError("has a header with values that are no numbers")


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _tensor(source: SourceFile, start: int, name: str, entry: Any) -> LazyTensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _MisfitError(f"describes no tensor under {name[:60]!r}")
    shape, places = entry["shape"], entry["data_offsets"]
    if not _numbers(shape) or len(shape) > MOST_AXES or not _numbers(places) or len(places) != 2:
        raise _MisfitError(f"describes its tensor {name[:60]!r} by what are no shape and places")
    dtype = _DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise _MisfitError(f"has its tensor {name[:60]!r} in numbers of an unknown kind")
    first, end = places
    if first > end or end - first != math.prod(shape) * dtype.itemsize or start + end > source.size:
        raise _MisfitError(f"gives its tensor {name[:60]!r} of shape {shape} bytes that do not fit")
    strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    storage = Storage(source=source, name=name, start=start + first, nbytes=end - first)
    return tensor_in(storage, dtype, offset=0, shape=tuple(shape), strides=strides, limit=end - first)


def _check_places(storages: list[Storage], start: int, size: int) -> None:
    """The format wants no byte unused and none used twice."""
    for storage in sorted(storages, key=lambda storage: (storage.start, storage.nbytes)):
        if storage.start != start:
            raise _MisfitError("has tensors that overlap, or bytes that belong to none")
        start += storage.nbytes
    if start != size:
        raise _MisfitError("has bytes that belong to no tensor, or was cut off")
