"""How large a network and patch a memory target allows, by the networks' own arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from organincrement.contract.model import Network
from organincrement.networks.build import SIDE_BY_SIDE, shrink_factor
from organincrement.networks.errors import NetworkError

_UNETS = ("PlainConvUNet", "ResidualEncoderUNet")

# fitted to python/benchmarks/memory.py: 513 MiB measured on the second rung, 507 estimated
_MAPS_PER_CONVOLUTION = 11
_LEAST_HALVED = 8


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network as plain data: what a model package stores."""

    kind: str
    args: dict[str, Any]

    @classmethod
    def of(cls, described: Network) -> "NetworkSpec":
        """What a package's manifest says of its network."""
        return cls(kind=described.kind, args=dict(described.args))

    def with_outputs(self, out_channels: int) -> "NetworkSpec":
        """The same build with another number of output channels.

        Raises: NetworkError for several networks side by side, none of which could have them.
        """
        if self.kind == SIDE_BY_SIDE:
            raise NetworkError(
                "several networks side by side have no one output layer to go on from: choose a method that starts "
                "from the first of them, such as bla-uag"
            )
        return NetworkSpec(kind=self.kind, args={**self.args, "out_channels": out_channels})


@dataclass(frozen=True, kw_only=True)
class Size:
    """One rung of the ladder: features per level and patch edge in voxels."""

    features: tuple[int, ...]
    blocks: tuple[int, ...]
    patch: tuple[int, int, int]


LADDER = (
    Size(features=(8, 16, 32), blocks=(1, 1, 1), patch=(48, 48, 48)),
    Size(features=(16, 32, 64, 128, 192), blocks=(1, 2, 2, 2, 2), patch=(64, 64, 64)),
    Size(features=(24, 48, 96, 192, 256), blocks=(1, 2, 2, 2, 2), patch=(96, 96, 96)),
    Size(features=(32, 64, 128, 256, 320), blocks=(1, 3, 4, 6, 6), patch=(128, 128, 128)),
)

SLICE_LADDER = (
    Size(features=(8, 16, 32), blocks=(1, 1, 1), patch=(1, 96, 96)),
    Size(features=(16, 32, 64, 128, 128), blocks=(1, 2, 2, 2, 2), patch=(1, 192, 192)),
    Size(features=(32, 64, 128, 256, 512), blocks=(2, 2, 2, 2, 2), patch=(1, 256, 256)),
    Size(features=(64, 128, 256, 512, 1024), blocks=(2, 2, 2, 2, 2), patch=(1, 512, 512)),
)


def activation_bytes(size: Size, batch: int) -> int:
    """Peak bytes of a training step: feature maps of encoder and decoder, and the full-resolution logits."""
    voxels = size.patch[0] * size.patch[1] * size.patch[2]
    total, halved = 0.0, 2 ** sum(edge > 1 for edge in size.patch)
    for level, (features, blocks) in enumerate(zip(size.features, size.blocks, strict=True)):
        total += voxels / halved**level * features * (blocks + 2) * _MAPS_PER_CONVOLUTION / 3 * 4
    return int(total * batch)


def largest_that_fits(memory_bytes: int, batch: int, ladder: Sequence[Size] = LADDER) -> Size:
    """The largest rung whose training step fits into the memory target; the smallest where none does."""
    fitting = [size for size in ladder if activation_bytes(size, batch) <= memory_bytes]
    return fitting[-1] if fitting else ladder[0]


def unet_spec(size: Size, in_channels: int, out_channels: int, kind: str = "PlainConvUNet") -> NetworkSpec:
    """A U-Net of this size; one convolution at full resolution, which is where a CPU spends its time."""
    features, one_each = list(size.features), [1] * len(size.features)
    args: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels}
    if kind == "DynUNet":
        args |= {"features": features}
    elif kind == "PreActUNet":
        args |= {"features": features, "blocks": list(size.blocks)}
    elif kind == "SegResNet":
        args |= {"init_filters": features[0], "blocks_down": one_each, "blocks_up": one_each[1:]}
    else:
        args |= {"features": features, "blocks": list(size.blocks), "decoder_blocks": one_each[1:]}
    return NetworkSpec(kind=kind, args=args)


def network_for_patch(patch: Sequence[int], out_channels: int) -> NetworkSpec:
    """A fresh U-Net for patches of this size, for a student whose teacher's network cannot be built again.

    Of the ladder's rung for so large a patch, each axis halved as often as its edge allows.
    Raises: NetworkError for a patch with no even edge.
    """
    ladder = SLICE_LADDER if patch[0] == 1 else LADDER
    size = next((rung for rung in ladder if math.prod(rung.patch) >= math.prod(patch)), ladder[-1])
    edges, strides = list(patch), [[1, 1, 1]]
    for _ in size.features[1:]:
        halved = [2 if edge % 2 == 0 and edge >= _LEAST_HALVED else 1 for edge in edges]
        if max(halved) == 1:
            break
        strides.append(halved)
        edges = [edge // by for edge, by in zip(edges, halved, strict=True)]
    if len(strides) < 2:
        raise NetworkError(f"patch {list(patch)} has no edge that a network could halve; choose a teacher with another")
    levels = len(strides)
    trimmed = Size(features=size.features[:levels], blocks=size.blocks[:levels], patch=size.patch)
    kernels = [[1 if edge == 1 else 3 for edge in patch]] * levels
    spec = unet_spec(trimmed, 1, out_channels)
    return NetworkSpec(kind=spec.kind, args={**spec.args, "strides": strides, "kernels": kernels})


def first_network(config: Any, out_channels: int) -> NetworkSpec:
    """The network of a model without a teacher. Args: config: settings with network, features and blocks.

    Raises: NetworkError where they ask of a network what only the U-Nets can be.
    """
    features, blocks, options = list(config.features), list(config.blocks), _unet_options(config)
    args: dict[str, Any] = {"in_channels": 1, "out_channels": out_channels}
    if options and config.network not in _UNETS:
        named = ", ".join(sorted(options))
        raise NetworkError(f"network '{config.network}' has no choice of {named}: choose {' or '.join(_UNETS)}")
    if config.network == "SegResNet":
        args |= {"init_filters": features[0], "blocks_down": blocks, "blocks_up": [1] * (len(blocks) - 1)}
    elif config.network == "DynUNet":
        args |= {"features": features}
    elif config.network == "PreActUNet":
        args |= {"features": features, "blocks": blocks}
    else:
        args |= {"features": features, "blocks": blocks, "decoder_blocks": [1] * (len(features) - 1), **options}
    return NetworkSpec(kind=config.network, args=args)


def _unet_options(config: Any) -> dict[str, Any]:
    """Arguments of a U-Net that differ from nnU-Net's; none where the settings do not speak of them."""
    usual = {"norm": "instance", "nonlinearity": "leaky", "bottleneck_dropout": 0.0}
    options = {name: getattr(config, name, value) for name, value in usual.items()}
    options = {name: value for name, value in options.items() if value != usual[name]}
    if getattr(config, "dimensions", "3") == "2":
        levels = len(config.features)
        options["kernels"] = [[1, 3, 3]] * levels
        options["strides"] = [[1, 1, 1], *[[1, 2, 2]] * (levels - 1)]
        # the 2-D U-Net has as many convolutions on its way up as on its way down
        options["decoder_blocks"] = list(config.blocks)[-2::-1]
    return options


def patch_multiple(spec: NetworkSpec) -> tuple[int, int, int]:
    """The patch edges are multiples of this."""
    return shrink_factor(spec.kind, spec.args)
