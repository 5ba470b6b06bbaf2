"""Model folders as nnU-Net v1 writes them, with tiny untrained networks; made anew for every test, never stored.

The layout and the names follow nnunet's plans, checkpoints and Generic_UNet, which is built here from its description.
"""

import pickle
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from foreign_models.nnunet2_folder import write_json
from torch import Tensor, nn

CT = {"mean": 60.0, "sd": 120.0, "percentile_00_5": -180.0, "percentile_99_5": 260.0, "median": 55.0}


@dataclass(frozen=True, kw_only=True)
class Nnunet1:
    """What is different from a 3d_fullres CT model of three levels and two organs. Axes as in the plans."""

    organs: Sequence[str] = ("liver", "spleen")
    configuration: str = "3d_fullres"
    task: str = "Task006_Tiny"
    trainer: str = "nnUNetTrainerV2"
    patch: Sequence[int] = (4, 8, 8)
    spacing_mm: Sequence[float] = (3.0, 2.0, 2.0)
    transpose: Sequence[int] = (0, 1, 2)
    pools: Sequence[Sequence[int]] = ((1, 2, 2), (2, 2, 2))
    kernels: Sequence[Sequence[int]] = ((1, 3, 3), (3, 3, 3), (3, 3, 3))
    convolutions: int = 2
    scheme: str = "CT"
    masked: bool = False
    modalities: int = 1
    stages: int = 1
    stage: int | None = None
    folds: Sequence[str] = ("fold_0",)
    checkpoint: str = "model_final_checkpoint"
    legacy: bool = False
    norm: str = "instance"
    slope: float = 0.01
    named: bool = True  # whether dataset.json is there
    seed: int = 0

    @property
    def axes(self) -> int:
        """2 for a network of slices."""
        return len(self.patch)


class Block(nn.Module):
    """A convolution, its normalisation, a leaky ReLU."""

    def __init__(self, model: Nnunet1, inputs: int, outputs: int, kernel: Sequence[int], stride: Any = 1) -> None:
        super().__init__()
        convolution = {2: nn.Conv2d, 3: nn.Conv3d}[model.axes]
        norms = {
            "instance": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d},
            "batch": {2: nn.BatchNorm2d, 3: nn.BatchNorm3d},
        }
        padding = tuple(1 if edge == 3 else 0 for edge in kernel)
        self.conv = convolution(inputs, outputs, tuple(kernel), stride, padding)
        self.instnorm = norms[model.norm][model.axes](outputs, affine=True)
        self.lrelu = nn.LeakyReLU(model.slope)

    def forward(self, x: Tensor) -> Tensor:
        return self.lrelu(self.instnorm(self.conv(x)))


class Stacked(nn.Module):
    """Blocks one after another, the first with a stride."""

    def __init__(self, *blocks: Block) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(x)


class GenericUNet(nn.Module):
    """The U-Net of v1: strided convolutions down, transposed ones without bias up, an output of 1 x 1 at each level."""

    def __init__(self, model: Nnunet1) -> None:
        super().__init__()
        features = [4 + 2 * level for level in range(len(model.pools) + 1)]
        up = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[model.axes]
        out = {2: nn.Conv2d, 3: nn.Conv3d}[model.axes]
        strides = [1, *(tuple(pool) for pool in model.pools)]
        context: list[nn.Module] = []
        for level, (outputs, kernel) in enumerate(zip(features, model.kernels, strict=True)):
            inputs = model.modalities if level == 0 else features[level - 1]
            blocks = [Block(model, inputs, outputs, kernel, strides[level])]
            blocks += [Block(model, outputs, outputs, kernel) for _ in range(model.convolutions - 1)]
            coarsest = level == len(features) - 1
            context.append(nn.Sequential(Stacked(*blocks[:-1]), Stacked(blocks[-1])) if coarsest else Stacked(*blocks))
        self.conv_blocks_context = nn.ModuleList(context)
        localization, ups, outs = [], [], []
        for number, pool in enumerate(reversed(model.pools)):
            below, here = features[-1 - number], features[-2 - number]
            kernel = model.kernels[-1 - number]  # of the level below, as v1 has it
            blocks = [Block(model, 2 * here, here, kernel)]
            blocks += [Block(model, here, here, kernel) for _ in range(model.convolutions - 1)]
            localization.append(nn.Sequential(Stacked(*blocks[:-1]), Stacked(blocks[-1])))
            ups.append(up(below, here, tuple(pool), tuple(pool), bias=False))
            outs.append(out(here, 1 + len(model.organs), 1, bias=False))
        self.conv_blocks_localization = nn.ModuleList(localization)
        self.tu, self.seg_outputs = nn.ModuleList(ups), nn.ModuleList(outs)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for level in self.conv_blocks_context[:-1]:
            x = level(x)
            skips.append(x)
        x = self.conv_blocks_context[-1](x)
        for number, up in enumerate(self.tu):
            x = self.conv_blocks_localization[number](torch.cat([up(x), skips[-1 - number]], 1))
        return self.seg_outputs[-1](x)


def network_of(model: Nnunet1, number: int = 0) -> GenericUNet:
    """The network of one fold, in eval mode, decided although it is untrained."""
    torch.manual_seed(model.seed + number)
    network = GenericUNet(model).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.add_(0.05 * torch.randn(weight.shape))
            if "seg_outputs" in name:
                weight.copy_(40 * (weight - weight.mean(1, keepdim=True)))
        for name, buffer in network.named_buffers():
            if "running" in name:
                buffer.add_(0.1 * torch.rand(buffer.shape))
    return network


def plans_of(model: Nnunet1) -> dict[str, Any]:
    """The plans with what v1 puts into them, arrays and numbers of numpy included."""
    stage = {
        "batch_size": 2, "num_pool_per_axis": [len(model.pools)] * model.axes,
        "patch_size": np.array(model.patch), "median_patient_size_in_voxels": np.array([20, 24, 28]),
        "current_spacing": np.array(model.spacing_mm, float), "original_spacing": np.array(model.spacing_mm, float),
        "do_dummy_2D_data_aug": False, "pool_op_kernel_sizes": [list(pool) for pool in model.pools],
        "conv_kernel_sizes": [list(kernel) for kernel in model.kernels],
    }  # fmt: skip
    coarse = {**stage, "current_spacing": np.array(model.spacing_mm) * 2}
    intensities = {0: OrderedDict((key, np.float32(value)) for key, value in CT.items())}
    count = len(model.organs)
    return {
        "num_stages": model.stages, "num_modalities": model.modalities,
        "modalities": dict.fromkeys(range(model.modalities), "CT" if model.scheme == "CT" else "MRI"),
        "normalization_schemes": OrderedDict((n, model.scheme) for n in range(model.modalities)),
        "dataset_properties": {
            "all_sizes": [(20, 24, 28)], "all_classes": list(range(1, 1 + count)),
            "intensityproperties": intensities if model.scheme == "CT" else None,
        },
        "list_of_npz_files": ["/data/cropped/anna_schmidt_001.npz"],
        "original_spacings": [np.array([3.0, 1.0, 2.0]), np.array([5.0, 1.5, 2.0])],
        "original_sizes": [np.array([20, 24, 28])] * 2, "preprocessed_data_folder": "/data/preprocessed",
        "num_classes": count, "all_classes": list(range(1, 1 + count)), "base_num_features": 32,
        "use_mask_for_norm": OrderedDict((n, np.bool_(model.masked)) for n in range(model.modalities)),
        "keep_only_largest_region": None, "min_region_size_per_class": None, "min_size_per_class": None,
        "transpose_forward": list(model.transpose), "transpose_backward": np.argsort(model.transpose).tolist(),
        "data_identifier": "nnUNetData_plans_v2.1", "conv_per_stage": model.convolutions,
        "plans_per_stage": {n: stage if n == model.stages - 1 else coarse for n in range(model.stages)},
        "preprocessor_name": "PreprocessorFor2D" if model.axes == 2 else "GenericPreprocessor",
    }  # fmt: skip


def write_folder(root: Path, model: Nnunet1) -> Path:
    """Write root/<configuration>/<task>/<trainer>__nnUNetPlansv2.1. Returns: that folder."""
    folder = root / model.configuration / model.task / f"{model.trainer}__nnUNetPlansv2.1"
    folder.mkdir(parents=True)
    plans = plans_of(model)
    with (folder / "plans.pkl").open("wb") as file:
        pickle.dump(plans, file)
    if model.named:
        labels: Mapping[str, str] = {"0": "background", **{str(n): o for n, o in enumerate(model.organs, start=1)}}
        write_json(folder / "dataset.json", {"modality": {"0": "CT"}, "labels": labels, "licence": "CC BY 4.0"})
    for number, fold in enumerate(model.folds):
        (folder / fold).mkdir()
        file = folder / fold / f"{model.checkpoint}.model"
        torch.save(checkpoint_of(model, number), file, _use_new_zipfile_serialization=not model.legacy)
        stage = model.stages - 1 if model.stage is None else model.stage
        init = ("/plans.pkl", number, "/out", "/data", True, stage if model.stages > 1 else None, True, False, True)
        info = OrderedDict(init=init, name=model.trainer, plans=plans)
        info["class"] = f"<class '{model.trainer}'>"
        with file.with_name(file.name + ".pkl").open("wb") as described:
            pickle.dump(info, described)
    return folder


def checkpoint_of(model: Nnunet1, number: int = 0) -> dict[str, Any]:
    """What NetworkTrainer.save_checkpoint writes."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(3))], lr=0.01, momentum=0.99)
    return {
        "epoch": 1001, "state_dict": network_of(model, number).state_dict(),
        "optimizer_state_dict": optimizer.state_dict(), "lr_scheduler_state_dict": None,
        "plot_stuff": ([np.float64(0.1)], [0.2], [], [np.float32(0.3)]),
        "best_stuff": (None, np.float64(0.5), np.float64(0.7)),
        "amp_grad_scaler": {"scale": 65536.0, "_growth_tracker": 3},
    }  # fmt: skip
