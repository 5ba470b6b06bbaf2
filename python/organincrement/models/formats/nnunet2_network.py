"""The network that an nnU-Net v2 configuration describes, in our own arguments; names are compared, never imported."""

from collections.abc import Mapping
from typing import Any

from organincrement.models.formats.stated import Stated, is_whole, shown
from organincrement.networks.sizing import NetworkSpec

_UNETS: Mapping[str, str] = {
    "dynamic_network_architectures.architectures.unet.PlainConvUNet": "PlainConvUNet",
    "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet": "ResidualEncoderUNet",
    "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet": "ResidualEncoderUNet",
}
_BLOCKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
_NORMS = {"InstanceNorm2d": "instance", "InstanceNorm3d": "instance", "BatchNorm2d": "batch", "BatchNorm3d": "batch"}
_NONLINEARITIES = {"LeakyReLU": "leaky", "ReLU": "relu"}
_DEFAULTS: Mapping[str, Any] = {
    "norm": "instance", "norm_eps": 1e-5, "norm_affine": True, "nonlinearity": "leaky", "slope": 0.01,
    "conv_bias": True, "dropout": None,
}  # fmt: skip
_KNOWN = {
    "n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", *_BLOCKS.values(), "conv_bias",
    "n_conv_per_stage_decoder", "norm_op", "norm_op_kwargs", "dropout_op", "dropout_op_kwargs", "nonlin",
    "nonlin_kwargs", "deep_supervision",
}  # fmt: skip
_MOST_STAGES = 16


def network_of(configuration: Stated, in_channels: int, out_channels: int, *, batch_norm: bool) -> NetworkSpec:
    """The network of a configuration, of plans with an `architecture` or older ones with `UNet_class_name`.

    Args: batch_norm: the weights are of batch normalisation, whatever the plans say (nnUNetTrainerBN).
    Raises: ModelError naming what cannot be built.
    """
    kind, stated = _described(configuration)
    for key, value in stated.values.items():
        if key not in _KNOWN and value not in (None, False):
            raise stated.refuse(key, f"{shown(value)} is an option that no network of ours has; it cannot be imported")
    args: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels, **_levels(kind, stated)}
    options = _options(stated)
    if batch_norm:
        options["norm"] = "batch"
    return NetworkSpec(kind=kind, args=args | {k: v for k, v in options.items() if v != _DEFAULTS[k]})


def _described(configuration: Stated) -> tuple[str, Stated]:
    if "architecture" in configuration:
        architecture = configuration.part("architecture")
        name = architecture.text("network_class_name")
        if name not in _UNETS:
            raise architecture.refuse("network_class_name", f"{shown(name)} is none of {', '.join(sorted(_UNETS))}")
        return _UNETS[name], architecture.part("arch_kwargs")
    name = configuration.text("UNet_class_name")
    if name not in _BLOCKS:
        raise configuration.refuse("UNet_class_name", f"{shown(name)} is none of {', '.join(_BLOCKS)}")
    return name, Stated(_as_architecture(name, configuration), configuration.where)


def _as_architecture(name: str, old: Stated) -> dict[str, Any]:
    """What plans of nnU-Net 2.0 to 2.2 leave unsaid: instance normalisation, LeakyReLU, biases."""
    encoder = old.whole("n_conv_per_stage_encoder")
    first, most = int(old.number("UNet_base_num_features")), int(old.number("unet_max_num_features"))
    axes = len(old.items("patch_size"))
    return {
        "n_stages": len(encoder), "conv_op": f"torch.nn.Conv{axes}d",
        "features_per_stage": [min(first * 2**level, most) for level in range(min(len(encoder), _MOST_STAGES))],
        "kernel_sizes": old.items("conv_kernel_sizes"), "strides": old.items("pool_op_kernel_sizes"),
        _BLOCKS[name]: encoder, "n_conv_per_stage_decoder": old.whole("n_conv_per_stage_decoder"),
        "conv_bias": True, "norm_op": "torch.nn.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
    }  # fmt: skip


def _levels(kind: str, stated: Stated) -> dict[str, Any]:
    stages = int(stated.number("n_stages"))
    if not 1 < stages <= _MOST_STAGES:
        raise stated.refuse("n_stages", f"is {stages}, but must be from 2 to {_MOST_STAGES}")
    levels = {
        "features": _of_each_stage(stated, "features_per_stage", stages),
        "blocks": _of_each_stage(stated, _BLOCKS[kind], stages),
        "decoder_blocks": _of_each_stage(stated, "n_conv_per_stage_decoder", stages - 1),
    }
    kernels = [_along_axes(stated, "kernel_sizes", value) for value in _each(stated, "kernel_sizes", stages)]
    strides = [_along_axes(stated, "strides", value) for value in _each(stated, "strides", stages)]
    if kernels != [[3, 3, 3]] * stages:
        levels["kernels"] = kernels
    if strides != [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)]:
        levels["strides"] = strides
    return levels


def _each(stated: Stated, key: str, count: int) -> list[Any]:
    value = stated.values.get(key)
    values = [value] * count if is_whole(value) else value
    if not isinstance(values, list) or len(values) != count:
        raise stated.refuse(key, f"should have {count} values, one a stage, and is {shown(value)}")
    return values


def _of_each_stage(stated: Stated, key: str, count: int) -> list[int]:
    values = _each(stated, key, count)
    if not all(map(is_whole, values)):
        raise stated.refuse(key, f"should be whole numbers, and is {shown(values)}")
    return [int(value) for value in values]


def _along_axes(stated: Stated, key: str, value: Any) -> list[int]:
    """Along three axes; a network of slices does nothing along the first."""
    axes = 2 if _class_of(stated, "conv_op", {"Conv2d": "2", "Conv3d": "3"}) == "2" else 3
    values = [value] * axes if is_whole(value) else value
    if not isinstance(values, list) or len(values) != axes or not all(map(is_whole, values)):
        raise stated.refuse(key, f"should be whole numbers along {axes} axes, and holds {shown(value)}")
    return [1] * (3 - axes) + [int(edge) for edge in values]


def _options(stated: Stated) -> dict[str, Any]:
    norm, nonlinearity = _class_of(stated, "norm_op", _NORMS), _class_of(stated, "nonlin", _NONLINEARITIES)
    if nonlinearity is None:
        raise stated.refuse("nonlin", "is missing; a network without a non-linearity cannot be imported")
    of_norm, of_nonlin = _kwargs(stated, "norm_op", {"eps", "affine"}), _kwargs(stated, "nonlin", {"negative_slope"})
    dropout = None
    if "dropout_op" in stated:
        if _class_of(stated, "dropout_op", {"Dropout2d": "2", "Dropout3d": "3", "Dropout": "1"}) == "1":
            raise stated.refuse("dropout_op", "torch.nn.Dropout is not supported, only Dropout2d and Dropout3d")
        dropout = _kwargs(stated, "dropout_op", {"p"}).number("p", 0.5)
    found: dict[str, Any] = {
        "norm": norm or "none", "nonlinearity": nonlinearity, "conv_bias": stated.flag("conv_bias", False),
        "slope": of_nonlin.number("negative_slope", 0.01), "dropout": dropout,
    }  # fmt: skip
    if norm:  # torch's own default of an instance normalisation has no weights
        found |= {"norm_eps": of_norm.number("eps", 1e-5), "norm_affine": of_norm.flag("affine", norm == "batch")}
    return found


def _class_of(stated: Stated, key: str, names: Mapping[str, str]) -> str | None:
    """What a name of torch's stands for; None where there is none."""
    if key not in stated:
        return None
    name = stated.text(key)
    last = name.rpartition(".")[2]
    if not name.startswith("torch.nn.") or last not in names:
        raise stated.refuse(key, f"{shown(name)} is none of {', '.join(names)} of torch.nn; it cannot be imported")
    return names[last]


def _kwargs(stated: Stated, key: str, known: set[str]) -> Stated:
    inner = stated.part(f"{key}_kwargs") if f"{key}_kwargs" in stated else Stated({}, f"{stated.where}: {key}_kwargs")
    for name, value in inner.values.items():
        if name not in known and name != "inplace":
            raise inner.refuse(name, f"{shown(value)} is an option that no network of ours has; it cannot be imported")
    return inner
