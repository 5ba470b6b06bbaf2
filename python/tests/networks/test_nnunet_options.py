"""The options that nnU-Net's plans have for their networks, and what is refused of them."""

from typing import Any

import pytest
import torch
from torch import nn

from organincrement.networks.build import build_network
from organincrement.networks.errors import NetworkError

ARGS: dict[str, Any] = {
    "in_channels": 1, "out_channels": 2, "features": [4, 6], "blocks": [1, 1], "decoder_blocks": [1],
}  # fmt: skip


def layers(kind: type, **options: Any) -> list[Any]:
    network = build_network("PlainConvUNet", {**ARGS, **options})
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def test_what_goes_without_saying_is_nnunets_own():
    assert {layer.bias is not None for layer in layers(nn.Conv3d)} == {True}
    assert {(layer.eps, layer.affine) for layer in layers(nn.InstanceNorm3d)} == {(1e-5, True)}
    assert {layer.negative_slope for layer in layers(nn.LeakyReLU)} == {0.01}
    assert not layers(nn.Dropout3d)


def test_each_option_reaches_its_layers():
    assert sum(layer.bias is not None for layer in layers(nn.Conv3d, conv_bias=False)) == 1  # of the output
    norms = layers(nn.InstanceNorm3d, norm_eps=1e-3, norm_affine=False)
    assert {(layer.eps, layer.affine) for layer in norms} == {(1e-3, False)}
    assert {layer.negative_slope for layer in layers(nn.LeakyReLU, slope=0.2)} == {0.2}
    assert {layer.p for layer in layers(nn.Dropout3d, dropout=0.3)} == {0.3}
    assert not layers(nn.InstanceNorm3d, norm="none")


def test_a_dropout_of_nothing_still_counts_in_the_names_of_weights():
    with torch.device("meta"):
        names = build_network("PlainConvUNet", {**ARGS, "dropout": 0.0}).state_dict()
    assert "encoder.stages.0.0.convs.0.all_modules.2.weight" in names


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"slope": 2}, "slope is 2"), ({"norm_eps": True}, "norm_eps is True"), ({"dropout": 1.0}, "dropout is 1.0"),
        ({"conv_bias": "yes"}, "conv_bias is 'yes'"), ({"norm": "group"}, "norm 'group' is not one of"),
        ({"features": [4] * 11}, "at most 10 of them"),
    ],
)  # fmt: skip
def test_options_that_no_network_has_are_refused(option, says):
    with pytest.raises(NetworkError, match=says):
        build_network("PlainConvUNet", {**ARGS, **option})
