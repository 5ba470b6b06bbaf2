"""Losses at their edges: certain networks, unlabelled voxels, organs that are not there, half precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from organincrement.losses.bla_uag import bla_uag_terms
from organincrement.losses.divergence import (
    UNLABELLED,
    cross_entropy,
    kl_divergence,
    mean_over,
    soft_cross_entropy,
)
from organincrement.losses.guidance import entropy, entropy_of_mean, guidance_weight
from organincrement.losses.mib import unbiased_cross_entropy, unbiased_distillation
from organincrement.losses.overlap import soft_dice_loss, soft_dice_of
from organincrement.losses.smoothing import smooth_labels, smoothed_kl

OLD, NEW = 2, 2
SHAPE = (2, 3, 4, 5)
Loss = Callable[[Tensor, Tensor], Tensor]


def student_logits(scale: float) -> Tensor:
    torch.manual_seed(1)
    return (scale * torch.randn(2, 1 + OLD + NEW, *SHAPE[1:])).requires_grad_()


def teacher_log_p(scale: float) -> Tensor:
    torch.manual_seed(2)
    return (scale * torch.randn(2, 1 + OLD, *SHAPE[1:])).log_softmax(1)


def some_labels(known_share: float = 0.7) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 1 + NEW, SHAPE, generator=generator)
    labels[torch.rand(SHAPE, generator=generator) > known_share] = UNLABELLED
    return labels


def bla_uag(direction: str, smoothing: float) -> Loss:
    def loss(log_p: Tensor, labels: Tensor) -> Tensor:
        teacher = teacher_log_p(50.0)
        weight = guidance_weight(entropy(teacher.exp()), 1 + OLD, "offset")
        return sum(bla_uag_terms(log_p, teacher, weight, labels, smoothing=smoothing, direction=direction))

    return loss


LOSSES: dict[str, Loss] = {
    "bla-uag-reverse": bla_uag("reverse", 0.3),
    "bla-uag-forward": bla_uag("forward", 0.1),
    "bla-uag-hard": bla_uag("forward", 0.0),
    "mib-labels": lambda log_p, labels: unbiased_cross_entropy(labels, log_p, OLD),
    "mib-teacher": lambda log_p, labels: unbiased_distillation(teacher_log_p(50.0).exp(), log_p),
    "cross-entropy": lambda log_p, labels: mean_over(cross_entropy(labels, log_p), labels != UNLABELLED),
    "soft-dice": lambda log_p, labels: soft_dice_loss(labels, log_p.exp()),
    "kl": lambda log_p, labels: kl_divergence(log_p, log_p.detach().flip(1)).mean(),
}
OF_LABELS_ONLY = {
    "mib-labels": LOSSES["mib-labels"],
    "cross-entropy": LOSSES["cross-entropy"],
    "soft-dice": LOSSES["soft-dice"],
    "smoothed-reverse": lambda log_p, labels: smoothed_kl(labels, log_p[:, : 1 + NEW], 0.3, "reverse"),
    "smoothed-forward": lambda log_p, labels: smoothed_kl(labels, log_p[:, : 1 + NEW], 0.0, "forward"),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 10_000.0])
def test_loss_and_gradient_are_finite_however_certain_the_network_is(name, scale):
    logits = student_logits(scale)
    loss = LOSSES[name](logits.log_softmax(1), some_labels())
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", OF_LABELS_ONLY)
def test_an_unlabelled_voxel_has_no_gradient_and_a_labelled_one_has(name):
    logits, labels = student_logits(1.0), some_labels()
    OF_LABELS_ONLY[name](logits.log_softmax(1), labels).backward()
    size_BDHW = logits.grad.abs().amax(1)
    assert size_BDHW[labels == UNLABELLED].max() == 0
    assert (size_BDHW[labels != UNLABELLED] > 0).float().mean() > 0.95


@pytest.mark.parametrize("name", OF_LABELS_ONLY)
def test_where_nothing_is_labelled_loss_and_gradient_are_0(name):
    logits = student_logits(5.0)
    loss = OF_LABELS_ONLY[name](logits.log_softmax(1), torch.full(SHAPE, UNLABELLED))
    loss.backward()
    assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("name", OF_LABELS_ONLY)
def test_what_an_unlabelled_voxel_holds_does_not_change_the_loss(name):
    logits, labels = student_logits(1.0).detach(), some_labels()
    changed = torch.where((labels == UNLABELLED).unsqueeze(1), 7 * logits + 3, logits)
    before, after = (OF_LABELS_ONLY[name](x.log_softmax(1), labels) for x in (logits, changed))
    torch.testing.assert_close(before, after)


def test_the_mean_over_an_empty_mask_is_0_even_where_the_values_are_infinite():
    values = torch.full(SHAPE, torch.inf, requires_grad=True)
    mean = mean_over(values, torch.zeros(SHAPE, dtype=torch.bool))
    mean.backward()
    assert mean.item() == 0 and not values.grad.any()


def test_soft_dice_of_an_organ_that_nobody_has_is_no_loss_and_of_a_spurious_one_is():
    labels = torch.zeros(SHAPE, dtype=torch.long)
    p = torch.zeros(2, 3, *SHAPE[1:])
    p[:, 0] = 1
    assert soft_dice_loss(labels, p).item() == pytest.approx(0)
    p[:, 0], p[:, 1] = 0.0, 1.0
    voxels = labels.numel()
    assert soft_dice_loss(labels, p).item() == pytest.approx((1 - 1 / (voxels + 1)) / 2)


def test_soft_dice_is_0_for_the_labels_themselves_and_counts_only_channels_asked_for():
    labels = some_labels(known_share=1.1)
    p = torch.nn.functional.one_hot(labels, 1 + NEW).movedim(-1, 1).float()
    assert soft_dice_loss(labels, p).item() == pytest.approx(0)
    wrong_first = p.clone()
    wrong_first[:, 1] = 0
    assert soft_dice_loss(labels, wrong_first, channel_from=2).item() == pytest.approx(0)
    assert soft_dice_loss(labels, wrong_first).item() > 0.4


def test_soft_dice_takes_the_batch_as_one_image():
    labels, p = some_labels(), student_logits(2.0).detach().softmax(1)
    halves = soft_dice_loss(labels, p)
    side_by_side = soft_dice_loss(torch.cat(labels.split(1), 1), torch.cat(p.split(1), 2))
    torch.testing.assert_close(halves, side_by_side)


def test_the_same_soft_maps_overlap_less_than_fully_unless_they_are_certain():
    p = student_logits(1.0).detach().softmax(1)
    assert soft_dice_of(p, p).item() > 0.1
    certain = (p > 0.5).float()
    assert soft_dice_of(certain, certain).item() == pytest.approx(0)


def test_divergence_of_a_distribution_from_itself_is_0_and_of_others_is_not():
    log_p = student_logits(3.0).detach().log_softmax(1)
    assert kl_divergence(log_p, log_p).abs().max() == 0
    assert kl_divergence(log_p, log_p.flip(1)).min() > 0


def test_cross_entropy_of_soft_labels_is_their_entropy_and_divergence():
    log_p, log_q = (student_logits(2.0).detach().double().roll(shift, 1).log_softmax(1) for shift in (0, 1))
    torch.testing.assert_close(
        soft_cross_entropy(log_p.exp(), log_q), entropy(log_p.exp()) + kl_divergence(log_p, log_q)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothed_labels_sum_to_one_where_labelled_and_to_zero_elsewhere(smoothing):
    labels = some_labels()
    smoothed = smooth_labels(labels, NEW, smoothing)
    torch.testing.assert_close(smoothed.sum(1), (labels != UNLABELLED).float())
    known = labels != UNLABELLED
    assert torch.equal(smoothed.argmax(1)[known], labels[known])


def test_the_reverse_direction_without_smoothing_is_refused():
    with pytest.raises(ValueError, match="smoothing > 0"):
        smoothed_kl(some_labels(), student_logits(1.0).log_softmax(1)[:, : 1 + NEW], 0.0, "reverse")


def test_entropy_lies_between_0_and_the_logarithm_of_the_channels():
    even = torch.full((1, 4, 1, 1, 1), 0.25)
    certain = torch.tensor([1.0, 0, 0, 0]).reshape(1, 4, 1, 1, 1)
    assert entropy(even).item() == pytest.approx(torch.log(torch.tensor(4.0)).item())
    assert entropy(certain).item() == 0
    two_certain_ones_that_disagree = torch.stack([certain, certain.flip(1)])
    assert entropy_of_mean(two_certain_ones_that_disagree).item() == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize("mode", ["paper", "inverse", "exp", "none", "relative", "offset"])
def test_guidance_is_a_finite_constant_never_below_0_even_for_a_certain_teacher(mode):
    u = torch.zeros(SHAPE, requires_grad=True)
    weight = guidance_weight(u, 3, mode)
    assert torch.isfinite(weight).all() and weight.min() >= 0 and not weight.requires_grad
    wavering = guidance_weight(torch.linspace(0, 1.0986, 120).reshape(SHAPE), 3, mode)
    rises = {"paper": 1, "relative": 1, "offset": 1, "inverse": -1, "exp": -1, "none": 0}[mode]
    assert torch.equal(wavering.flatten().diff().sign().unique(), torch.tensor([float(rises)]))


def test_relative_guidance_has_mean_one():
    assert guidance_weight(torch.rand(SHAPE) * 0.01, 3, "relative").mean().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_under_autocast_a_loss_of_bfloat16_logits_is_near_that_of_float32(name):
    labels, exact = some_labels(), student_logits(2.0)
    expected = LOSSES[name](exact.log_softmax(1), labels)
    expected.backward()
    rough = exact.detach().clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = LOSSES[name](rough.to(torch.bfloat16).float().log_softmax(1), labels)
    found.backward()
    assert found.dtype == torch.float32 and torch.isfinite(rough.grad).all()
    assert found.item() == pytest.approx(expected.item(), rel=0.02)
    assert torch.nn.functional.cosine_similarity(rough.grad.flatten(), exact.grad.flatten(), dim=0) > 0.99
