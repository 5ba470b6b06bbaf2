"""MONAI's networks from plain numbers, strings and lists: our arguments of each as those that MONAI's class takes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

Layer = tuple[str, dict[str, Any]]
Arguments = dict[str, Any]


def build(kind: str, args: Mapping[str, Any]) -> nn.Module:
    """A network of ARGUMENTS. Raises: ValueError or TypeError where an argument does not fit."""
    from monai.networks import nets

    network: nn.Module = getattr(nets, kind)(**ARGUMENTS[kind](**args))
    return network


def dynunet(
    *,
    in_channels: int,
    out_channels: int,
    features: list[int],
    residual: bool = False,
    kernels: list[Any] | None = None,
    strides: list[Any] | None = None,
    up_kernels: list[Any] | None = None,
    dropout: float | None = None,
    trans_bias: bool = False,
    **layers: Any,
) -> Arguments:
    """Of MONAI's DynUNet without deep supervision. Args: layers: see `_norm` and `_activation`."""
    stages = len(features)
    norm, activation = _layers(layers, {"nonlinearity": "leaky"})
    return {
        "spatial_dims": 3, "in_channels": in_channels, "out_channels": out_channels,
        "kernel_size": kernels or [3] * stages, "strides": strides or [1] + [2] * (stages - 1),
        "upsample_kernel_size": up_kernels or [2] * (stages - 1), "filters": list(features),
        "dropout": _rate(dropout), "norm_name": norm,
        "act_name": activation, "deep_supervision": False, "res_block": residual, "trans_bias": trans_bias,
    }  # fmt: skip


def segresnet(
    *,
    in_channels: int,
    out_channels: int,
    init_filters: int,
    blocks_down: list[int],
    blocks_up: list[int],
    dropout: float | None = None,
    upsample: str = "nontrainable",
    **layers: Any,
) -> Arguments:
    """Of MONAI's SegResNet. Args: layers: see `_norm` and `_activation`."""
    if len(blocks_up) != len(blocks_down) - 1:
        raise ValueError(f"blocks_up must have {len(blocks_down) - 1} numbers, not {len(blocks_up)}")
    norm, activation = _layers(layers, {"nonlinearity": "relu"})
    return {
        "spatial_dims": 3, "in_channels": in_channels, "out_channels": out_channels, "init_filters": init_filters,
        "dropout_prob": _rate(dropout), "act": activation, "norm": norm, "blocks_down": list(blocks_down),
        "blocks_up": list(blocks_up), "upsample_mode": _upsampling(upsample),
    }  # fmt: skip


def unet(
    *,
    in_channels: int,
    out_channels: int,
    features: list[int],
    strides: list[Any],
    kernels: Any = 3,
    up_kernels: Any = 3,
    residual_units: int = 0,
    dropout: float = 0.0,
    conv_bias: bool = True,
    ordering: str = "NDA",
    **layers: Any,
) -> Arguments:
    """Of MONAI's UNet. Args: residual_units: in each block, 0: none. layers: see `_norm` and `_activation`."""
    if len(strides) != len(features) - 1 or not 0 <= residual_units <= _MOST_UNITS:
        raise ValueError(
            f"strides must have {len(features) - 1} numbers, residual_units must be from 0 to {_MOST_UNITS}"
        )
    if not set(ordering) <= set("NDA") or len(set(ordering)) != len(ordering):
        raise ValueError(f"ordering '{ordering}' must be of the letters N, D and A, each at most once")
    norm, activation = _layers(layers, {"nonlinearity": "prelu", "norm_affine": False})
    return {
        "spatial_dims": 3, "in_channels": in_channels, "out_channels": out_channels, "channels": list(features),
        "strides": list(strides), "kernel_size": kernels, "up_kernel_size": up_kernels, "num_res_units": residual_units,
        "act": activation, "norm": norm, "dropout": _rate(dropout) or 0.0, "bias": conv_bias, "adn_ordering": ordering,
    }  # fmt: skip


def basic_unet(
    *,
    in_channels: int,
    out_channels: int,
    features: list[int],
    dropout: float = 0.0,
    conv_bias: bool = True,
    upsample: str = "deconv",
    **layers: Any,
) -> Arguments:
    """Of MONAI's BasicUNet of five levels. Args: features: six. layers: see `_norm` and `_activation`."""
    if len(features) != _BASIC_FEATURES:
        raise ValueError(f"features must have {_BASIC_FEATURES} numbers, not {len(features)}")
    norm, activation = _layers(layers, {"nonlinearity": "leaky", "slope": 0.1})
    return {
        "spatial_dims": 3, "in_channels": in_channels, "out_channels": out_channels, "features": list(features),
        "act": activation, "norm": norm, "bias": conv_bias, "dropout": _rate(dropout) or 0.0,
        "upsample": _upsampling(upsample),
    }  # fmt: skip


ARGUMENTS: Mapping[str, Callable[..., Arguments]] = {
    "DynUNet": dynunet, "SegResNet": segresnet, "UNet": unet, "BasicUNet": basic_unet
}  # fmt: skip
NONLINEARITIES: Mapping[str, str] = {"leaky": "LEAKYRELU", "relu": "RELU", "prelu": "PRELU", "elu": "ELU"}
UPSAMPLINGS = ("deconv", "nontrainable", "pixelshuffle")
BASIC_FACTOR = 16  # by which BasicUNet shrinks
_BASIC_FEATURES, _MOST_UNITS, _MOST_GROUPS = 6, 8, 1024


def _layers(given: Mapping[str, Any], usual: Mapping[str, Any]) -> tuple[Layer, Layer]:
    return _both(**{**usual, **given})


def _both(
    *,
    nonlinearity: str,
    slope: float = 0.01,
    norm: str = "instance",
    norm_affine: bool = True,
    groups: int = 8,
) -> tuple[Layer, Layer]:
    return _norm(norm, norm_affine, groups), _activation(nonlinearity, slope)


def _norm(norm: str, affine: bool, groups: int) -> Layer:
    if not isinstance(affine, bool) or type(groups) is not int or not 0 < groups <= _MOST_GROUPS:
        raise ValueError(f"norm_affine must be true or false, groups from 1 to {_MOST_GROUPS}")
    options = {"affine": affine, **({"num_groups": groups} if norm == "group" else {})}
    return _choice("norm", norm, ("instance", "batch", "group")).upper(), options


def _activation(nonlinearity: str, slope: float) -> Layer:
    name = NONLINEARITIES[_choice("nonlinearity", nonlinearity, tuple(NONLINEARITIES))]
    if isinstance(slope, bool) or not isinstance(slope, int | float) or not 0 <= slope < 1:
        raise ValueError(f"slope is {slope!r}, but must be from 0 to below 1")
    options = {"LEAKYRELU": {"inplace": True, "negative_slope": slope}, "RELU": {"inplace": True}}
    return name, options.get(name, {})


def _upsampling(name: str) -> str:
    return _choice("upsample", name, UPSAMPLINGS)


def _choice(name: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"{name} '{value}' is not one of {', '.join(choices)}")
    return value


def _rate(dropout: float | None) -> float | None:
    if dropout is None:
        return None
    if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout!r}, but must be from 0 to below 1")
    return dropout
