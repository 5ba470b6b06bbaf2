"""The teacher answers in the student's old channels, as a constant, and tells how sure it is."""

import math

import pytest
import torch
from method_inputs import NEW, OLD, frozen, inputs_for, random_batch

from organincrement.contract.labels import LabelTransition
from organincrement.losses.alignment import fold_new_into_background
from organincrement.losses.guidance import entropy_of_mean
from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.student import student_from_teacher

PLAIN = LabelTransition(OLD, NEW, {})
MERGED = LabelTransition(OLD, NEW, {"liver": "spleen"})


def test_its_view_is_its_networks_softmax_and_its_most_probable_channel():
    teacher, image = frozen(PLAIN), random_batch().image_BCDHW
    view = teacher(image)
    with torch.no_grad():
        expected = teacher.network(image).softmax(1)
    torch.testing.assert_close(view.p_BKDHW, expected)
    assert torch.equal(view.labels_BDHW, expected.argmax(1))
    assert len(view.labels_BDHW.unique()) > 1


def test_merged_organs_are_seen_as_one_with_both_their_probabilities():
    teacher, image = frozen(MERGED), random_batch().image_BCDHW
    with torch.no_grad():
        p = teacher.network(image).softmax(1)
    assert teacher(image).p_BKDHW.shape[1] == 2
    torch.testing.assert_close(teacher(image).p_BKDHW, torch.stack([p[:, 0], p[:, 1] + p[:, 2]], 1))


def test_its_view_can_stand_in_a_loss_that_is_differentiated():
    teacher, batch = frozen(PLAIN), random_batch()
    logits = torch.zeros(2, 3, 8, 8, 8, requires_grad=True)
    view = teacher(batch.image_BCDHW)
    assert not view.log_p_BKDHW.requires_grad and not view.log_p_BKDHW.is_inference()
    (view.p_BKDHW * logits.log_softmax(1)).sum().backward()
    assert logits.grad.abs().max() > 0


def test_a_network_handed_over_in_train_mode_is_frozen_with_all_its_parts():
    network = frozen(PLAIN).network.train().requires_grad_(True)
    teacher = type(frozen(PLAIN))(network, inputs_for(BlaUag).network, channel_of=(0, 1, 2), old_count=2)
    assert not any(module.training for module in teacher.network.modules())
    assert not any(weight.requires_grad for weight in teacher.network.parameters())


@pytest.mark.parametrize("transition", [PLAIN, MERGED], ids=["plain", "merged"])
def test_its_uncertainty_lies_between_certain_and_even_and_differs_between_voxels(transition):
    teacher, batch = frozen(transition), random_batch()
    u = teacher.uncertainty(batch.image_BCDHW, 3, batch.generator)
    assert u.shape == (2, 8, 8, 8) and not u.is_inference()
    assert u.min() >= 0 and u.max() <= math.log(1 + transition.old_count) + 1e-5 and u.std() > 0.01


def test_its_uncertainty_is_the_entropy_of_the_mean_over_perturbed_copies():
    teacher, batch = frozen(PLAIN), random_batch()
    found = teacher.uncertainty(batch.image_BCDHW, 3, torch.Generator().manual_seed(8))
    from organincrement.imaging.perturbation import perturb

    generator = torch.Generator().manual_seed(8)
    copies = [teacher(perturb(batch.image_BCDHW, generator)).p_BKDHW for _ in range(3)]
    torch.testing.assert_close(found, entropy_of_mean(torch.stack(copies)))
    assert not torch.equal(copies[0], copies[1])


def test_a_student_starts_with_its_teachers_opinion_of_the_old_organs():
    inputs, image = inputs_for(BlaUag), random_batch().image_BCDHW
    for prior in (0.0, 0.02, 0.5):
        student = student_from_teacher(inputs, prior).eval()
        with torch.no_grad():
            folded = fold_new_into_background(student(image).log_softmax(1), 2)
        torch.testing.assert_close(folded, inputs.teachers[0](image).log_p_BKDHW, rtol=1e-5, atol=1e-5)


def test_a_student_of_merged_organs_starts_without_the_channel_that_is_merged_away():
    inputs, image = inputs_for(BlaUag, merges={"liver": "spleen"}), random_batch().image_BCDHW
    student = student_from_teacher(inputs, 0.02).eval()
    with torch.no_grad():
        folded = fold_new_into_background(student(image).log_softmax(1), 1)
        kept = inputs.teachers[0].network(image)[:, [0, 2]].log_softmax(1)
    torch.testing.assert_close(folded, kept, rtol=1e-5, atol=1e-5)
