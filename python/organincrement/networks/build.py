"""The fixed table of network classes, and their construction from plain numbers, strings and lists.

nnU-Net's networks come from `dynamic-network-architectures`, the others from MONAI. A package names a key of
NETWORKS; nothing in a file can name a class or a callable.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from organincrement.networks.errors import NetworkError

Arguments = Mapping[str, Any]

_MOST_STAGES, _MOST_FEATURES, _MOST_CLASSES, _MOST_BLOCKS, _WIDEST_KERNEL = 8, 1024, 4096, 32, 15


def build_network(kind: str, args: Arguments) -> nn.Module:
    """Make the network `kind` with `args` (see NETWORKS), freshly initialised.

    Every network maps (B, in_channels, D, H, W) to logits (B, out_channels, D, H, W).
    Raises: NetworkError where the kind is unknown or an argument does not fit.
    """
    if kind not in NETWORKS:
        raise NetworkError(f"network kind '{kind}' is not one of {', '.join(sorted(NETWORKS))}")
    _check_sizes(kind, args)
    try:
        return NETWORKS[kind](**args)
    except (TypeError, ValueError, AssertionError, KeyError, IndexError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NetworkError(f"network '{kind}' cannot be built from these arguments: {reason}") from error


def count_parameters(network: nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in network.parameters())


def _check_sizes(kind: str, args: Arguments) -> None:
    """Refuse what would ask for far more memory or time than any network needs, before anything is made."""
    for name in ("in_channels", "out_channels"):
        if args.get(name) is None:
            raise NetworkError(f"network '{kind}': argument '{name}' is missing")
    for name, value in args.items():
        most = _LARGEST.get(name)
        if most is not None and value is not None and not _fits(value, most):
            raise NetworkError(
                f"network '{kind}': '{name}' must be whole numbers from 1 to {most}, at most {_MOST_STAGES} of them"
            )


_LARGEST = {
    "in_channels": _MOST_CLASSES, "out_channels": _MOST_CLASSES, "features": _MOST_FEATURES,
    "init_filters": _MOST_FEATURES, "blocks": _MOST_BLOCKS, "decoder_blocks": _MOST_BLOCKS,
    "blocks_down": _MOST_BLOCKS, "blocks_up": _MOST_BLOCKS, "kernels": _WIDEST_KERNEL, "strides": _WIDEST_KERNEL,
}  # fmt: skip


def _fits(value: Any, most: int, lists: int = 2) -> bool:
    if isinstance(value, list | tuple) and lists:
        return 0 < len(value) <= _MOST_STAGES and all(_fits(item, most, lists - 1) for item in value)
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def _unet_arguments(
    in_channels: int,
    out_channels: int,
    features: list[int],
    blocks: list[int],
    decoder_blocks: list[int],
    kernels: list[Any] | None = None,
    strides: list[Any] | None = None,
) -> dict[str, Any]:
    return {
        "input_channels": in_channels,
        "n_stages": len(features),
        "features_per_stage": list(features),
        "conv_op": nn.Conv3d,
        "kernel_sizes": kernels or [3] * len(features),
        "strides": strides or [1] + [2] * (len(features) - 1),
        "num_classes": out_channels,
        "n_conv_per_stage_decoder": list(decoder_blocks),
        "conv_bias": True,
        "norm_op": nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
        "deep_supervision": False,
    }


def _plain_conv_unet(*, blocks: list[int], **args: Any) -> nn.Module:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    return PlainConvUNet(n_conv_per_stage=list(blocks), **_unet_arguments(blocks=blocks, **args))


def _residual_encoder_unet(*, blocks: list[int], **args: Any) -> nn.Module:
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    return ResidualEncoderUNet(n_blocks_per_stage=list(blocks), **_unet_arguments(blocks=blocks, **args))


def _dynunet(*, in_channels: int, out_channels: int, features: list[int], residual: bool = False) -> nn.Module:
    from monai.networks.nets import DynUNet

    stages = len(features)
    return DynUNet(
        spatial_dims=3, in_channels=in_channels, out_channels=out_channels, kernel_size=[3] * stages,
        strides=[1] + [2] * (stages - 1), upsample_kernel_size=[2] * (stages - 1), filters=list(features),
        norm_name=("INSTANCE", {"affine": True}), deep_supervision=False, res_block=residual,
    )  # fmt: skip


def _segresnet(
    *, in_channels: int, out_channels: int, init_filters: int, blocks_down: list[int], blocks_up: list[int]
) -> nn.Module:
    from monai.networks.nets import SegResNet

    if len(blocks_up) != len(blocks_down) - 1:
        raise ValueError(f"blocks_up must have {len(blocks_down) - 1} numbers, not {len(blocks_up)}")
    return SegResNet(
        spatial_dims=3, in_channels=in_channels, out_channels=out_channels, init_filters=init_filters,
        blocks_down=list(blocks_down), blocks_up=list(blocks_up), norm=("INSTANCE", {"affine": True}),
    )  # fmt: skip


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "PlainConvUNet": _plain_conv_unet,
    "ResidualEncoderUNet": _residual_encoder_unet,
    "DynUNet": _dynunet,
    "SegResNet": _segresnet,
}


def shrink_factor(kind: str, args: Arguments) -> tuple[int, int, int]:
    """By how much the network shrinks each axis at its coarsest level; patches are multiples of it."""
    if kind == "SegResNet":
        return (2 ** (len(args["blocks_down"]) - 1),) * 3
    strides = args.get("strides") or [1] + [2] * (len(args["features"]) - 1)
    factor = torch.ones(3, dtype=torch.long)
    for stride in strides:
        factor *= torch.as_tensor(stride)
    return tuple(factor.tolist())  # type: ignore[return-value]
