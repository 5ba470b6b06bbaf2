"""The weights of a package as a safetensors file: written tensor by tensor, read once."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from organincrement.contract.model import Weights
from organincrement.models.errors import ModelError
from organincrement.models.safetensors_file import DTYPES, tensors_in
from organincrement.models.sparse import Shapes, is_sparse, parts_of, sparse_shapes, told_of, unpacked

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
# safetensors puts the widest numbers first, so that all stay aligned; of equal width, in this order
_ORDER = [
    *("U64", "I64", "F64", "C64", "F32", "U32", "I32"),
    *("BF16", "F16", "U16", "I16"),
    *("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"),
]


class InFile(Protocol):
    """A tensor that is read when it is needed."""

    def read(self) -> Tensor:
        """The values."""


class _Entry(NamedTuple):
    """A tensor of the file, and the weight of the network that it is, or is a part of."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    weight: str


def write_weights(path: Path, state: Mapping[str, Tensor] | Mapping[str, InFile], told: Mapping[str, str]) -> Weights:
    """Write a file of weights, one tensor in memory at a time; equal weights give equal bytes.

    Args: told: free text for the header. Returns: its name, hash and size.
    Raises: ModelError naming a weight that is no number; OSError on a full disk.
    """
    entries, shapes = _entries(state)
    header: dict[str, Any] = {"__metadata__": {**told, **told_of(shapes)}}
    place = 0
    for entry in entries:
        nbytes = math.prod(entry.shape) * entry.dtype.itemsize
        header[entry.name] = {
            "dtype": _NAMES[entry.dtype], "shape": list(entry.shape), "data_offsets": [place, place + nbytes]
        }  # fmt: skip
        place += nbytes
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    digest, written = hashlib.sha256(), 0
    with path.open("wb") as file:
        for part in _parts(len(text).to_bytes(8, "little") + text, entries, state):
            file.write(part)
            digest.update(part)
            written += len(part)
        file.flush()
        os.fsync(file.fileno())
    return Weights(file=path.name, sha256=digest.hexdigest(), bytes=written)


def _entries(state: Mapping[str, Tensor] | Mapping[str, InFile]) -> tuple[list[_Entry], Shapes]:
    entries: list[_Entry] = []
    shapes: Shapes = {}
    for name, weight in state.items():
        tensor = _in_memory(weight)
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ModelError(
                f"weight '{name}' holds values that are no numbers; get the model again, or train it again"
            )
        if is_sparse(tensor):
            shapes[name] = list(tensor.shape)
        stored = parts_of(name, tensor) if name in shapes else {name: tensor}
        entries += [_Entry(part, values.dtype, tuple(values.shape), name) for part, values in stored.items()]
    return sorted(entries, key=lambda entry: (_ORDER.index(_NAMES[entry.dtype]), entry.name)), shapes


def _parts(
    head: bytes, entries: list[_Entry], state: Mapping[str, Tensor] | Mapping[str, InFile]
) -> Iterator[bytes | memoryview]:
    yield head
    for entry in entries:
        tensor = _in_memory(state[entry.weight])
        if entry.name != entry.weight:
            tensor = parts_of(entry.weight, tensor)[entry.name]
        yield tensor.reshape(-1).view(torch.uint8).numpy().data


def _in_memory(weight: Tensor | InFile) -> Tensor:
    """A weight of a network as it is; one of another tool's file in single precision, as ours are."""
    if isinstance(weight, Tensor):
        return weight.detach().cpu().contiguous()
    read = weight.read()
    return read.float() if read.is_floating_point() else read


def read_weights_file(data: bytearray, least: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file of weights, which share its memory where they are not sparse, and its free text.

    Args: least: how many weights the network has.
    Raises: ModelError, without the file's name, where the file cannot hold so many, or they are no numbers.
    """
    try:
        stored, told = tensors_in(data)
    except ModelError as error:
        raise ModelError(f"the weights do not fit the network of model.json (the file {error})") from None
    shapes = sparse_shapes(told, len(data))
    if least > len(data) + sum(map(math.prod, shapes.values())):
        raise ModelError(f"model.json describes {least} weights, more than its file of weights can hold")
    tensors = unpacked(stored, shapes)
    for key, weight in tensors.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ModelError(f"weight '{key}' holds values that are no numbers; get the package again")
    return tensors, told
