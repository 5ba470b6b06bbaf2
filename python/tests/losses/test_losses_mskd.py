"""MS-KD beyond its paper: teachers of several organs or of shared ones, labels in a teacher's place, volumes."""

import math

import pytest
import torch

from organincrement.losses import mskd
from organincrement.losses.alignment import group_channels


def random_log_q(*shape: int, seed: int = 0) -> torch.Tensor:
    logits = 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return logits.log_softmax(1)


def teacher(organs: tuple[int, ...], count: int, seed: int = 0) -> torch.Tensor:
    """log q_hat of a teacher of these organs, in 1 + count channels."""
    return group_channels(random_log_q(2, 1 + len(organs), 2, 4, 6, seed=seed), (0, *organs), 1 + count)


def test_a_teacher_of_two_organs_is_believed_where_it_sees_either():
    log_q = teacher((1, 3), 3)
    p = log_q.exp()
    assert torch.equal(mskd.organ_region(log_q), (p[:, 1] > p[:, 0]) | (p[:, 3] > p[:, 0]))
    assert bool((p[:, 2] == 0).all())


def test_two_teachers_of_one_organ_are_averaged_in_the_background_and_both_count_in_their_regions():
    pair = [teacher((1,), 2, seed=seed) for seed in (1, 2)]
    torch.testing.assert_close(mskd.mean_teacher(pair).exp(), (pair[0].exp() + pair[1].exp()) / 2)
    regions = [mskd.organ_region(one) for one in pair]
    assert bool((regions[0] & regions[1]).any())
    assert torch.equal(mskd.background_region(regions), ~(regions[0] | regions[1]))


def test_an_organ_that_no_teacher_knows_stays_impossible_and_leaves_the_gradient_finite():
    log_q, z = [teacher((1,), 3), teacher((2,), 3, seed=1)], torch.randn(2, 4, 2, 4, 6, requires_grad=True)
    mean = mskd.mean_teacher(log_q)
    assert bool((mean[:, 3] == -math.inf).all())
    mskd.logit_term(mean, z.log_softmax(1), torch.ones(2, 2, 4, 6, dtype=torch.bool)).backward()
    assert z.grad is not None and bool(z.grad.isfinite().all())


def test_a_student_that_says_what_its_teacher_says_has_no_loss_in_its_region():
    log_q = teacher((1,), 1)
    assert float(mskd.logit_term(log_q, log_q, mskd.organ_region(log_q))) == pytest.approx(0, abs=1e-12)


def test_features_are_compared_whatever_the_order_of_their_channels():
    features = torch.randn(2, 5, 2, 2, 3, dtype=torch.float64)
    region = torch.rand(2, 4, 4, 6) > 0.5
    assert float(mskd.feature_term(features, features[:, [3, 1, 4, 0, 2]], region)) == pytest.approx(0, abs=1e-12)
    assert float(mskd.feature_term(features, features + 0.5 * torch.randn_like(features), region)) > 1e-3


def test_the_mask_of_features_follows_the_axes_that_they_shrank():
    features, other = torch.randn(1, 4, 3, 2, 2), torch.randn(1, 4, 3, 2, 2)
    region = torch.zeros(1, 3, 4, 4, dtype=torch.bool)
    region[0, 1, 2, 0] = True
    p, q = features[0, :, 1, 1, 0].softmax(0).sort().values, other[0, :, 1, 1, 0].softmax(0).sort().values
    expected = float((p * (p / q).log()).sum()) / 12
    assert float(mskd.feature_term(features, other, region)) == pytest.approx(expected, rel=1e-5)


def test_without_an_organ_in_sight_the_feature_term_is_nothing_and_has_a_gradient_of_nothing():
    own = torch.randn(1, 4, 2, 2, 2, requires_grad=True)
    term = mskd.feature_term(torch.randn(1, 4, 2, 2, 2), own, torch.zeros(1, 4, 4, 4, dtype=torch.bool))
    term.backward()
    assert term.item() == 0 and own.grad is not None and bool((own.grad == 0).all())


def test_labels_take_a_teachers_place_in_samples_that_were_searched_for_its_organs():
    log_q = teacher((2,), 3)
    labels = torch.randint(-1, 4, (2, 2, 4, 6), generator=torch.Generator().manual_seed(3))
    searched = torch.tensor([[True, True, False], [True, False, True]])
    found = mskd.labelled_teacher(log_q, labels, (2,), searched)
    known = labels[0] >= 0
    assert torch.equal(mskd.organ_region(found)[0][known], (labels[0] == 2)[known])
    assert torch.equal(found[0][:, known].exp().sum(0), torch.ones(int(known.sum()), dtype=torch.float64))
    assert torch.equal(found[0][:, ~known], log_q[0][:, ~known]) and torch.equal(found[1], log_q[1])
