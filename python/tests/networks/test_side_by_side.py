"""Several networks on one input: their channels, their windows of intensities, and what no file may ask for."""

import weakref

import pytest
import torch
from tiny_models import tiny_network, tiny_spec

from organincrement.networks.build import build_network, shrink_factor
from organincrement.networks.errors import NetworkError
from organincrement.networks.side_by_side import Window, beside, first_part, first_part_state
from organincrement.networks.sizing import NetworkSpec

DEEPER = NetworkSpec(
    kind="PlainConvUNet",
    args={"in_channels": 1, "out_channels": 4, "features": [4, 8, 8], "blocks": [1, 1, 1], "decoder_blocks": [1, 1]},
)
PARTS = (tiny_spec(3), DEEPER)
WHOLE = beside(PARTS, [None, Window(scale=2.0, shift=-1.0, low=-0.5, high=1.5)])


def test_channels_of_all_parts_come_one_after_another():
    network = tiny_network(WHOLE)
    x = torch.randn(2, 1, 8, 8, 8)
    x[..., :2] = 0
    own = (x * 2 - 1).clamp(-0.5, 1.5)
    own[x == 0] = 0
    first, second = network.parts
    with torch.inference_mode():
        expected = torch.cat([first(x), second(own)], 1)
        assert torch.equal(network(x), expected)
    assert network(x).requires_grad
    torch.testing.assert_close(network(x).detach(), expected)
    assert expected.shape == (2, 7, 8, 8, 8)


def test_no_part_is_in_memory_with_the_features_of_another():
    network = tiny_network(WHOLE)
    alive: list[int] = []
    made: list[int] = []

    def entered(*_: object) -> None:
        made.append(len(alive))

    for part in network.parts:
        part.register_forward_pre_hook(entered)
        for layer in part.modules():
            layer.register_forward_hook(lambda _layer, _inputs, output: _watched(output, alive))
    with torch.inference_mode():
        network(torch.randn(1, 1, 8, 8, 8))
    assert made == [0, 0], "what the first part made is gone when the second starts"


def _watched(output: object, alive: list[int]) -> None:
    if isinstance(output, torch.Tensor):
        key = id(output)
        alive.append(key)
        weakref.finalize(output, lambda: alive.remove(key))


def test_patches_are_multiples_for_every_part():
    assert shrink_factor(WHOLE.kind, WHOLE.args) == (4, 4, 4)


def test_a_student_starts_from_the_first_part():
    network = tiny_network(WHOLE)
    alone = build_network(first_part(WHOLE).kind, first_part(WHOLE).args)
    alone.load_state_dict(first_part_state(network.state_dict()))
    x = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        assert torch.equal(alone.eval()(x), network(x)[:, :3])
    assert first_part(DEEPER) is DEEPER


def test_it_cannot_have_another_number_of_outputs():
    with pytest.raises(NetworkError, match="no one output layer"):
        WHOLE.with_outputs(9)


def changed(**changes):
    return {**WHOLE.args, **changes}


FIRST, SECOND = WHOLE.args["parts"]
HUGE = {**FIRST, "args": {**FIRST["args"], "features": [10**9, 8]}}
REFUSED = {
    "no parts": (changed(parts=[]), "1 to 16 networks"),
    "too many parts": (changed(parts=[FIRST] * 17), "1 to 16 networks"),
    "channels that do not add up": (changed(out_channels=8), "must add up to 8"),
    "parts in parts": (changed(parts=[{"kind": WHOLE.kind, "args": WHOLE.args}]), "must be one of"),
    "a part of huge size": (changed(parts=[HUGE, SECOND]), "'features' must be whole numbers"),
    "another input": (changed(in_channels=2), "2 in_channels"),
    "a part with a callable": (changed(parts=[{**FIRST, "of": "os.system"}, SECOND]), "nothing else"),
    "a window upside down": (
        changed(parts=[FIRST, {**SECOND, "window": {"scale": 1, "shift": 0, "low": 2, "high": 1}}]), "below its high",
    ),
    "a window of words": (
        changed(parts=[FIRST, {**SECOND, "window": {"scale": "1", "shift": 0, "low": 0, "high": 1}}]), "finite numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("args", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_before_anything_is_made(args, reason):
    with pytest.raises(NetworkError, match=reason):
        build_network(WHOLE.kind, args)
