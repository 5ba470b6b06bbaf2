"""How large a network and patch a memory target allows, by the networks' own arithmetic."""

from dataclasses import dataclass
from typing import Any

from organincrement.networks.build import shrink_factor

# fitted to python/benchmarks/memory.py: 513 MiB measured on the second rung, 507 estimated
_MAPS_PER_CONVOLUTION = 11


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """A network as plain data: what a model package stores."""

    kind: str
    args: dict[str, Any]

    def with_outputs(self, out_channels: int) -> "NetworkSpec":
        """The same build with another number of output channels."""
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


def activation_bytes(size: Size, batch: int) -> int:
    """Peak bytes of a training step: feature maps of encoder and decoder, and the full-resolution logits."""
    voxels = size.patch[0] * size.patch[1] * size.patch[2]
    total = 0.0
    for level, (features, blocks) in enumerate(zip(size.features, size.blocks, strict=True)):
        total += voxels / 8**level * features * (blocks + 2) * _MAPS_PER_CONVOLUTION / 3 * 4
    return int(total * batch)


def largest_that_fits(memory_bytes: int, batch: int) -> Size:
    """The largest rung whose training step fits into the memory target; the smallest where none does."""
    fitting = [size for size in LADDER if activation_bytes(size, batch) <= memory_bytes]
    return fitting[-1] if fitting else LADDER[0]


def unet_spec(size: Size, in_channels: int, out_channels: int, kind: str = "PlainConvUNet") -> NetworkSpec:
    """A U-Net of this size; one convolution at full resolution, which is where a CPU spends its time."""
    features, one_each = list(size.features), [1] * len(size.features)
    args: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels}
    if kind == "DynUNet":
        args |= {"features": features}
    elif kind == "SegResNet":
        args |= {"init_filters": features[0], "blocks_down": one_each, "blocks_up": one_each[1:]}
    else:
        args |= {"features": features, "blocks": list(size.blocks), "decoder_blocks": one_each[1:]}
    return NetworkSpec(kind=kind, args=args)


def first_network(config: Any, out_channels: int) -> NetworkSpec:
    """The network of a model without a teacher. Args: config: settings with network, features and blocks."""
    features, blocks = list(config.features), list(config.blocks)
    args: dict[str, Any] = {"in_channels": 1, "out_channels": out_channels}
    if config.network == "SegResNet":
        args |= {"init_filters": features[0], "blocks_down": blocks, "blocks_up": [1] * (len(blocks) - 1)}
    elif config.network == "DynUNet":
        args |= {"features": features}
    else:
        args |= {"features": features, "blocks": blocks, "decoder_blocks": [1] * (len(features) - 1)}
    return NetworkSpec(kind=config.network, args=args)


def patch_multiple(spec: NetworkSpec) -> tuple[int, int, int]:
    """The patch edges are multiples of this."""
    return shrink_factor(spec.kind, spec.args)
