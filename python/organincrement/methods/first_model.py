"""The settings that every method without a teacher shares: its network, grid and intensities."""

from dataclasses import dataclass

from organincrement.methods.protocol import setting

GENERAL_NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet")


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
