"""What a student's probabilities become when its organs are folded, in the log domain."""

import pytest
import torch

from organincrement.losses.alignment import fold_new_into_background, fold_old_into_background, group_channels

OLD, NEW = 3, 2


def log_p(scale: float = 1.0) -> torch.Tensor:
    torch.manual_seed(0)
    return (scale * torch.randn(2, 1 + OLD + NEW, 3, 4, 5, dtype=torch.float64)).log_softmax(1)


@pytest.mark.parametrize(
    ("fold", "channels"), [(fold_new_into_background, 1 + OLD), (fold_old_into_background, 1 + NEW)]
)
def test_folded_probabilities_still_sum_to_one(fold, channels):
    folded = fold(log_p(), OLD)
    assert folded.shape == (2, channels, 3, 4, 5)
    torch.testing.assert_close(folded.exp().sum(1), torch.ones(2, 3, 4, 5, dtype=torch.float64))


def test_each_side_keeps_its_own_organs_and_sees_the_others_as_background():
    p = log_p().exp()
    as_teacher, as_labels = (fold(log_p(), OLD).exp() for fold in (fold_new_into_background, fold_old_into_background))
    torch.testing.assert_close(as_teacher[:, 1:], p[:, 1 : 1 + OLD])
    torch.testing.assert_close(as_teacher[:, 0], p[:, 0] + p[:, 1 + OLD :].sum(1))
    torch.testing.assert_close(as_labels[:, 1:], p[:, 1 + OLD :])
    torch.testing.assert_close(as_labels[:, 0], p[:, : 1 + OLD].sum(1))


def test_without_new_organs_the_teachers_view_is_the_student_itself():
    torch.testing.assert_close(fold_new_into_background(log_p(), OLD + NEW), log_p())


@pytest.mark.parametrize("fold", [fold_new_into_background, fold_old_into_background])
def test_probabilities_that_underflow_keep_their_logarithm_and_their_gradient(fold):
    logits = torch.zeros(1, 1 + OLD + NEW, 1, 1, 1)
    logits[:, 1], logits[:, -1] = 300.0, 200.0  # softmax in float32: exactly 1 and exactly 0
    logits.requires_grad_()
    folded = fold(logits.log_softmax(1), OLD)
    assert torch.isfinite(folded).all()
    lowest = folded.flatten().min()
    assert lowest.item() <= -100.0
    lowest.backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().max() > 0.1


def test_channels_that_count_as_one_organ_are_summed():
    p = log_p()
    grouped = group_channels(p, (0, 2, 1, 2, 0, 1), 3).exp()
    expected = torch.stack([p.exp()[:, [0, 4]].sum(1), p.exp()[:, [2, 5]].sum(1), p.exp()[:, [1, 3]].sum(1)], 1)
    torch.testing.assert_close(grouped, expected)


def test_channels_that_are_not_merged_are_passed_on_as_they_are():
    p = log_p()
    assert group_channels(p, tuple(range(1 + OLD + NEW)), 1 + OLD + NEW) is p
    swapped = group_channels(p, (0, 2, 1, 3, 4, 5), 1 + OLD + NEW)
    torch.testing.assert_close(swapped, p[:, [0, 2, 1, 3, 4, 5]])
