"""Global magnitude pruning of a decoder, for lottery tickets (Continual Segment, arXiv 2302.00162; rules ours)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from organincrement.networks.multi_decoder import Decoder

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def prunable(decoder: Decoder) -> list[nn.Parameter]:
    """The weights of all convolutions but the output's; no norms, no biases."""
    convolutions = [module for module in decoder.modules() if isinstance(module, _CONVOLUTIONS)]
    return [module.weight for module in convolutions if module is not decoder.output]


@torch.no_grad()
def magnitude_masks(
    weights: Sequence[Tensor], sparsity: float, previous: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Which weights stay (True): of all n together, round(sparsity n) go, the smallest first.

    Args: previous: earlier masks; what they pruned goes first. Ties go by position.
    """
    size = torch.cat([weight.abs().flatten() for weight in weights])
    if previous is not None:
        size = size.where(torch.cat([mask.flatten() for mask in previous]), -1.0)
    keep = torch.ones_like(size, dtype=torch.bool)
    keep[size.argsort(stable=True)[: round(sparsity * len(size))]] = False
    parts = keep.split([weight.numel() for weight in weights])
    return [part.view(weight.shape) for part, weight in zip(parts, weights, strict=True)]


@torch.no_grad()
def apply_masks(weights: Sequence[Tensor], masks: Sequence[Tensor]) -> None:
    """Pruned weights are 0."""
    for weight, mask in zip(weights, masks, strict=True):
        weight.masked_fill_(~mask, 0)  # a product would leave minus zeros


def sparsity_of(decoder: Decoder) -> float:
    """The share of a decoder's prunable weights that are 0."""
    weights = prunable(decoder)
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return round(zeros / sum(weight.numel() for weight in weights), 6)
