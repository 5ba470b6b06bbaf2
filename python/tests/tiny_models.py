"""Networks and manifests small enough to run a thousand times."""

from typing import Any

import numpy as np
import torch
from torch import nn

from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import (
    Inference,
    Metrics,
    ModelManifest,
    Network,
    Normalisation,
    Preprocessing,
    SoftmaxHead,
    TrainedOn,
    Uncertainty,
)
from organincrement.contract.organs import organ_from_name
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.sizing import NetworkSpec

_LEVELS: dict[str, dict[str, Any]] = {
    "PlainConvUNet": {"features": [4, 8], "blocks": [1, 1], "decoder_blocks": [1]},
    "ResidualEncoderUNet": {"features": [4, 8], "blocks": [1, 1], "decoder_blocks": [1]},
    "DynUNet": {"features": [4, 8, 8]},
    "SegResNet": {"init_filters": 4, "blocks_down": [1, 1], "blocks_up": [1]},
    "MultiDecoder": {"features": [4, 8], "blocks": [1, 1], "decoder_blocks": [1]},
    "PreActUNet": {"features": [4, 8], "blocks": [1, 1]},
}
SOFTMAX_KINDS = tuple(_LEVELS)  # those of any number of output channels


def organs(*names: str) -> LabelSpace:
    """A label space of organs of the terminology."""
    return LabelSpace(tuple(organ_from_name(name) for name in names))


def tiny_spec(out_channels: int, kind: str = "PlainConvUNet") -> NetworkSpec:
    """One input channel, two or three levels."""
    return NetworkSpec(kind=kind, args={"in_channels": 1, "out_channels": out_channels, **_LEVELS[kind]})


def tiny_network(spec: NetworkSpec, seed: int = 0, scale: float = 1.0) -> nn.Module:
    """In eval mode. Args: scale: of the output layer, so that its probabilities are far from even."""
    torch.manual_seed(seed)
    network = build_network(spec.kind, spec.args).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "seg_layers" in name:
                weight.mul_(scale).add_(0.1 * torch.randn(weight.shape))
    return network


def preprocessing(**changes: Any) -> Preprocessing:
    """CT in LPS at 2 mm without the blur of a cubic spline."""
    return Preprocessing(
        **{
            "orientation": "LPS",
            "spacing_mm": (2.0, 2.0, 2.0),
            "axis_order": (0, 1, 2),
            "channels": ("CT",),
            "order": "normalise-then-resample",
            "normalisation": Normalisation(kind="ct", clip_hu=(-200, 300), mean=20, std=120),
            "image_resampling": "linear",
            "output_resampling": "linear",
            **changes,
        }
    )


def tiny_manifest(
    space: LabelSpace,
    spec: NetworkSpec,
    *,
    patch: tuple[int, ...] = (8, 8, 8),
    step: float = 0.5,
    temperature: float = 1.0,
    perturbations: int = 2,
    mirror_axes: tuple[int, ...] = (),
    **of_preprocessing: Any,
) -> ModelManifest:
    """Of a softmax package, its weights not yet listed."""
    return ModelManifest(
        name="tiny",
        organs=space.organs,
        network=Network(
            kind=spec.kind, args=spec.args, parameters=count_parameters(build_network(spec.kind, spec.args))
        ),
        head=SoftmaxHead(),
        preprocessing=preprocessing(**of_preprocessing),
        inference=Inference(
            patch=patch,
            step=step,
            window="gaussian",
            mirror_axes=mirror_axes,
            average="logits",
            temperature=temperature,
        ),
        uncertainty=Uncertainty(kind="perturbation", perturbations=perturbations),
        trained_on=TrainedOn(modality="CT", cases=1, spacing_mm=None, intensity_percentiles={}),
        lineage=(),
        metrics=Metrics(validation=(), agreement_with_teacher=(), recommended=True),
        licence="",
        citation="",
        weights=(),
    )


def ball(shape: tuple[int, int, int], centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """A mask; all in voxels."""
    axes = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    return sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)) <= radius**2
