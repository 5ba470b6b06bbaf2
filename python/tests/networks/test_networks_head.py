"""A grown head starts where its teacher stands: folded, student and teacher are the same."""

import pytest
import torch
from tiny_models import SOFTMAX_KINDS, tiny_network, tiny_spec

from organincrement.losses.alignment import fold_new_into_background
from organincrement.networks.build import build_network
from organincrement.networks.errors import NetworkError
from organincrement.networks.head import grow, grown_rows, head_parameters

OLD = 3


def image() -> torch.Tensor:
    return torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
@pytest.mark.parametrize(("new_count", "prior"), [(1, 0.0), (2, 0.02), (70, 0.5)])
def test_before_training_the_folded_student_is_the_teacher(kind, new_count, prior):
    spec = tiny_spec(1 + OLD, kind)
    teacher = tiny_network(spec, scale=3.0)
    student = grow(spec, teacher.state_dict(), range(1 + OLD), new_count, prior).eval()
    with torch.no_grad():
        expected = teacher(image()).double().log_softmax(1)
        found = fold_new_into_background(student(image()).double().log_softmax(1), OLD)
    assert expected.exp().std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("new_count", "prior", "share"),
    [(1, 0.0, 1 / 2), (3, 0.0, 1 / 4), (1, 0.02, 0.02), (4, 0.5, 1 / 5), (50, 0.02, 1 / 51)],
)
def test_each_new_organ_takes_its_share_of_the_background(new_count, prior, share):
    spec = tiny_spec(1 + OLD)
    teacher = tiny_network(spec)
    student = grow(spec, teacher.state_dict(), range(1 + OLD), new_count, prior).eval()
    with torch.no_grad():
        background, p = teacher(image()).softmax(1)[:, 0], student(image()).softmax(1)
    for organ in range(1 + OLD, 1 + OLD + new_count):
        torch.testing.assert_close(p[:, organ], share * background, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(p[:, 0], (1 - new_count * share) * background, rtol=1e-4, atol=1e-6)


def test_a_channel_that_is_not_kept_leaves_the_others_in_their_proportion():
    spec = tiny_spec(1 + OLD)
    teacher = tiny_network(spec, scale=3.0)
    student = grow(spec, teacher.state_dict(), (0, 1, 3), 1).eval()
    with torch.no_grad():
        kept = teacher(image())[:, [0, 1, 3]].log_softmax(1)
        found = fold_new_into_background(student(image()).log_softmax(1), 2)
    torch.testing.assert_close(found, kept, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", SOFTMAX_KINDS)
def test_everything_but_the_head_is_the_teachers_and_nothing_is_shared_with_it(kind):
    spec = tiny_spec(1 + OLD, kind)
    teacher = tiny_network(spec)
    student = grow(spec, teacher.state_dict(), range(1 + OLD), 2)
    head = head_parameters(spec)
    state = student.state_dict()
    assert head and all(torch.equal(state[n], w) for n, w in teacher.state_dict().items() if n not in head)
    before = {name: weight.clone() for name, weight in teacher.state_dict().items()}
    with torch.no_grad():
        for weight in student.parameters():
            weight.add_(1)
    assert all(torch.equal(before[name], weight) for name, weight in teacher.state_dict().items())
    assert all(weight.requires_grad for weight in student.parameters())


def test_without_new_organs_the_student_is_the_teacher():
    spec = tiny_spec(1 + OLD)
    teacher = tiny_network(spec)
    student = grow(spec, teacher.state_dict(), range(1 + OLD), 0, 0.02).eval()
    with torch.no_grad():
        torch.testing.assert_close(student(image()), teacher(image()))


def test_grown_rows_of_an_output_layer_have_its_shape():
    weight, bias = grown_rows(torch.randn(4, 8, 1, 1, 1), torch.randn(4), 2, 0.1)
    assert weight.shape == (6, 8, 1, 1, 1) and bias.shape == (6,)


def test_weights_of_another_network_are_refused_in_one_line():
    spec = tiny_spec(1 + OLD)
    other = build_network("PlainConvUNet", {**spec.args, "features": [8, 8]})
    with pytest.raises(NetworkError, match="weights do not fit") as caught:
        grow(spec, other.state_dict(), range(1 + OLD), 1)
    assert "\n" not in str(caught.value)


def test_an_output_layer_without_bias_is_refused_by_name():
    spec = tiny_spec(1 + OLD)
    state = {name: w for name, w in tiny_network(spec).state_dict().items() if name != "decoder.seg_layers.0.bias"}
    with pytest.raises(NetworkError, match=r"decoder\.seg_layers\.0.*no bias"):
        grow(spec, state, range(1 + OLD), 1)
