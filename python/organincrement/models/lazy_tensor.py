"""Tensors that stay in their file until they are read, one at a time."""

import math
import os
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from organincrement.contract.errors import ContractError
from organincrement.contract.files import open_regular
from organincrement.models.errors import ModelError

Shape = tuple[int, ...]

_BLOCK_BYTES = 2**20
MOST_AXES = 16


class SourceFile:
    """A file that is read in parts, and noticed when it changes in between."""

    def __init__(self, path: Path) -> None:
        """Raises: ModelError where it is no regular file that can be read."""
        self.path, self.name = path, path.name
        self._identity = self._checked_identity()
        self.size = self._identity[0]

    def _checked_identity(self) -> tuple[int, int]:
        try:
            with open_regular(self.path) as file:
                found = os.fstat(file.fileno())
        except ContractError as error:
            raise ModelError(str(error)) from None
        return found.st_size, found.st_mtime_ns

    def read(self, start: int, count: int) -> bytes:
        """So many bytes, fewer at the end of the file."""
        data = bytearray(max(0, min(count, self.size - start)))
        self.read_into(start, memoryview(data))
        return bytes(data)

    def read_into(self, start: int, target: memoryview) -> None:
        """Fill memory from the file. Raises: ModelError where the file has changed or ends before."""
        try:
            with open_regular(self.path) as file:
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != self._identity:
                    raise ModelError(f"{self.name}: has changed while it was read; try again")
                file.seek(start)
                if file.readinto(target) != len(target):
                    raise ModelError(f"{self.name}: ends before its data do; get the file again")
        except ContractError as error:
            raise ModelError(str(error)) from None
        except OSError as error:
            raise ModelError(f"{self.name}: cannot be read ({error.strerror or error}); try again") from None


@dataclass(kw_only=True, eq=False)
class Storage:
    """The bytes of one or several tensors. `crc32`: what a zip file says of them, None where nothing is said."""

    source: SourceFile
    name: str
    start: int
    nbytes: int
    crc32: int | None = None
    checked: bool = field(default=False, init=False)

    def read_into(self, first: int, target: memoryview) -> None:
        """Fill memory from byte `first` on. Raises: ModelError where the file's checksum does not fit."""
        self.source.read_into(self.start + first, target)
        if self.checked or self.crc32 is None:
            return
        whole = len(target) == self.nbytes
        if (zlib.crc32(target) if whole else self._checksum()) != self.crc32:
            raise ModelError(f"{self.source.name}: its part {self.name} is damaged; get the file again")
        self.checked = True

    def _checksum(self) -> int:
        found = 0
        block = memoryview(bytearray(min(_BLOCK_BYTES, self.nbytes)))
        for first in range(0, self.nbytes, _BLOCK_BYTES):
            part = block[: min(_BLOCK_BYTES, self.nbytes - first)]
            self.source.read_into(self.start + first, part)
            found = zlib.crc32(part, found)
        return found


@dataclass(frozen=True, kw_only=True, eq=False)
class LazyTensor:
    """A tensor of a file, checked to lie within it; made by `tensor_in`. `strides`: of `stored_shape`, in elements."""

    storage: Storage
    dtype: torch.dtype
    shape: Shape
    stored_shape: Shape
    strides: Shape
    first_byte: int

    @property
    def numel(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.numel * self.dtype.itemsize

    def reshaped(self, shape: Shape) -> "LazyTensor":
        """The same elements in another shape. Raises: ModelError where it holds another number of elements."""
        if math.prod(shape) != self.numel or min(shape, default=1) < 0:
            raise ModelError(f"{self.storage.source.name}: {list(self.shape)} cannot take the shape {list(shape)}")
        return replace(self, shape=tuple(shape))

    def read(self) -> Tensor:
        """The tensor, contiguous, in memory of its own. Raises: ModelError where the file is damaged or has changed."""
        if not self.numel:
            return torch.empty(self.shape, dtype=self.dtype)
        span = span_of(self.stored_shape, self.strides)
        bytes_ = torch.empty(span * self.dtype.itemsize, dtype=torch.uint8)
        self.storage.read_into(self.first_byte, bytes_.numpy().data)
        # a byte that is neither 0 nor 1 is no truth value that torch could count on
        flat = bytes_ != 0 if self.dtype == torch.bool else bytes_.view(self.dtype)
        return flat.as_strided(self.stored_shape, self.strides).contiguous().view(self.shape)


def contiguous_strides(shape: Shape) -> Shape:
    """The strides of a tensor whose last axis lies together."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def span_of(shape: Shape, strides: Shape) -> int:
    """How many elements lie between a tensor's first and last, both included."""
    if 0 in shape:
        return 0
    return 1 + sum((edge - 1) * stride for edge, stride in zip(shape, strides, strict=True))


def tensor_in(
    storage: Storage, dtype: torch.dtype, *, offset: int, shape: Shape, strides: Shape, base: int = 0, limit: int
) -> LazyTensor:
    """A tensor of a storage.

    Args: offset, strides: in elements. base, limit: the bytes of the storage that it may take, from `base` on.
    Raises: ModelError (without the file's name) where it does not lie in them, or has more elements than they hold.
    """
    if len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise ModelError("has a tensor of an odd shape")
    if not all(type(value) is int and 0 <= value < 2**63 for value in (offset, *shape, *strides)):
        raise ModelError("has a tensor with a size, stride or place that is no number from 0")
    ends = (offset + span_of(shape, strides)) * dtype.itemsize
    if ends > limit or math.prod(shape) * dtype.itemsize > limit:
        raise ModelError(f"has a tensor of shape {list(shape)} in a storage of {limit} bytes, which cannot hold it")
    return LazyTensor(
        storage=storage,
        dtype=dtype,
        shape=shape,
        stored_shape=shape,
        strides=strides,
        first_byte=base + offset * dtype.itemsize,
    )
