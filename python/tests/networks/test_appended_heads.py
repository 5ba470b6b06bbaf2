"""Further rows of the output layer, for heads that come later."""

import pytest
import torch
from tiny_models import tiny_network, tiny_spec

from organincrement.networks.build import NETWORKS, build_network
from organincrement.networks.errors import NetworkError
from organincrement.networks.head import append, head_parameters, output_layer

KINDS = pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet"])
IMAGE = torch.randn(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))


@KINDS
@torch.no_grad()
def test_copied_rows_say_what_they_said_and_fresh_ones_something_else(kind):
    assert kind in NETWORKS
    spec = tiny_spec(3, kind)
    teacher = tiny_network(spec)
    torch.manual_seed(5)
    student = append(spec, teacher.state_dict(), (0, 2), 3).eval()
    logits, theirs = student(IMAGE), teacher(IMAGE)
    assert logits.shape[1] == 5
    torch.testing.assert_close(logits[:, :2], theirs[:, [0, 2]], rtol=1e-4, atol=1e-5)
    assert (logits[:, 2:] - theirs[:, :1]).abs().max() > 0.01
    torch.manual_seed(5)
    again = append(spec, teacher.state_dict(), (0, 2), 3).eval()
    assert all(torch.equal(a, b) for a, b in zip(student.parameters(), again.parameters(), strict=True))


@KINDS
def test_the_output_layer_is_the_one_whose_rows_are_the_channels(kind):
    spec = tiny_spec(3, kind)
    name = output_layer(spec)
    network = build_network(spec.kind, spec.args)
    assert f"{name}.weight" in head_parameters(spec)
    seen = []
    network.get_submodule(name).register_forward_hook(lambda layer, given, output: seen.append(output))
    with torch.no_grad():
        assert torch.equal(network(IMAGE), seen[0])


def test_weights_of_another_network_are_refused_in_one_line():
    state = tiny_network(tiny_spec(3, "DynUNet")).state_dict()
    with pytest.raises(NetworkError, match="do not fit the network") as refused:
        append(tiny_spec(3), state, (0, 1, 2), 2)
    assert "\n" not in str(refused.value)
