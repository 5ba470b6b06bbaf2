"""What torch's names in a pickle mean: dtypes, storages, and the functions that make tensors, as lazy tensors."""

from dataclasses import dataclass
from typing import Any

import torch

from organincrement.models.errors import ModelError
from organincrement.models.lazy_tensor import LazyTensor, Storage, tensor_in
from organincrement.models.pickled_calls import PLAIN, Allowance, Meanings, Named

_DTYPES = {
    f"torch.{name}": getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "complex64", "complex128"),
        *("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool"),
    )
}
_STORAGES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
STORAGE_DTYPES = {
    f"{module}.{name}Storage": dtype for module in ("torch", "torch.cuda") for name, dtype in _STORAGES.items()
}
UNTYPED = "torch.storage.UntypedStorage"


@dataclass(frozen=True, kw_only=True)
class StoragePart:
    """A part of a storage, as its pickle refers to it; `dtype` is None for one of plain bytes."""

    storage: Storage
    dtype: torch.dtype | None
    first_byte: int
    nbytes: int


def storage_dtype(kind: Any) -> torch.dtype | None:
    """The dtype of a storage's class, None for plain bytes. Raises: ModelError for a class we do not know."""
    if isinstance(kind, Named):
        if kind.path == UNTYPED:
            return None
        if kind.path in STORAGE_DTYPES:
            return STORAGE_DTYPES[kind.path]
    raise ModelError("has tensors of a kind that is not supported; save the weights as plain numbers")


def _tensor(part: Any, offset: Any, shape: Any, strides: Any, dtype: Any) -> Any:
    if not isinstance(part, StoragePart) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise ModelError("makes a tensor of what is no storage or shape")
    if not isinstance(dtype, torch.dtype):
        return NotImplemented
    return tensor_in(
        part.storage,
        dtype,
        offset=offset,
        shape=shape,
        strides=strides,
        base=part.first_byte,
        limit=part.nbytes,
    )


def _rebuilt(args: tuple[Any, ...], _: Allowance) -> Any:
    part, offset, shape, strides, *rest = args
    # of v2: requires_grad, hooks, and bits such as "conjugated", which would change the values
    if len(rest) > 2 and rest[2]:
        return NotImplemented
    return _tensor(part, offset, shape, strides, part.dtype if isinstance(part, StoragePart) else None)


def _rebuilt_untyped(args: tuple[Any, ...], _: Allowance) -> Any:
    part, offset, shape, strides, _grad, _hooks, dtype, *rest = args
    return NotImplemented if rest and rest[0] else _tensor(part, offset, shape, strides, dtype)


def _parameter(args: tuple[Any, ...], _: Allowance) -> Any:
    return args[0] if isinstance(args[0], LazyTensor) else NotImplemented


def _of_a_class(args: tuple[Any, ...], allowance: Allowance) -> Any:
    """A subclass of Tensor (MONAI's MetaTensor): the tensor, without what its class adds."""
    function, _type, inner, _state = args
    meaning = _REBUILDERS.get(function.path) if isinstance(function, Named) else None
    if meaning is None or not isinstance(inner, tuple):
        return NotImplemented
    return meaning(inner, allowance)


def _size(args: tuple[Any, ...], allowance: Allowance) -> tuple[Any, ...]:
    (edges,) = args
    allowance.spend(8 * len(edges))
    return tuple(edges)


def _device(args: tuple[Any, ...], _: Allowance) -> str:
    return ":".join(str(part)[:20] for part in args if isinstance(part, (str, int)))


_REBUILDERS = {
    "torch._utils._rebuild_tensor": _rebuilt,
    "torch._utils._rebuild_tensor_v2": _rebuilt,
    "torch._utils._rebuild_tensor_v3": _rebuilt_untyped,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
TORCH = PLAIN.with_more(
    Meanings(
        names=_DTYPES,
        calls={
            **_REBUILDERS,
            "torch._tensor._rebuild_from_type_v2": _of_a_class,
            "torch.nn.parameter.Parameter": _parameter,
            "torch.Size": _size,
            "torch.device": _device,
        },
    )
)
