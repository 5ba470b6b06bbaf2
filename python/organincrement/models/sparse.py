"""Tensors that are mostly zeros, in a safetensors file: places and values of the others, and the shape in its header.

Of a tensor `w`: `w.indices` (int32 into the flat tensor, rising), `w.values`, and the shape under `sparse` in the
header's free text. A tensor is stored so where that is smaller.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from organincrement.models.errors import ModelError

Shapes = dict[str, list[int]]

HEADER_KEY = "sparse"
_INDICES, _VALUES = ".indices", ".values"
_BYTES_PER_VALUE = 8  # a place and a value
_BYTES_PER_TENSOR = 256  # of the header, for two entries and a shape
_MOST_PER_BYTE = 128  # weights that a byte of a file may stand for; 99.9 % pruned are 125
_MOST_AXES = 5


def packed(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors as they are stored, and what the header says of those that are sparse."""
    stored: dict[str, Tensor] = {}
    shapes: Shapes = {}
    for name, tensor in tensors.items():
        if is_sparse(tensor):
            shapes[name] = list(tensor.shape)
            stored |= parts_of(name, tensor)
        else:
            stored[name] = tensor
    return stored, told_of(shapes)


def told_of(shapes: Shapes) -> dict[str, str]:
    """What the header says of the sparse tensors, by name and shape."""
    return {HEADER_KEY: json.dumps(shapes, sort_keys=True)} if shapes else {}


def parts_of(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """The two tensors that a sparse one is stored as."""
    places = tensor.flatten().nonzero().flatten()
    return {name + _INDICES: places.to(torch.int32), name + _VALUES: tensor.flatten()[places]}


def is_sparse(tensor: Tensor) -> bool:
    """Whether a tensor is smaller by its places and values, and comes back from them as it was."""
    if (
        tensor.dtype != torch.float32
        or not 0 < tensor.ndim <= _MOST_AXES
        or tensor.numel() > torch.iinfo(torch.int32).max
    ):
        return False
    values = int(tensor.count_nonzero())
    if values * _BYTES_PER_VALUE + _BYTES_PER_TENSOR >= tensor.numel() * tensor.element_size():
        return False
    # minus zero would come back as zero
    return not bool((tensor.signbit() & (tensor == 0)).any())


def sparse_shapes(told: Mapping[str, Any], file_bytes: int) -> Shapes:
    """The shapes that a file's header claims, before anything of that size is made.

    Raises: ModelError where they are no shapes, or larger than a file of so many bytes could have been made of.
    """
    try:
        shapes = json.loads(told.get(HEADER_KEY, "{}"))
    except (ValueError, TypeError, RecursionError):
        shapes = None
    if not isinstance(shapes, dict) or not all(_is_shape(shape) for shape in shapes.values()):
        raise ModelError("its sparse weights have no proper shapes")
    if sum(map(math.prod, shapes.values())) > _MOST_PER_BYTE * file_bytes:
        raise ModelError(f"its sparse weights claim more than {_MOST_PER_BYTE} weights for each byte of the file")
    return shapes


def _is_shape(shape: Any) -> bool:
    whole = isinstance(shape, list) and 0 < len(shape) <= _MOST_AXES
    return whole and all(type(edge) is int and 0 < edge < 2**31 for edge in shape)


def unpacked(stored: Mapping[str, Tensor], shapes: Shapes) -> dict[str, Tensor]:
    """The tensors as they were. Raises: ModelError naming the tensor whose places or values do not fit its shape."""
    tensors = dict(stored)
    for name, shape in shapes.items():
        indices, values = tensors.pop(name + _INDICES, None), tensors.pop(name + _VALUES, None)
        if indices is None or values is None or name in tensors:
            raise ModelError(f"its sparse weight '{name}' is not there, or there twice")
        _check(name, indices, values, math.prod(shape))
        dense = torch.zeros(math.prod(shape))
        dense[indices.long()] = values
        tensors[name] = dense.view(shape)
    return tensors


def _check(name: str, indices: Tensor, values: Tensor, size: int) -> None:
    if (indices.dtype, values.dtype) != (torch.int32, torch.float32) or indices.ndim != 1:
        raise ModelError(f"its sparse weight '{name}' is not of whole numbers and single-precision values")
    if indices.shape != values.shape:
        raise ModelError(f"its sparse weight '{name}' has {indices.numel()} places for {values.numel()} values")
    if not indices.numel():
        return
    if int(indices.min()) < 0 or int(indices.max()) >= size:
        raise ModelError(f"its sparse weight '{name}' has places outside its {size} weights")
    if bool((indices[1:] <= indices[:-1]).any()):
        raise ModelError(f"its sparse weight '{name}' has places twice, or out of their order")
