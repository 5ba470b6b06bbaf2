"""What a U-Net can be besides nnU-Net's: of slices, with batch normalisation and ReLU, with dropout at its bottom."""

import pytest
import torch
from tiny_models import tiny_spec
from torch import nn

from organincrement.methods.first_model import SLICES, UNetConfig
from organincrement.methods.protocol import configure
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.errors import NetworkError
from organincrement.networks.head import grow
from organincrement.networks.sizing import SLICE_LADDER, activation_bytes, first_network, patch_multiple

SIZE = {"features": [4, 8, 8], "blocks": [1, 2, 2]}
both_unets = pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet"])


def network_of(**settings: object) -> nn.Module:
    spec = first_network(configure(UNetConfig, {**SIZE, **settings}), 3)
    return build_network(spec.kind, spec.args)


@both_unets
def test_a_network_of_slices_never_looks_at_another_slice(kind):
    network = network_of(network=kind, dimensions="2", norm="batch").eval()
    image = torch.randn(1, 1, 3, 16, 16)
    alone = torch.cat([network(image[:, :, d : d + 1]) for d in range(3)], 2)
    torch.testing.assert_close(network(image), alone, rtol=1e-4, atol=1e-5)


@both_unets
def test_norm_and_nonlinearity_are_as_asked_everywhere(kind):
    usual, asked = network_of(network=kind), network_of(network=kind, norm="batch", nonlinearity="relu")
    for network, kinds in ((usual, {nn.InstanceNorm3d, nn.LeakyReLU}), (asked, {nn.BatchNorm3d, nn.ReLU})):
        every = {nn.InstanceNorm3d, nn.BatchNorm3d, nn.LeakyReLU, nn.ReLU}
        assert {type(module) for module in network.modules()} & every == kinds


@both_unets
def test_dropout_sits_at_the_coarsest_level_has_no_weights_and_sleeps_in_eval_mode(kind):
    plain, dropping = network_of(network=kind), network_of(network=kind, bottleneck_dropout=0.5)
    assert plain.state_dict().keys() == dropping.state_dict().keys()
    dropping.load_state_dict(plain.state_dict())
    image = torch.randn(1, 1, 16, 16, 16)
    assert sum(isinstance(module, nn.Dropout) for module in dropping.modules()) == 1
    assert torch.equal(dropping.eval()(image), plain.eval()(image))
    torch.manual_seed(0)
    dropping.train()
    assert not torch.allclose(dropping(image), dropping(image))
    seen = []
    dropping.encoder.stages[-1].register_forward_hook(lambda layer, inputs, output: seen.append(output))
    dropping(image)
    assert 0.3 < float((seen[0] == 0).float().mean()) < 0.7


def test_a_network_with_batch_normalisation_grows_as_any_other():
    spec = first_network(configure(UNetConfig, {**SIZE, "norm": "batch", "dimensions": "2"}), 3)
    teacher = build_network(spec.kind, spec.args)
    teacher(torch.randn(2, 1, 1, 16, 16))
    student = grow(spec, teacher.state_dict(), range(3), 1).eval()
    image = torch.randn(1, 1, 1, 16, 16)
    folded = student(image).log_softmax(1)[:, [0, 3]].logsumexp(1)
    torch.testing.assert_close(folded, teacher.eval()(image).log_softmax(1)[:, 0], rtol=1e-4, atol=1e-5)


def test_the_usual_network_is_described_as_before():
    assert first_network(configure(UNetConfig, SIZE), 3).args == {
        "in_channels": 1, "out_channels": 3, "features": [4, 8, 8], "blocks": [1, 2, 2], "decoder_blocks": [1, 1],
    }  # fmt: skip


def test_the_network_of_slices_is_as_large_as_the_papers():
    spec = first_network(configure(UNetConfig, SLICES), 2)
    assert patch_multiple(spec) == (1, 16, 16)
    with torch.device("meta"):
        # the 2-D U-Net of 31 million weights
        assert 30e6 < count_parameters(build_network(spec.kind, spec.args)) < 33e6


def test_sizes_for_slices_grow_in_memory_and_fit_their_patches():
    needed = [activation_bytes(size, batch=4) for size in SLICE_LADDER]
    assert needed == sorted(needed) and all(size.patch[0] == 1 for size in SLICE_LADDER)
    assert all(edge % 2 ** (len(size.features) - 1) == 0 for size in SLICE_LADDER for edge in size.patch[1:])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"network": "SegResNet", "dimensions": "2"}, "SegResNet.* no choice of decoder_blocks, kernels, strides"),
        ({"network": "DynUNet", "norm": "batch"}, "DynUNet.*norm: choose PlainConvUNet or ResidualEncoderUNet"),
    ],
)
def test_what_only_a_unet_can_be_is_refused_of_the_others(settings, named):
    with pytest.raises(NetworkError, match=named):
        network_of(**settings)


@pytest.mark.parametrize(("name", "value"), [("norm", "layer"), ("nonlinearity", "gelu"), ("bottleneck_dropout", 1.5)])
def test_an_option_that_there_is_not_is_refused_by_name(name, value):
    with pytest.raises(NetworkError, match=name):
        build_network("PlainConvUNet", {**tiny_spec(2).args, name: value})
