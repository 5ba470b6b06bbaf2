"""Model folders as nnU-Net v2 writes them, with tiny untrained networks; made anew for every test, never stored.

The layout and the names follow nnunetv2's plans, dataset files and checkpoints; the networks are those of
dynamic_network_architectures, which nnU-Net uses.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CT = {"mean": 60.0, "std": 120.0, "percentile_00_5": -180.0, "percentile_99_5": 260.0, "median": 55.0}


@dataclass(frozen=True, kw_only=True)
class Nnunet2:
    """What is different from a 3d_fullres CT model of two levels and two organs. Axes as in the plans (transposed)."""

    labels: Mapping[str, Any] = field(default_factory=lambda: {"background": 0, "liver": 1, "spleen": 2})
    channels: int | None = None  # of the output; None: one for each label but `ignore`
    channel_names: Mapping[str, str] = field(default_factory=lambda: {"0": "CT"})
    configuration: str = "3d_fullres"
    patch: Sequence[int] = (8, 8, 8)
    spacing_mm: Sequence[float] = (3.0, 2.0, 2.0)
    transpose: Sequence[int] = (0, 1, 2)
    residual: bool = False
    old_plans: bool = False
    scheme: str = "CTNormalization"
    masked: bool = False
    folds: Sequence[str] = ("0",)
    mirror_axes: Sequence[int] | None = None
    checkpoint: str = "checkpoint_final.pth"
    batch_norm: bool = False
    reader: str = "SimpleITKIO"
    of_configuration: Mapping[str, Any] = field(default_factory=dict)
    of_architecture: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 40.0  # of the last layer's weights: untrained networks are undecided

    @property
    def outputs(self) -> int:
        """Channels of the output."""
        return self.channels or len([name for name in self.labels if name != "ignore"])


def write_folder(folder: Path, model: Nnunet2) -> Path:
    """Write plans.json, dataset.json, dataset_fingerprint.json and a checkpoint for each fold. Returns: the folder."""
    folder.mkdir(parents=True)
    write_json(folder / "plans.json", plans_of(model))
    write_json(
        folder / "dataset.json",
        {"channel_names": dict(model.channel_names), "labels": dict(model.labels), "numTraining": 2,
         "file_ending": ".nii.gz", "licence": "CC BY 4.0"},
    )  # fmt: skip
    stored = [float(model.spacing_mm[-1])] * 3
    write_json(folder / "dataset_fingerprint.json", {"spacings": [stored, [s + 0.5 for s in stored]]})
    for number, fold in enumerate(model.folds):
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint_of(model, fold, seed=number), folder / f"fold_{fold}" / model.checkpoint)
    return folder


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """As nnU-Net does, keys in any order."""
    path.write_text(json.dumps(values, indent=4), encoding="utf-8")


def edit_json(path: Path, change: Any) -> None:
    """Let `change` alter the object of a file in place."""
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    write_json(path, values)


def plans_of(model: Nnunet2) -> dict[str, Any]:
    """The plans, with a second configuration that inherits the first one's."""
    median = [4.0] * (3 - len(model.spacing_mm)) + list(model.spacing_mm)
    return {
        "dataset_name": "Dataset007_Tiny", "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": median, "original_median_shape_after_transp": [20, 24, 28],
        "image_reader_writer": model.reader,
        "transpose_forward": list(model.transpose), "transpose_backward": np.argsort(model.transpose).tolist(),
        "configurations": {
            "base": _configuration(model),
            model.configuration: {"inherits_from": "base", "batch_size": 3},
        },
        "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": {**CT, "min": -900.0, "max": 900.0}},
    }  # fmt: skip


def _configuration(model: Nnunet2) -> dict[str, Any]:
    common = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": "nnUNetPlans_tiny", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": list(model.patch), "median_image_size_in_voxels": [20] * len(model.patch),
        "spacing": list(model.spacing_mm), "normalization_schemes": [model.scheme] * len(model.channel_names),
        "use_mask_for_norm": [model.masked] * len(model.channel_names),
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {**common, "order": 3},
        "resampling_fn_seg_kwargs": {**common, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**common, "order": 1},
        **_network(model), "batch_dice": False, **model.of_configuration,
    }  # fmt: skip


def _network(model: Nnunet2) -> dict[str, Any]:
    axes, blocks = len(model.patch), "n_blocks_per_stage" if model.residual else "n_conv_per_stage"
    kernels, strides = [[3] * axes] * 2, [[1] * axes, [2] * axes]
    if model.old_plans:
        return {
            "UNet_class_name": "ResidualEncoderUNet" if model.residual else "PlainConvUNet",
            "UNet_base_num_features": 4, "unet_max_num_features": 6, "n_conv_per_stage_encoder": [1, 2],
            "n_conv_per_stage_decoder": [1], "num_pool_per_axis": [1] * axes, "conv_kernel_sizes": kernels,
            "pool_op_kernel_sizes": strides,
        }  # fmt: skip
    norm = (BATCH_NORMS if model.batch_norm else NORMS)[axes]
    kwargs = {
        "n_stages": 2, "features_per_stage": [4, 6], "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
        "kernel_sizes": kernels, "strides": strides, blocks: [1, 2], "n_conv_per_stage_decoder": [1],
        "conv_bias": True, "norm_op": f"{norm.__module__}.{norm.__name__}",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True}, **model.of_architecture,
    }  # fmt: skip
    name = "ResidualEncoderUNet" if model.residual else "PlainConvUNet"
    return {
        "architecture": {
            "network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
            "arch_kwargs": kwargs, "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        }
    }  # fmt: skip


def network_of(model: Nnunet2, seed: int = 0) -> nn.Module:
    """The network as nnU-Net itself would make it, of 2-D convolutions where the patch has two edges; in eval mode."""
    axes = len(model.patch)
    kwargs = {**_network(replace(model, old_plans=False))["architecture"]["arch_kwargs"]}
    dropout = kwargs["dropout_op"]
    kwargs |= {
        "conv_op": CONVOLUTIONS[axes], "norm_op": (BATCH_NORMS if model.batch_norm else NORMS)[axes],
        "dropout_op": dropout and getattr(nn, dropout.rpartition(".")[2]),
        "nonlin": getattr(nn, kwargs["nonlin"].rpartition(".")[2]),
    }  # fmt: skip
    torch.manual_seed(seed)
    build = ResidualEncoderUNet if model.residual else PlainConvUNet
    network = build(input_channels=len(model.channel_names), num_classes=model.outputs, **kwargs).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.add_(0.05 * torch.randn(weight.shape))
            if "seg_layers" in name:  # no class is favoured everywhere
                weight.copy_(model.scale * (weight - weight.mean(1, keepdim=True)) if weight.ndim > 1 else 0 * weight)
        for name, buffer in network.named_buffers():
            if "running" in name:
                buffer.add_(torch.rand(buffer.shape))
    return network


def checkpoint_of(model: Nnunet2, fold: str, seed: int = 0) -> dict[str, Any]:
    """What nnUNetTrainer.save_checkpoint writes, numpy scalars in its log included."""
    weights = OrderedDict(network_of(model, seed).state_dict())
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(3))], lr=0.01, momentum=0.99)
    return {
        "network_weights": weights, "optimizer_state": optimizer.state_dict(), "grad_scaler_state": None,
        "logging": {"mean_fg_dice": [np.float64(0.5)], "lrs": [0.01], "dice_per_class_or_region": [[np.float32(0.4)]]},
        "_best_ema": np.float64(0.5), "current_epoch": 1,
        "init_args": {
            "plans": plans_of(model), "configuration": model.configuration,
            "fold": int(fold) if fold.isdigit() else fold, "dataset_json": {}, "device": torch.device("cpu"),
        },
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": None if model.mirror_axes is None else tuple(model.mirror_axes),
    }  # fmt: skip
