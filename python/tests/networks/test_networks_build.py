"""Networks from plain data: all kinds run, and what would be wrong or far too large is refused in one line."""

import time

import pytest
import torch
from tiny_models import SOFTMAX_KINDS, tiny_spec

from organincrement.networks.build import NETWORKS, build_network, count_parameters, shrink_factor
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import LADDER, NetworkSpec, Size, patch_multiple, unet_spec

SMALL = Size(features=(4, 8, 8), blocks=(1, 1, 1), patch=(16, 16, 16))


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_every_kind_gives_logits_of_all_channels_on_the_grid_of_its_input(kind):
    spec = unet_spec(SMALL, 1, 5, kind)
    edges = patch_multiple(spec)
    assert edges == (4, 4, 4)
    image = torch.randn(2, 1, 8, 12, 16)
    logits = build_network(kind, spec.args)(image)
    assert logits.shape == (2, 5, 8, 12, 16) and torch.isfinite(logits).all()
    assert logits.std() > 1e-3


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_a_network_is_the_same_again_from_the_same_seed(kind):
    spec = tiny_spec(3, kind)
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build_network(kind, spec.args).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_another_number_of_outputs_changes_nothing_but_the_outputs(kind):
    spec = tiny_spec(3, kind)
    wider = spec.with_outputs(9)
    assert (spec.args["out_channels"], wider.args["out_channels"]) == (3, 9)
    assert {**spec.args, "out_channels": 9} == wider.args
    few, many = (build_network(kind, s.args) for s in (spec, wider))
    assert 0 < count_parameters(many) - count_parameters(few) < 0.2 * count_parameters(few)


def test_anisotropic_strides_shrink_each_axis_by_its_own_factor():
    args = {**tiny_spec(2).args, "features": [4, 8, 8], "blocks": [1, 1, 1], "decoder_blocks": [1, 1],
            "strides": [1, [1, 2, 2], 2], "kernels": [[1, 3, 3], 3, 3]}  # fmt: skip
    assert shrink_factor("PlainConvUNet", args) == (2, 4, 4)
    assert build_network("PlainConvUNet", args)(torch.randn(1, 1, 4, 8, 8)).shape == (1, 2, 4, 8, 8)


@pytest.mark.parametrize("size", LADDER)
def test_patches_of_the_ladder_are_multiples_of_what_their_network_shrinks(size):
    assert all(
        edge % factor == 0 for edge, factor in zip(size.patch, patch_multiple(unet_spec(size, 1, 2)), strict=True)
    )


def refusal(kind: str, args: dict[str, object]) -> str:
    started = time.monotonic()
    with pytest.raises(NetworkError) as caught:
        build_network(kind, args)
    assert time.monotonic() - started < 1
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_unknown_kind_is_refused_with_those_there_are():
    message = refusal("os.system", tiny_spec(2).args)
    assert "'os.system'" in message and all(kind in message for kind in NETWORKS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("features", [32, 10**6]),
        ("features", [8] * 40),
        ("features", []),
        ("features", "88"),
        ("features", [4.5, 8]),
        ("features", [True, True]),
        ("blocks", [1, 10**9]),
        ("decoder_blocks", [10**9]),
        ("out_channels", 10**9),
        ("out_channels", 0),
        ("in_channels", -1),
        ("in_channels", None),
        ("kernels", [3, [3, 3, 1001]]),
        ("kernels", [[[[[3]]]]]),
        ("strides", [1, 0]),
    ],
)
def test_an_argument_out_of_range_is_refused_before_anything_is_made(name, value):
    assert f"'{name}'" in refusal("PlainConvUNet", {**tiny_spec(2).args, name: value})


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_a_missing_argument_is_refused_by_name(kind):
    for name in tiny_spec(2, kind).args:
        assert name in refusal(kind, {k: v for k, v in tiny_spec(2, kind).args.items() if k != name})


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_an_argument_that_no_network_has_is_refused_by_name(kind):
    assert "act_callable" in refusal(kind, {**tiny_spec(2, kind).args, "act_callable": "os.system"})


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("PlainConvUNet", {"blocks": [1, 1, 1]}),
        ("ResidualEncoderUNet", {"decoder_blocks": [1, 1, 1]}),
        ("DynUNet", {"features": [4, 8]}),
        ("SegResNet", {"blocks_up": [1, 1]}),
    ],
)
def test_levels_that_do_not_fit_each_other_are_refused(kind, args):
    assert refusal(kind, {**tiny_spec(2, kind).args, **args}).startswith(f"network '{kind}' cannot be built")


def test_a_description_of_a_network_cannot_be_changed():
    with pytest.raises(AttributeError):
        NetworkSpec(kind="DynUNet", args={}).kind = "SegResNet"  # type: ignore[misc]
