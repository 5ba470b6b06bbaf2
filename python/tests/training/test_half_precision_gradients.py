"""On a CPU, gradients in bfloat16 are those of float32 but for its digits, whatever lay in memory before."""

import pytest
import torch
from torch import nn

from organincrement.training.device import Hardware

HALF = Hardware(device=torch.device("cpu"), precision="bf16")
DIGITS = 0.03  # of bfloat16, in a sum of a few hundred products


def soil_memory() -> None:
    """Leave nan behind in memory that is handed out again."""
    soiled = [torch.full((4**power,), torch.nan) for power in range(2, 10)]
    soiled += [torch.full((27 * count,), torch.nan) for count in (256, 1024, 2112, 4096)]
    del soiled


def gradients(layer: nn.Module, x_BCDHW: torch.Tensor, towards: torch.Tensor, half: bool) -> list[torch.Tensor]:
    layer.zero_grad()
    if half:
        with HALF.computing():
            y = layer(x_BCDHW)
    else:
        y = layer(x_BCDHW)
    soil_memory()
    (y.float() * towards).sum().backward()
    return [weight.grad.clone() for weight in layer.parameters()]


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(2, 2, 2), (2, 8, 8), (4, 1, 3), (4, 4, 1), (1, 1, 1), (3, 3, 3), (4, 4, 4)])
def test_gradients_of_a_convolution_hold_nothing_of_what_was_in_memory(size, stride):
    torch.manual_seed(0)
    layer, x_BCDHW = nn.Conv3d(32, 32, 3, padding=1, stride=stride), torch.randn(2, 32, *size)
    towards = torch.randn(layer(x_BCDHW).shape)
    for _ in range(3):
        for half, whole in zip(
            gradients(layer, x_BCDHW, towards, half=True), gradients(layer, x_BCDHW, towards, half=False), strict=True
        ):
            assert float((half - whole).abs().max() / whole.abs().max()) < DIGITS


def test_what_is_not_thin_is_computed_in_bfloat16():
    with HALF.computing():
        assert nn.Conv3d(4, 4, 3, padding=1)(torch.randn(1, 4, 3, 3, 3)).dtype == torch.bfloat16
        assert nn.Conv3d(4, 4, (1, 3, 3), padding=(0, 1, 1))(torch.randn(1, 4, 1, 3, 3)).dtype == torch.bfloat16
        assert nn.Conv3d(4, 4, 1)(torch.randn(1, 4, 1, 1, 1)).dtype == torch.bfloat16
        assert nn.Conv3d(4, 4, 3, padding=1)(torch.randn(1, 4, 2, 3, 3)).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")
