"""Features of every kind of network, from its bottleneck and from the stages of its decoder."""

import pytest
import torch
from tiny_models import SOFTMAX_KINDS, tiny_spec

from organincrement.networks.build import NETWORKS, build_network, shrink_factor
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec, Size, unet_spec
from organincrement.networks.stages import StageFeatures, bottleneck, decoder_stage, stage_shape

KINDS = ("PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet")
SMALL = Size(features=(4, 8, 16), blocks=(1, 1, 1), patch=(16, 16, 16))
every_kind = pytest.mark.parametrize("kind", KINDS)


def small(kind: str) -> NetworkSpec:
    return unet_spec(SMALL, 1, 3, kind)


def image() -> torch.Tensor:
    return torch.randn(2, 1, 8, 12, 16, generator=torch.Generator().manual_seed(0))


@every_kind
@pytest.mark.parametrize(("level", "channels"), [(0, 4), (1, 8), (2, 16), (None, 16)])
def test_a_stage_at_level_l_has_half_the_resolution_l_times(kind, level, channels):
    spec = small(kind)
    network = build_network(spec.kind, spec.args)
    with StageFeatures(network, level) as stage:
        logits = network(image())
    shrunk = 4 if level is None else 2**level
    assert logits.shape == (2, 3, 8, 12, 16)
    assert stage.features.shape == (2, channels, 8 // shrunk, 12 // shrunk, 16 // shrunk)
    assert level is None or stage_shape(spec, level, (8, 12, 16)) == stage.features.shape[1:]


@every_kind
def test_the_output_follows_from_the_finest_stage_and_that_from_the_coarser_ones(kind):
    """The layer that is watched is on the way to the logits, behind everything coarser."""
    spec = small(kind)
    network = build_network(spec.kind, spec.args).eval()
    for level in (0, 1, 2):
        handle = decoder_stage(network, level).register_forward_hook(lambda layer, inputs, output: output * 0 + 1)
        with StageFeatures(network, 0) as finest, torch.no_grad():
            changed = network(image())
        handle.remove()
        assert not torch.allclose(changed, network(image()))
        assert level > 0 or bool((finest.features == 1).all())


@every_kind
@pytest.mark.parametrize("training", [True, False])
def test_features_carry_a_gradient_to_what_lies_before_them_and_change_nothing(kind, training):
    spec = small(kind)
    network = build_network(spec.kind, spec.args).train(training)
    plain = network(image())
    with StageFeatures(network, 1) as stage:
        watched = network(image())
    assert torch.equal(plain, watched)
    stage.features.square().sum().backward()
    reached = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert 0.3 * len(list(network.parameters())) < len(reached) < len(list(network.parameters()))


@every_kind
def test_features_work_under_autocast_and_are_those_of_the_last_run(kind):
    spec = small(kind)
    network = build_network(spec.kind, spec.args)
    with StageFeatures(network) as stage, torch.autocast("cpu", torch.bfloat16):
        network(image())
        first = stage.features
        network(image() + 1)
    assert torch.isfinite(stage.features).all() and not torch.equal(first, stage.features)
    assert not bottleneck(network)._forward_hooks, "the hook is gone with the context"


OF_MONAI = {
    "UNet": {"features": [4, 8, 8], "strides": [2, 2], "residual_units": 1},
    "BasicUNet": {"features": [4, 4, 8, 8, 8, 4]},
}


def of_table(kind: str) -> NetworkSpec:
    if kind in SOFTMAX_KINDS:
        return tiny_spec(4, kind)
    if kind in OF_MONAI:
        return NetworkSpec(kind=kind, args={"in_channels": 1, "out_channels": 4, **OF_MONAI[kind]})
    args = {"in_channels": 1, "out_channels": 4, "features": [4, 8], "blocks": [1, 1], "width": 2, "depth": 2}
    return NetworkSpec(kind=kind, args=args)


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "SideBySide"])
def test_every_network_of_the_table_has_a_bottleneck_at_its_coarsest_resolution(kind):
    spec = of_table(kind)
    network = build_network(kind, spec.args).eval()
    shrunk = shrink_factor(kind, spec.args)
    with StageFeatures(network) as stage, torch.inference_mode():
        network(torch.randn(1, 1, 16, 16, 32))
    expected = tuple(n // factor for n, factor in zip((16, 16, 32), shrunk, strict=True))
    assert stage.features.shape[2:] == expected


def test_networks_side_by_side_have_no_bottleneck_in_common():
    parts = [{"kind": part.kind, "args": part.args} for part in (tiny_spec(2), tiny_spec(2, "ResidualEncoderUNet"))]
    network = build_network("SideBySide", {"in_channels": 1, "out_channels": 4, "parts": parts})
    with pytest.raises(NetworkError, match="'SideBySide'"):
        bottleneck(network)
    assert bottleneck(network.parts[0]) is not bottleneck(network.parts[1])


@pytest.mark.parametrize("kind", ["PreActUNet", "DoDNet"])
def test_a_stage_of_a_network_of_residual_blocks_has_half_the_resolution(kind):
    spec = of_table(kind)
    network = build_network(kind, spec.args)
    with StageFeatures(network, 0) as finest:
        network(torch.randn(1, 1, 8, 8, 16))
    assert finest.features.shape[2:] == (8, 8, 16) and stage_shape(spec, 0, (8, 8, 16)) == finest.features.shape[1:]


def test_the_stages_of_a_basic_unet_have_half_the_resolution():
    spec = of_table("BasicUNet")
    network = build_network(spec.kind, spec.args)
    for level, shrunk in enumerate((1, 2, 4, 8, 16)):
        with StageFeatures(network, level) as stage:
            network(torch.randn(1, 1, 32, 32, 32))
        assert stage.features.shape[2:] == (32 // shrunk,) * 3


def test_of_several_decoders_none_is_meant():
    spec = tiny_spec(2, "MultiDecoder")
    with pytest.raises(NetworkError, match="layers of a 'MultiDecoder' are the stages of its decoder"):
        stage_shape(spec, 1, (8, 8, 8))


def test_a_network_of_slices_shrinks_within_the_slice():
    args = {**tiny_spec(2).args, "kernels": [[1, 3, 3]] * 2, "strides": [[1, 1, 1], [1, 2, 2]]}
    network = build_network("PlainConvUNet", args)
    assert shrink_factor("PlainConvUNet", args) == (1, 2, 2)
    with StageFeatures(network, 1) as stage:
        network(torch.randn(1, 1, 1, 8, 16))
    assert stage.features.shape == (1, 8, 1, 4, 8)


def test_a_level_that_is_not_there_and_a_network_of_unknown_parts_are_refused():
    network = build_network(*(lambda spec: (spec.kind, spec.args))(small("PlainConvUNet")))
    with pytest.raises(NetworkError, match=r"no level 3: there are 0 \(full resolution\) to 2"):
        StageFeatures(network, 3)
    with pytest.raises(NetworkError, match="layers of a 'Conv3d' are its stages"):
        StageFeatures(torch.nn.Conv3d(1, 1, 1))
    with pytest.raises(NetworkError, match="run the network inside the context first"):
        _ = StageFeatures(network).features
