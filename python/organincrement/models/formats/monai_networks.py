"""The network that a MONAI bundle describes, in our own arguments; names are compared, never imported."""

from collections.abc import Callable, Mapping
from typing import Any

from organincrement.models.errors import ModelError
from organincrement.models.formats.monai_config import Config
from organincrement.models.formats.monai_transforms import only, short_name
from organincrement.models.formats.nnunet2_network import network_of as unet_of_plans
from organincrement.models.formats.stated import Stated, shown
from organincrement.networks.sizing import NetworkSpec

UNETS = "dynamic_network_architectures.architectures.unet."
KEY = "network_def"
_NORMS = {"instance": "instance", "batch": "batch", "group": "group"}
_ACTIVATIONS = {"relu": "relu", "leakyrelu": "leaky", "prelu": "prelu", "elu": "elu"}
_SLOPE = 0.01  # of torch's LeakyReLU
_MODULES = tuple(f"monai.networks.nets.{module}" for module in ("", "segresnet.", "dynunet.", "unet.", "basic_unet."))


def network_of(config: Config) -> NetworkSpec:
    """The network of `network_def`. Raises: ModelError naming what cannot be built."""
    target, part = config.part(KEY)
    name = target.rpartition(".")[2] if target.startswith(_MODULES) else short_name(target)
    options = config.options(part, f"{KEY}: {name}", frozenset())
    if target in (f"{UNETS}PlainConvUNet", f"{UNETS}ResidualEncoderUNet"):
        return _of_plans(target, options)
    if name not in _READERS:
        raise config.refuse(KEY, f"{shown(target)} is none of {', '.join(_READERS)}, and cannot be built")
    if options.number("spatial_dims", 3) != 3:
        raise options.refuse("spatial_dims", "is not 3; only networks of volumes can be imported")
    args: dict[str, Any] = {
        "in_channels": int(options.number("in_channels", 1)), "out_channels": int(options.number("out_channels", 2))
    }  # fmt: skip
    return NetworkSpec(kind=name, args=args | _READERS[name](options))


def _of_plans(target: str, options: Stated) -> NetworkSpec:
    """nnU-Net's own, with the arguments that plans have."""
    kwargs = dict(options.values)
    channels, outputs = options.number("input_channels"), options.number("num_classes")
    for name in ("input_channels", "num_classes"):
        kwargs.pop(name)
    described = {"network_class_name": target, "arch_kwargs": kwargs}
    stated = Stated({"architecture": described}, options.where)
    return unet_of_plans(stated, int(channels), int(outputs), batch_norm=False)


def _segresnet(options: Stated) -> dict[str, Any]:
    only(options, {
        **_COMMON, "init_filters": (), "dropout_prob": (), "act": (), "norm": (), "norm_name": ("",),
        "num_groups": (), "use_conv_final": (True,), "blocks_down": (), "blocks_up": (), "upsample_mode": (),
    })  # fmt: skip
    return {
        "init_filters": int(options.number("init_filters", 8)),
        "blocks_down": _whole(options, "blocks_down", [1, 2, 2, 4]), "blocks_up": _whole(options, "blocks_up", [1] * 3),
        "dropout": options.values.get("dropout_prob"), "upsample": options.text("upsample_mode", "nontrainable"),
        **_norm(options, "norm", ["group", {"num_groups": 8}]), **_activation(options, "act", "relu"),
    }  # fmt: skip


def _dynunet(options: Stated) -> dict[str, Any]:
    only(options, {
        **_COMMON, "kernel_size": (), "strides": (), "upsample_kernel_size": (), "filters": (), "dropout": (),
        "norm_name": (), "act_name": (), "deep_supervision": (True, False), "deep_supr_num": (), "res_block": (),
        "trans_bias": (),
    })  # fmt: skip
    strides = options.items("strides")
    usual = [min(2 ** (5 + level), 320) for level in range(len(strides[:16]))]
    return {
        "features": _whole(options, "filters", usual)[: len(strides)], "kernels": options.items("kernel_size"),
        "strides": strides, "up_kernels": options.items("upsample_kernel_size"),
        "residual": options.flag("res_block", False), "dropout": options.values.get("dropout"),
        "trans_bias": options.flag("trans_bias", False),
        **_norm(options, "norm_name", ["instance", {"affine": True}]),
        **_activation(options, "act_name", ["leakyrelu", {"negative_slope": _SLOPE}]),
    }  # fmt: skip


def _unet(options: Stated) -> dict[str, Any]:
    only(options, {
        **_COMMON, "channels": (), "strides": (), "kernel_size": (), "up_kernel_size": (), "num_res_units": (),
        "act": (), "norm": (), "dropout": (), "bias": (), "adn_ordering": (), "dimensions": (3,),
    })  # fmt: skip
    features = options.whole("channels")
    return {
        "features": features, "strides": options.items("strides")[: len(features) - 1],
        "kernels": options.values.get("kernel_size", 3), "up_kernels": options.values.get("up_kernel_size", 3),
        "residual_units": int(options.number("num_res_units", 0)), "dropout": options.number("dropout", 0.0),
        "conv_bias": options.flag("bias", True), "ordering": options.text("adn_ordering", "NDA"),
        **_norm(options, "norm", "instance"), **_activation(options, "act", "prelu"),
    }  # fmt: skip


def _basic_unet(options: Stated) -> dict[str, Any]:
    only(options, {**_COMMON, "features": (), "act": (), "norm": (), "bias": (), "dropout": (), "upsample": ()})
    return {
        "features": _whole(options, "features", [32, 32, 64, 128, 256, 32]), "dropout": options.number("dropout", 0.0),
        "conv_bias": options.flag("bias", True), "upsample": options.text("upsample", "deconv"),
        **_norm(options, "norm", ["instance", {"affine": True}]),
        **_activation(options, "act", ["leakyrelu", {"negative_slope": 0.1}]),
    }  # fmt: skip


_COMMON: Mapping[str, tuple[Any, ...]] = {"spatial_dims": (), "in_channels": (), "out_channels": ()}
_READERS: Mapping[str, Callable[[Stated], dict[str, Any]]] = {
    "SegResNet": _segresnet, "DynUNet": _dynunet, "UNet": _unet, "BasicUNet": _basic_unet
}  # fmt: skip


def _whole(options: Stated, key: str, default: list[int]) -> list[int]:
    return options.whole(key) if key in options else default


def _norm(options: Stated, key: str, default: Any) -> dict[str, Any]:
    name, given = _layer(options, key, default, _NORMS)
    affine = given.pop("affine", name != "instance")  # as torch
    found: dict[str, Any] = {"norm": name, "norm_affine": affine}
    if name == "group":
        found["groups"] = given.pop("num_groups", 8)
    _refuse_rest(options, key, given, {"eps": 1e-5, "num_features": None, "num_channels": None})
    return found


def _activation(options: Stated, key: str, default: Any) -> dict[str, Any]:
    name, given = _layer(options, key, default, _ACTIVATIONS)
    found: dict[str, Any] = {"nonlinearity": name}
    if name == "leaky":
        found["slope"] = given.pop("negative_slope", _SLOPE)
    # a PReLU's `init` is where its training began
    _refuse_rest(options, key, given, {"inplace": given.get("inplace"), "init": given.get("init")})
    return found


def _layer(options: Stated, key: str, default: Any, names: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """A layer that is named alone, or with its arguments."""
    value = options.values.get(key) or default
    parts = value if isinstance(value, list) else [value]
    arguments = parts[1] if len(parts) == 2 else {}
    if not isinstance(parts[0], str) or len(parts) > 2 or not isinstance(arguments, Mapping):
        raise options.refuse(key, f"should be a name, or a name and its arguments, and is {shown(value)}")
    if parts[0].lower() not in names:
        raise options.refuse(key, f"{shown(parts[0])} is none of {', '.join(names)}")
    return names[parts[0].lower()], dict(arguments)


def _refuse_rest(options: Stated, key: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in known or value != known[name]:
            raise ModelError(f"{options.where}: {key}: {name[:40]} {shown(value)} is an option that is not supported")
