"""The weights of nnU-Net v1's U-Net under the names of ours, and the network that their shapes describe.

Three things differ from the PlainConvUNet of nnU-Net v2: transposed convolutions and output layers have no bias, which
is a bias of 0; the last convolution of a level is in a group of its own; and a level of the decoder has the kernels of
the level below it. Where these are wider than the encoder's on that level, the narrower ones are set in zeros.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import StoredTensor
from organincrement.models.formats.stated import shown
from organincrement.models.torch_file import LazyTensor
from organincrement.networks.sizing import NetworkSpec

Shape = tuple[int, ...]
T = TypeVar("T")

_BLOCK = re.compile(
    r"conv_blocks_(context|localization)\.([0-9]{1,2})(?:\.([01]))?\.blocks\.([0-9]{1,2})\.(conv|instnorm)\.(\w+)"
)
_UP = re.compile(r"tu\.([0-9]{1,2})\.(weight|bias)")
_OUT = re.compile(r"seg_outputs\.([0-9]{1,2})\.(weight|bias)")
_PREFIX = "module."  # of networks that were trained in parallel


@dataclass(frozen=True)
class Zeros:
    """Values that the file does not have because they are all 0."""

    dtype: torch.dtype
    shape: Shape

    @property
    def nbytes(self) -> int:
        """What its values take."""
        return int(torch.Size(self.shape).numel()) * self.dtype.itemsize

    def read(self) -> Tensor:
        """The values."""
        return torch.zeros(self.shape, dtype=self.dtype)


@dataclass(frozen=True)
class InZeros:
    """A convolution's weights in the middle of a wider kernel of zeros."""

    inner: LazyTensor
    shape: Shape

    @property
    def dtype(self) -> torch.dtype:
        """The type of its values as stored."""
        return self.inner.dtype

    @property
    def nbytes(self) -> int:
        """What its values take."""
        return int(torch.Size(self.shape).numel()) * self.dtype.itemsize

    def read(self) -> Tensor:
        """The values."""
        wide = torch.zeros(self.shape, dtype=self.dtype)
        middle = [(edge - own) // 2 for edge, own in zip(self.shape[2:], self.inner.shape[2:], strict=True)]
        inside = tuple(slice(m, m + own) for m, own in zip(middle, self.inner.shape[2:], strict=True))
        wide[(slice(None), slice(None), *inside)] = self.inner.read()
        return wide


@dataclass(frozen=True, kw_only=True)
class Weights1:
    """A checkpoint's weights in order: of each level's blocks {what: tensor}, coarsest level first in the decoder."""

    encoder: tuple[tuple[Mapping[str, LazyTensor], ...], ...]
    decoder: tuple[tuple[Mapping[str, LazyTensor], ...], ...]
    ups: tuple[Mapping[str, LazyTensor], ...]
    outs: tuple[Mapping[str, LazyTensor], ...]
    where: str

    @classmethod
    def of(cls, stored: Mapping[Any, Any], where: str) -> "Weights1":
        """Raises: ModelError naming what no U-Net of nnU-Net v1 has."""
        blocks: dict[str, dict[int, dict[tuple[int, int], dict[str, LazyTensor]]]] = {"context": {}, "localization": {}}
        ends: dict[str, dict[int, dict[str, LazyTensor]]] = {"tu": {}, "seg_outputs": {}}
        for name, tensor in stored.items():
            if not isinstance(name, str) or not isinstance(tensor, LazyTensor):
                raise ModelError(f"{where}: weight {shown(name)} is no tensor; get the file again")
            plain = name.removeprefix(_PREFIX)
            if found := _BLOCK.fullmatch(plain):
                side, level, group, index, layer, what = found.groups()
                at = blocks[side].setdefault(int(level), {}).setdefault((int(group or 0), int(index)), {})
                at[f"{'conv' if layer == 'conv' else 'norm'}.{what}"] = _in_3d(tensor)
            elif found := _UP.fullmatch(plain) or _OUT.fullmatch(plain):
                ends[plain.partition(".")[0]].setdefault(int(found[1]), {})[found[2]] = _in_3d(tensor)
            else:
                raise ModelError(f"{where}: weight {shown(name)} is of no network of nnU-Net v1 that is known here")
        encoder, decoder = (_levels(blocks[side], where) for side in ("context", "localization"))
        ups, outs = (_in_order(ends[end], where) for end in ("tu", "seg_outputs"))
        if not len(decoder) == len(ups) == len(outs) == len(encoder) - 1 or len(encoder) < 2:
            raise ModelError(f"{where}: does not hold a whole U-Net with transposed convolutions; get the file again")
        made = cls(encoder=encoder, decoder=decoder, ups=ups, outs=outs, where=where)
        made._check_parts()
        return made

    def _check_parts(self) -> None:
        blocks = [block for level in (*self.encoder, *self.decoder) for block in level]
        convolutions = [block.get("conv.weight") for block in blocks]
        tensors = [*convolutions, *(end.get("weight") for end in (*self.ups, *self.outs))]
        if any(tensor is None or len(tensor.shape) != 5 or 0 in tensor.shape for tensor in tensors):
            raise ModelError(f"{self.where}: lacks the weights of a convolution; get the file again")
        if any(edge not in (1, 3) for weight in convolutions if weight is not None for edge in weight.shape[2:]):
            raise ModelError(f"{self.where}: has kernels other than 1 and 3, which nnU-Net v1 never had")
        for level in (*self.encoder, *self.decoder):
            if len({tuple(block["conv.weight"].shape[2:]) for block in level}) > 1:
                raise ModelError(f"{self.where}: has kernels of several sizes on one level; get the file again")

    @property
    def strides(self) -> list[list[int]]:
        """Of each level of the encoder."""
        return [[1, 1, 1], *(list(up["weight"].shape[2:]) for up in reversed(self.ups))]

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return self.outs[-1]["weight"].shape[0]

    @property
    def inputs(self) -> int:
        """Channels of the input."""
        return self.encoder[0][0]["conv.weight"].shape[1]

    @property
    def kernels(self) -> list[list[int]]:
        """Of each level, the widest of its encoder and decoder."""
        below = [level[0]["conv.weight"].shape[2:] for level in reversed(self.decoder)]
        own = [level[0]["conv.weight"].shape[2:] for level in self.encoder]
        return [[max(a, b) for a, b in zip(k, m, strict=True)] for k, m in zip(own, [*below, own[-1]], strict=True)]

    def spec(self, options: Mapping[str, Any]) -> NetworkSpec:
        """The network. Args: options: of it, those that shapes do not show."""
        names = {name for level in self.encoder for block in level for name in block}
        norm = "batch" if "norm.running_mean" in names else "instance" if "norm.weight" in names else "none"
        args: dict[str, Any] = {
            "in_channels": self.inputs, "out_channels": self.outputs,
            "features": [level[-1]["conv.weight"].shape[0] for level in self.encoder],
            "blocks": [len(level) for level in self.encoder],
            "decoder_blocks": [len(level) for level in self.decoder],
            "kernels": self.kernels, "strides": self.strides, **options,
        }  # fmt: skip
        return NetworkSpec(kind="PlainConvUNet", args=args if norm == "instance" else {**args, "norm": norm})

    def member(self) -> dict[str, StoredTensor]:
        """All weights under their names in our network."""
        kernels, found = self.kernels, dict[str, StoredTensor]()
        for level, blocks in enumerate(self.encoder):
            _put(found, f"encoder.stages.{level}.0.convs", blocks, kernels[level])
        for number, blocks in enumerate(self.decoder):
            _put(found, f"decoder.stages.{number}.convs", blocks, kernels[len(self.decoder) - 1 - number])
        for number, (up, out) in enumerate(zip(self.ups, self.outs, strict=True)):
            for name, end, channels in (("transpconvs", up, up["weight"].shape[1]), ("seg_layers", out, self.outputs)):
                found[f"decoder.{name}.{number}.weight"] = end["weight"]
                zeros = Zeros(end["weight"].dtype, (channels,))
                found[f"decoder.{name}.{number}.bias"] = end.get("bias", zeros)
        return found


def _put(
    found: dict[str, StoredTensor], prefix: str, blocks: tuple[Mapping[str, LazyTensor], ...], kernel: list[int]
) -> None:
    for number, block in enumerate(blocks):
        for name, tensor in block.items():
            wide = (*tensor.shape[:2], *kernel)
            narrow = name == "conv.weight" and tensor.shape != wide
            found[f"{prefix}.{number}.{name}"] = InZeros(tensor, wide) if narrow else tensor


def _in_3d(tensor: LazyTensor) -> LazyTensor:
    """With a depth of one, where it is of slices."""
    shape = tensor.shape
    return tensor.reshaped((*shape[:2], 1, *shape[2:])) if len(shape) == 4 else tensor


def _levels(
    found: Mapping[int, Mapping[tuple[int, int], Mapping[str, LazyTensor]]], where: str
) -> tuple[tuple[Mapping[str, LazyTensor], ...], ...]:
    levels = {level: tuple(block for _, block in sorted(blocks.items())) for level, blocks in found.items()}
    return _in_order(levels, where)


def _in_order(found: Mapping[int, T], where: str) -> tuple[T, ...]:
    if sorted(found) != list(range(len(found))):
        raise ModelError(f"{where}: lacks a level of its U-Net; get the file again")
    return tuple(found[number] for number in range(len(found)))
