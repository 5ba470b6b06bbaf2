"""The encoder-decoder of DoDNet and of its rivals: residual blocks, norm and activation before each convolution.

Written from arXiv 2011.10217, section 3.2, with weight standardisation (arXiv 1903.10520).
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

_GROUPS = 16
_EPSILON = 1e-8  # of the variance of a filter, which is about 1e-4


class StandardisedConv3d(nn.Conv3d):
    """A convolution whose filters have mean 0 and variance 1, so that the norm behind it sees a smoother loss."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, in, D, H, W) to (B, out, D', H', W')."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3, 4), correction=0, keepdim=True)
        return self._conv_forward(input, (self.weight - mean) * torch.rsqrt(variance + _EPSILON), self.bias)


def group_norm(channels: int) -> nn.GroupNorm:
    """16 groups, or as many as a network with few channels allows: a group of one voxel and channel would be empty."""
    return nn.GroupNorm(math.gcd(_GROUPS, channels // 2) if channels % 2 == 0 else 1, channels)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv3d:
    return StandardisedConv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)


class Project(nn.Sequential):
    """Norm, activation and a 1x1x1 convolution with bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(group_norm(inputs), nn.ReLU(), nn.Conv3d(inputs, outputs, 1))


class Block(nn.Module):
    """Two convolutions and a shortcut, projected where the size changes. extra: maps joined to the first one's input.

    They are joined after the norm, which would level out maps that are constant.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, extra: int = 0) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(inputs), _conv(inputs + extra, outputs, stride)
        self.norm2, self.conv2 = group_norm(outputs), _conv(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x_BCDHW: Tensor, extra_BE: Tensor | None = None) -> Tensor:
        """Args: extra_BE: one value for each sample and extra map."""
        inner = self.norm1(x_BCDHW).relu()
        if extra_BE is not None:
            inner = torch.cat([inner, constant_maps(extra_BE, inner)], 1)
        return self.shortcut(x_BCDHW) + self.conv2(self.norm2(self.conv1(inner)).relu())


class Encoder(nn.Module):
    """Stem and residual levels, each half the size of the one above; then one 1x1x1 convolution to `deepest` maps."""

    def __init__(self, inputs: int, features: Sequence[int], blocks: Sequence[int], deepest: int) -> None:
        super().__init__()
        if len(blocks) != len(features):
            raise ValueError(
                f"features and blocks must have the same number of levels; they have {len(features)}, {len(blocks)}"
            )
        # not standardised: filters of sum 0 over a single channel would see edges, but no intensity
        self.stem = nn.Conv3d(inputs, features[0], 3, padding=1, bias=False)
        self.levels = nn.ModuleList()
        for level, (outputs, count) in enumerate(zip(features, blocks, strict=True)):
            above = features[max(0, level - 1)]
            first = Block(above, outputs, stride=2 if level else 1)
            self.levels.append(nn.Sequential(first, *(Block(outputs, outputs) for _ in range(count - 1))))
        self.bottleneck = Project(features[-1], deepest)

    def forward(self, x_BCDHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns: the deepest features (B, deepest, d, h, w), and those of every level above, finest first."""
        x, skips = self.stem(x_BCDHW), []
        for level in self.levels:
            x = level(x)
            skips.append(x)
        return self.bottleneck(skips.pop()), skips


class Decoder(nn.Module):
    """Upsample, add the skip, one block, level by level; then norm, activation, 1x1x1 convolution to `outputs`.

    Args: features: of the encoder. share: of its channels, 1 or 2 for a half, the skips being projected then. extra:
        constant maps joined to the input of every level.
    """

    def __init__(self, features: Sequence[int], outputs: int, *, share: int = 1, extra: int = 0) -> None:
        super().__init__()
        widths = decoder_widths(features, share)
        pairs = list(zip(features[:-1], widths, strict=True))
        self.skips = nn.ModuleList(nn.Identity() if f == w else nn.Conv3d(f, w, 1, bias=False) for f, w in pairs)
        self.blocks = nn.ModuleList(Block(w, widths[max(0, i - 1)], extra=extra) for i, w in enumerate(widths))
        self.project = Project(widths[0], outputs)

    def forward(self, deep_BCDHW: Tensor, skips: Sequence[Tensor], extra_BE: Tensor | None = None) -> Tensor:
        """(B, outputs, D, H, W) at the size of the first skip."""
        x = deep_BCDHW
        for level in reversed(range(len(skips))):
            skip = self.skips[level](skips[level])
            x = functional.interpolate(x, size=skip.shape[2:], mode="trilinear", align_corners=False) + skip
            x = self.blocks[level](x, extra_BE)
        return self.project(x)


class PreActUNet(nn.Module):
    """Encoder and decoder with one fixed output layer: what a network with all labels, or TAL, trains."""

    def __init__(self, in_channels: int, out_channels: int, features: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        self.encoder = Encoder(in_channels, features, blocks, decoder_widths(features)[-1])
        self.decoder = Decoder(features, out_channels)

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        """Logits (B, out_channels, D, H, W)."""
        return self.decoder(*self.encoder(x_BCDHW))


def decoder_widths(features: Sequence[int], share: int = 1) -> list[int]:
    """Channels with which each level of the decoder begins, finest first. Raises: ValueError for a single level."""
    if len(features) < 2:
        raise ValueError(f"features {list(features)} must be of 2 levels or more")
    return [max(1, width // share) for width in features[:-1]]


def constant_maps(values_BE: Tensor, like_BCDHW: Tensor) -> Tensor:
    """(B, E, D, H, W), each map one value."""
    return values_BE.to(like_BCDHW.dtype)[:, :, None, None, None].expand(-1, -1, *like_BCDHW.shape[2:])


@torch.no_grad()
def take_weights(network: nn.Module, state: Mapping[str, Tensor]) -> int:
    """Start a network from another's weights, as DoDNet's is carried over to a new data set (section 4.4).

    Whatever has the same name and shape is taken, that is encoder and decoder but for the output layer. Returns: how
    many weights were taken.
    """
    taken, target = 0, network.state_dict()
    for name, weight in target.items():
        if name in state and state[name].shape == weight.shape:
            weight.copy_(state[name])
            taken += weight.numel()
    return taken
