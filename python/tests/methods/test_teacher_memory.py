"""A teacher that remembers: the same answers as without memory, computed once, and never another patch's."""

import pytest
import torch
from method_inputs import NEW, OLD, frozen, inputs_for, random_batch

from organincrement.contract.labels import LabelTransition
from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.teacher import FrozenTeacher
from organincrement.methods.teacher_memory import RememberedTeacher, bytes_for

PLAIN = LabelTransition(OLD, NEW, {})
PLENTY = 2**20
IMAGE, OTHER = (random_batch(seed=seed).image_BCDHW for seed in (0, 1))


def remembered(folder, most_bytes: int = PLENTY) -> RememberedTeacher:
    return RememberedTeacher(frozen(PLAIN), folder, most_bytes)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def passes(monkeypatch) -> list[int]:
    """The sizes of the batches that went through a teacher's network."""
    seen: list[int] = []
    answer = FrozenTeacher._log_p
    monkeypatch.setattr(FrozenTeacher, "_log_p", lambda self, image: seen.append(len(image)) or answer(self, image))
    return seen


def test_the_clean_answer_is_that_of_a_teacher_without_memory_at_every_visit(tmp_path):
    teacher, expected = remembered(tmp_path), frozen(PLAIN)(IMAGE).log_p_BKDHW
    for _ in range(3):
        assert torch.equal(teacher(IMAGE).log_p_BKDHW, expected)


def test_a_mini_batch_goes_through_the_network_once_and_another_one_again(tmp_path, passes):
    teacher = remembered(tmp_path)
    for image in (IMAGE, IMAGE, OTHER, IMAGE):
        teacher(image)
        teacher.uncertainty(image, 3, draws())
    assert passes == [2] * 8  # one clean pass and three copies of each of two
    assert teacher.used_bytes == 2 * bytes_for(1, 2, 2, (8, 8, 8)) == 2 * 4 * 2 * 4 * 8**3


def test_its_uncertainty_is_that_of_copies_drawn_by_what_is_in_the_image(tmp_path):
    first, again = remembered(tmp_path), remembered(tmp_path)
    u = first.uncertainty(IMAGE, 3, draws(1))
    assert torch.equal(first.uncertainty(IMAGE, 3, draws(2)), u), "the second visit was computed anew"
    assert torch.equal(again.uncertainty(IMAGE, 3, draws(3)), u), "after a resume the copies are others"
    assert not torch.equal(first.uncertainty(IMAGE, 2, draws(1)), u)
    assert u.shape == (2, 8, 8, 8) and u.min() >= 0 and u.std() > 0.01


def test_a_patch_that_differs_in_one_voxel_is_another_patch(tmp_path):
    teacher, changed = remembered(tmp_path), IMAGE.clone()
    changed[1, 0, 4, 4, 4] += 1e-3
    teacher(IMAGE)
    assert torch.equal(teacher(changed).log_p_BKDHW, frozen(PLAIN)(changed).log_p_BKDHW)


def test_it_keeps_to_its_disk_budget_and_still_answers_beyond_it(tmp_path, passes):
    teacher = remembered(tmp_path, most_bytes=bytes_for(1, 2, 2, (8, 8, 8)))
    for _ in range(2):
        for image in (IMAGE, OTHER):
            teacher(image)
            teacher.uncertainty(image, 1, draws())
    assert teacher.used_bytes == bytes_for(1, 2, 2, (8, 8, 8))
    assert passes == [2] * 6  # twice for the first, four times for the one there was no room for


def test_nothing_of_the_patients_is_left_in_the_folder(tmp_path):
    teacher = remembered(tmp_path)
    teacher(IMAGE)
    assert not list(tmp_path.iterdir()) and teacher.used_bytes > 0


def test_a_loss_is_the_same_from_memory_as_it_was_when_it_was_computed(tmp_path):
    inputs = inputs_for(BlaUag)
    inputs.teachers[0] = RememberedTeacher(inputs.teachers[0], tmp_path, PLENTY)
    method, batch = BlaUag(inputs), random_batch()
    student = method.build_student()
    first, second = (method.loss(student, batch).values() for _ in range(2))
    assert first == second and first["distillation"] > 0
    method.loss(student, batch).total.backward()
    assert max(float(weight.grad.abs().max()) for weight in student.parameters() if weight.grad is not None) > 0
