"""Self-training: as it was without old data; with it, true labels where there are any, and the new organ left open."""

import pytest
import torch
from method_inputs import inputs_for

from organincrement.losses.divergence import UNLABELLED
from organincrement.methods.labelled import labelled_terms
from organincrement.methods.protocol import Batch
from organincrement.methods.self_training import SelfTraining

LIVER, SPLEEN, STOMACH = 1, 2, 3
NEW_SCAN, OLD_SCAN = [False, False, True], [True, True, False]


def method(**settings) -> SelfTraining:
    return SelfTraining(inputs_for(SelfTraining, settings))


def batch_of(labels_BDHW: torch.Tensor, annotated: list[list[bool]]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    return Batch(
        image_BCDHW=torch.randn(len(labels_BDHW), 1, 8, 8, 8, generator=generator), labels_BDHW=labels_BDHW,
        annotated_BL=torch.tensor(annotated), case_ids=("a", "b"), generator=generator,
    )  # fmt: skip


def random_labels(choices: list[int]) -> torch.Tensor:
    drawn = torch.randint(0, len(choices), (2, 8, 8, 8), generator=torch.Generator().manual_seed(1))
    return torch.tensor(choices)[drawn]


def outputs(made: SelfTraining, batch: Batch) -> tuple[torch.nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    student = made.build_student()
    return student, student(batch.image_BCDHW).float().log_softmax(1)


def test_without_old_data_the_loss_is_that_of_the_completed_labels():
    made = method()
    batch = batch_of(random_labels([0, 0, STOMACH, UNLABELLED]), [NEW_SCAN] * 2)
    student, log_p = outputs(made, batch)
    said = made.teacher(batch.image_BCDHW).labels_BDHW
    completed = torch.where((batch.labels_BDHW == 0) & (said > 0), said, batch.labels_BDHW)
    expected = {name: float(term.detach()) for name, term in labelled_terms(completed, log_p, 1.0).items()}
    assert {0, LIVER, SPLEEN} <= set(said.unique().tolist())
    assert made.loss(student, batch).values() == expected


def test_the_background_of_an_old_scan_may_be_the_new_organ():
    made = method(dice_weight=0.0)
    batch = batch_of(torch.zeros(2, 8, 8, 8, dtype=torch.long), [OLD_SCAN] * 2)
    student, log_p = outputs(made, batch)
    expected = -(log_p[:, 0].exp() + log_p[:, STOMACH].exp()).log().mean()
    assert made.loss(student, batch).values() == {"cross_entropy": pytest.approx(float(expected.detach()), rel=1e-5)}


def test_the_teacher_does_not_overrule_the_labels_of_an_old_scan():
    made = method()
    batch = batch_of(random_labels([0, LIVER, SPLEEN]), [OLD_SCAN] * 2)
    assert torch.equal(made._filled(batch), batch.labels_BDHW)


def test_the_teacher_does_not_fill_what_nobody_labelled_as_beyond_the_scan():
    made = method()
    batch = batch_of(torch.full((2, 8, 8, 8), UNLABELLED), [NEW_SCAN] * 2)
    assert bool((made.teacher(batch.image_BCDHW).labels_BDHW > 0).any())
    assert torch.equal(made._filled(batch), batch.labels_BDHW)


def test_the_teacher_fills_an_old_organ_that_nobody_looked_for_on_an_old_scan():
    made = method()
    batch = batch_of(random_labels([0, 0, LIVER]), [[True, False, False]] * 2)
    said, filled = made.teacher(batch.image_BCDHW).labels_BDHW, made._filled(batch)
    free = batch.labels_BDHW == 0
    assert torch.equal(filled == SPLEEN, free & (said == SPLEEN)) and bool((filled == SPLEEN).any())
    assert torch.equal(filled == LIVER, batch.labels_BDHW == LIVER)


def test_an_old_scan_does_not_push_the_new_organ_down():
    made = method()
    batch = batch_of(torch.zeros(2, 8, 8, 8, dtype=torch.long), [OLD_SCAN] * 2)
    student = made.build_student()
    logits = student(batch.image_BCDHW).detach().requires_grad_()
    made.loss(lambda image: logits, batch).total.backward()
    assert logits.grad is not None
    # the gradient of -log(p_0 + p_new): both rise, in proportion to their probabilities
    assert bool((logits.grad[:, [0, STOMACH]] < 0).all()) and bool((logits.grad[:, [LIVER, SPLEEN]] > 0).all())


def test_the_new_organ_is_learned_from_new_scans_beside_old_ones():
    made = method()
    image_BDHW = batch_of(random_labels([0]), [NEW_SCAN, OLD_SCAN]).image_BCDHW[:, 0]
    bright = image_BDHW > 0
    labels = torch.stack([torch.where(bright[0], STOMACH, 0), torch.where(bright[1], 0, LIVER)])
    batch = batch_of(labels, [NEW_SCAN, OLD_SCAN])
    student = made.build_student().train()
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        made.loss(student, batch).total.backward()
        optimizer.step()
    found = student(batch.image_BCDHW).argmax(1)
    assert (found[0] == STOMACH)[bright[0]].float().mean() > 0.8
    assert (found[1] == LIVER)[~bright[1]].float().mean() > 0.8
