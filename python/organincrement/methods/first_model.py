"""The settings that every method without a teacher shares: its network, grid and intensities."""

from dataclasses import dataclass
from typing import Any

from organincrement.methods.protocol import setting

GENERAL_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet", "PreActUNet")


@dataclass(frozen=True, kw_only=True)
class FirstModelConfig:
    """What is empty here, the plan fills in from the data and the memory."""

    network: str = setting("PlainConvUNet", "network class", choices=GENERAL_NETWORKS)
    features: tuple[int, ...] = setting((), "feature maps per level", unit="channels")
    blocks: tuple[int, ...] = setting((), "convolutions or residual blocks per level of the encoder")
    spacing_mm: tuple[float, ...] = setting((), "voxel size of the network's grid, D, H, W", unit="mm")
    clip_hu: tuple[float, ...] = setting((-200.0, 300.0), "CT intensities are clipped to this range", unit="HU")
    mean_hu: float = setting(20.0, "subtracted after clipping", unit="HU")
    std_hu: float = setting(120.0, "divided by after that", unit="HU", low=1)


@dataclass(frozen=True, kw_only=True)
class UNetConfig(FirstModelConfig):
    """The same for methods whose network may be any U-Net, in two dimensions too."""

    dimensions: str = setting("3", "whether the network sees volumes or axial slices", choices=("3", "2"))
    norm: str = setting("instance", "normalisation after each convolution", choices=("instance", "batch"))
    nonlinearity: str = setting("leaky", "non-linearity after that, LeakyReLU or ReLU", choices=("leaky", "relu"))
    bottleneck_dropout: float = setting(0.0, "dropout at the coarsest level", low=0, high=0.9)


# the intensities of Continual Segment (arXiv 2302.00162, a later version)
WIDE_WINDOW: dict[str, Any] = {"clip_hu": (-995.0, 1265.0), "mean_hu": -187.85, "std_hu": 490.7}

# the 2-D U-Net of LwfSeg and MS-KD, with the intensities of the latter (arXiv 2108.02559), scaled to -1..1
SLICES: dict[str, Any] = {
    "dimensions": "2",
    "features": (64, 128, 256, 512, 1024),
    "blocks": (2, 2, 2, 2, 2),
    "norm": "batch",
    "nonlinearity": "relu",
    "bottleneck_dropout": 0.5,
    "clip_hu": (-325.0, 325.0),
    "mean_hu": 0.0,
    "std_hu": 325.0,
}
