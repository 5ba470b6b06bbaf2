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
PROGRAM = "TorchScript"  # the kind of a network that comes as code, and so is in no table
# whose output cannot grow: it is code, or several of its last layers have as many channels as there are outputs
NO_START = (PROGRAM, "UNet")
SIDE_BY_SIDE = "SideBySide"  # several networks on one input

_MOST_STAGES, _MOST_FEATURES, _MOST_CLASSES, _MOST_BLOCKS, _WIDEST_KERNEL = 10, 1024, 4096, 32, 15
_WIDEST_HEAD, _DEEPEST_HEAD = 32, 8  # of DoDNet, whose parameters the controller makes


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
    "up_kernels": _WIDEST_KERNEL,
    "width": _WIDEST_HEAD, "depth": _DEEPEST_HEAD,
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
    norm: str = "instance",
    norm_eps: float = 1e-5,
    norm_affine: bool = True,
    nonlinearity: str = "leaky",
    slope: float = 0.01,
    conv_bias: bool = True,
    dropout: float | None = None,
) -> dict[str, Any]:
    """nnU-Net's arguments. dropout: rate behind every convolution; None: no such layer, so that names differ."""
    _check_unet_options(norm_eps, norm_affine, slope, conv_bias, dropout)
    nonlin = _choice("nonlinearity", nonlinearity, _NONLINEARITIES)
    return {
        "input_channels": in_channels,
        "n_stages": len(features),
        "features_per_stage": list(features),
        "conv_op": nn.Conv3d,
        "kernel_sizes": kernels or [3] * len(features),
        "strides": strides or [1] + [2] * (len(features) - 1),
        "num_classes": out_channels,
        "n_conv_per_stage_decoder": list(decoder_blocks),
        "conv_bias": conv_bias,
        "norm_op": _choice("norm", norm, _NORMS),
        "norm_op_kwargs": {"eps": norm_eps, "affine": norm_affine},
        "dropout_op": None if dropout is None else nn.Dropout3d,
        "dropout_op_kwargs": None if dropout is None else {"p": dropout, "inplace": True},
        "nonlin": nonlin,
        "nonlin_kwargs": {"inplace": True, **({"negative_slope": slope} if nonlin is nn.LeakyReLU else {})},
        "deep_supervision": False,
    }


def _check_unet_options(
    norm_eps: float, norm_affine: bool, slope: float, conv_bias: bool, dropout: float | None
) -> None:
    for name, value in (("norm_eps", norm_eps), ("slope", slope), ("dropout", dropout or 0.0)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ValueError(f"{name} is {value!r}, but must be from 0 to below 1")
    for name, flag in (("norm_affine", norm_affine), ("conv_bias", conv_bias)):
        if not isinstance(flag, bool):
            raise ValueError(f"{name} is {flag!r}, but must be true or false")


_NORMS: Mapping[str, type[nn.Module] | None] = {
    "instance": nn.InstanceNorm3d, "batch": nn.BatchNorm3d, "none": None
}  # fmt: skip
_NONLINEARITIES: Mapping[str, type[nn.Module]] = {"leaky": nn.LeakyReLU, "relu": nn.ReLU}


def _choice(name: str, value: str, table: Mapping[str, Any]) -> Any:
    if value not in table:
        raise ValueError(f"{name} '{value}' is not one of {', '.join(table)}")
    return table[value]


def _plain_conv_unet(*, blocks: list[int], bottleneck_dropout: float = 0.0, **args: Any) -> nn.Module:
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    network = PlainConvUNet(n_conv_per_stage=list(blocks), **_unet_arguments(blocks=blocks, **args))
    return _with_dropout(network, bottleneck_dropout)


def _residual_encoder_unet(*, blocks: list[int], bottleneck_dropout: float = 0.0, **args: Any) -> nn.Module:
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    network = ResidualEncoderUNet(n_blocks_per_stage=list(blocks), **_unet_arguments(blocks=blocks, **args))
    return _with_dropout(network, bottleneck_dropout)


def _with_dropout(network: Any, rate: float) -> nn.Module:
    """Dropout at the end of the coarsest level; it has no weights, so that none of theirs changes its name."""
    if not isinstance(rate, int | float) or not 0 <= rate < 1:
        raise ValueError(f"bottleneck_dropout is {rate!r}, but must be from 0 to below 1")
    if rate:
        coarsest = network.encoder.stages[-1]
        (coarsest if isinstance(coarsest, nn.Sequential) else coarsest.blocks).append(nn.Dropout(rate))
    return network  # type: ignore[no-any-return]


def _multi_decoder(
    *,
    out_channels: int,
    decoder_blocks: list[int],
    trunk: str = "PlainConvUNet",
    decoders: list[int] | None = None,
    supporting: list[bool] | None = None,
    **args: Any,
) -> nn.Module:
    """A U-Net's encoder with a decoder for each of `decoders`, their channels; one alone where there are none."""
    from organincrement.networks.multi_decoder import MultiDecoder, check_decoders

    decoders = [out_channels] if decoders is None else decoders
    supporting = [False] * len(decoders) if supporting is None else supporting
    check_decoders(trunk, out_channels, decoders, decoder_blocks, supporting)
    unet = NETWORKS[trunk](out_channels=1, decoder_blocks=decoder_blocks, **args)
    return MultiDecoder(unet.encoder, decoders, decoder_blocks, supporting)


def _of_monai(kind: str) -> Callable[..., nn.Module]:
    def build(**args: Any) -> nn.Module:
        from organincrement.networks import monai_nets

        return monai_nets.build(kind, args)

    return build


def _side_by_side(*, in_channels: int, out_channels: int, parts: list[Any]) -> nn.Module:
    """Networks of `parts`, each {"kind", "args"} and maybe "window", whose channels come one part's after another's."""
    from organincrement.networks.side_by_side import SideBySide, check_parts, window_of

    check_parts(in_channels, out_channels, parts, [kind for kind in NETWORKS if kind != SIDE_BY_SIDE])
    for part in parts:
        _check_sizes(part["kind"], part["args"])
    networks = [build_network(part["kind"], part["args"]) for part in parts]
    return SideBySide(networks, [part["args"]["out_channels"] for part in parts], list(map(window_of, parts)))


def _preact_unet(**args: Any) -> nn.Module:
    from organincrement.networks.preact_unet import PreActUNet

    return PreActUNet(**args)


def _dodnet(**args: Any) -> nn.Module:
    from organincrement.networks.dodnet import DoDNet

    return DoDNet(**args)


def _task_decoders(**args: Any) -> nn.Module:
    from organincrement.networks.dodnet import TaskDecoders

    return TaskDecoders(**args)


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "PlainConvUNet": _plain_conv_unet,
    "ResidualEncoderUNet": _residual_encoder_unet,
    "DynUNet": _of_monai("DynUNet"),
    "SegResNet": _of_monai("SegResNet"),
    "UNet": _of_monai("UNet"),
    "BasicUNet": _of_monai("BasicUNet"),
    "MultiDecoder": _multi_decoder,
    SIDE_BY_SIDE: _side_by_side,
    "PreActUNet": _preact_unet,
    "DoDNet": _dodnet,
    "TaskDecoders": _task_decoders,
}


def shrink_factor(kind: str, args: Arguments) -> tuple[int, int, int]:
    """By how much the network shrinks each axis at its coarsest level; patches are multiples of it."""
    if kind == PROGRAM:
        return tuple(args["patch"])  # nobody knows what smaller patches it could take
    if kind == SIDE_BY_SIDE:
        from organincrement.networks.side_by_side import common_multiple

        return common_multiple([shrink_factor(part["kind"], part["args"]) for part in args["parts"]])
    if kind == "BasicUNet":
        from organincrement.networks.monai_nets import BASIC_FACTOR

        return (BASIC_FACTOR,) * 3
    if kind == "SegResNet":
        return (2 ** (len(args["blocks_down"]) - 1),) * 3
    strides = args.get("strides") or [1] + [2] * (len(args["features"]) - 1)
    factor = torch.ones(3, dtype=torch.long)
    for stride in strides:
        factor *= torch.as_tensor(stride)
    return tuple(factor.tolist())  # type: ignore[return-value]
