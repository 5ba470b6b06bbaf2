"""Co-training: the other network is asked of what the labels leave open, and of nothing else."""

import pytest
import torch

from organincrement.losses.co_training import co_dice_term, co_teaching_term, open_voxels, soft_targets

ANNOTATED = torch.tensor([[True, False, False], [True, True, True]])


def log_q(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 4, 3, 3, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log_softmax(1)


def labels_of(value: int) -> torch.Tensor:
    return torch.full((2, 3, 3, 3), value)


def test_where_an_organ_was_looked_for_and_not_found_the_other_cannot_say_it_is_there():
    p, q = soft_targets(log_q(), labels_of(0), ANNOTATED).exp(), log_q().exp()
    torch.testing.assert_close(p.sum(1), torch.ones(2, 3, 3, 3, dtype=torch.float64))
    assert bool((p[0, 1] == 0).all()) and bool((p[1, 1:] == 0).all())
    torch.testing.assert_close(p[0, 2] / p[0, 0], q[0, 2] / q[0, 0])


def test_where_nobody_looked_the_other_is_taken_as_it_is():
    assert torch.equal(soft_targets(log_q(), labels_of(-1), ANNOTATED), log_q())


def test_labels_leave_open_what_they_do_not_say():
    assert open_voxels(labels_of(0), ANNOTATED)[0].all() and not open_voxels(labels_of(0), ANNOTATED)[1].any()
    assert not open_voxels(labels_of(1), ANNOTATED).any()
    assert open_voxels(labels_of(-1), torch.zeros_like(ANNOTATED)).all(), "nobody looked at the whole scan"


def test_beyond_a_scan_that_has_labels_the_two_do_not_confirm_each_other():
    labels = labels_of(0)
    labels[:, :, -1] = -1  # a patch larger than the scan, or what a rotation brought in
    beyond = open_voxels(labels, ANNOTATED)
    assert not beyond[:, :, -1].any() and beyond[0, :, :-1].all()
    z = torch.randn(2, 4, 3, 3, 3, requires_grad=True)
    log_p, log_t = z.log_softmax(1), soft_targets(log_q().float(), labels, ANNOTATED)
    (co_teaching_term(log_t, log_p, beyond) + co_dice_term(log_t, log_p, beyond, ANNOTATED)).backward()
    assert z.grad is not None and bool((z.grad[:, :, :, -1] == 0).all()) and bool((z.grad[0, :, :, :-1] != 0).any())


def test_agreement_costs_nothing_and_everything_labelled_is_defined():
    labels, target = labels_of(0), soft_targets(log_q(), labels_of(0), ANNOTATED)
    everywhere = open_voxels(labels, ANNOTATED)
    assert float(co_teaching_term(target, target, everywhere)) == pytest.approx(0, abs=1e-12)
    z = torch.randn(2, 4, 3, 3, 3, requires_grad=True)
    nowhere = torch.zeros_like(everywhere)
    terms = (
        co_teaching_term(target.float(), z.log_softmax(1), nowhere),
        co_dice_term(target.float(), z.log_softmax(1), nowhere, ANNOTATED),
    )
    assert [float(term) for term in terms] == [0.0, 0.0]
    sum(terms).backward()
    assert z.grad is not None and bool((z.grad == 0).all())


def test_the_dice_of_the_open_organs_falls_as_the_student_comes_to_agree():
    everywhere, target = open_voxels(labels_of(0), ANNOTATED), soft_targets(log_q(), labels_of(0), ANNOTATED)
    same, other = (co_dice_term(target, one, everywhere, ANNOTATED) for one in (target, log_q(seed=9)))
    assert float(same) < float(other)
