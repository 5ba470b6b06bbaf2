"""Moving averages of networks, whose weights may have several names."""

import torch
from torch import nn


@torch.no_grad()
def move_average(mean: nn.Module, now: nn.Module, momentum: float) -> None:
    """e <- m e + (1 - m) theta, of every weight and buffer once; what is no floating-point number is copied."""
    # not by state_dict, where a weight that has several names would be moved several times
    for kept, present in zip(_tensors(mean), _tensors(now), strict=True):
        if kept.is_floating_point():
            kept.lerp_(present, 1 - momentum)
        else:
            kept.copy_(present)


def _tensors(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]
