"""MS-KD on scans without labels: one student of three teachers, who know an organ each, becomes as good as they are."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from single_organ_world import NUMBERS, ORGANS, SPEC, dice, made, scans, trained
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace
from organincrement.losses.mskd import feature_term, organ_region
from organincrement.methods.many_teachers import opinion_of
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.stages import StageFeatures

PATIENTS = (0, 1)
ABLATIONS = {"LW+FW": {}, "LW": {"feature_weight": 0.0}, "FW": {"logit_weight": 0.0, "organ_dice_weight": 0.0}}


class World(NamedTuple):
    """Two scans as a batch with their true labels, the teachers, and the students by what they were taught with."""

    image: Tensor
    truth_BDHW: np.ndarray
    teachers: list[FrozenTeacher]
    students: dict[str, nn.Module]


def teacher_of(number: int) -> FrozenTeacher:
    """Trained on patients of its own, with the labels of its organ alone."""
    image, truth = scans((10 * number, 10 * number + 1))
    method = made("supervised", LabelSpace(()), LabelSpace((ORGANS.organs[number - 1],)), [])
    network = trained(method, image, (truth == number).astype(np.int64), steps=50)
    return FrozenTeacher(network, SPEC, channel_of=(0, number), old_count=len(ORGANS))


@pytest.fixture(scope="module")
def world() -> World:
    image, truth = scans(PATIENTS)
    teachers = [teacher_of(number) for number in NUMBERS]
    nothing = np.full_like(truth, -1)
    students = {
        name: trained(made("ms-kd", ORGANS, LabelSpace(()), teachers, **settings), image, nothing, steps=60)
        for name, settings in ABLATIONS.items()
    }
    return World(image, truth, teachers, students)


@torch.no_grad()
def of_teachers(world: World) -> list[float]:
    """Dice of each teacher with its organ: the table's row "Individual"."""
    found = [teacher(world.image).labels_BDHW.numpy() == n for n, teacher in zip(NUMBERS, world.teachers, strict=True)]
    return [dice(mask, world.truth_BDHW == n) for n, mask in zip(NUMBERS, found, strict=True)]


@torch.no_grad()
def of_student(world: World, name: str) -> list[float]:
    labels = world.students[name](world.image).argmax(1).numpy()
    return [dice(labels == n, world.truth_BDHW == n) for n in NUMBERS]


@torch.no_grad()
def feature_distance(world: World, name: str) -> float:
    """Eq. 7, summed over the teachers."""
    with StageFeatures(world.students[name], 1) as stage:
        world.students[name](world.image)
    opinions = [opinion_of(teacher, world.image, 1) for teacher in world.teachers]
    return sum(
        float(feature_term(o.features_BFDHW, stage.features, organ_region(o.log_q_BKDHW)))  # type: ignore[arg-type]
        for o in opinions
    )


def test_the_student_knows_every_organ_as_well_as_the_teacher_who_knows_it(world):
    alone, together = of_teachers(world), of_student(world, "LW+FW")
    assert min(alone) > 0.6, "the teachers know their organs"
    assert min(together) > 0.8 and np.mean(together) > np.mean(alone) - 0.02


def test_probabilities_alone_teach_every_organ(world):
    assert min(of_student(world, "LW")) > 0.8


def test_features_alone_teach_no_organ_that_the_output_layer_does_not_know_from_its_start(world):
    first, *others = of_student(world, "FW")
    assert first > 0.8 and max(others) < 0.1


def test_with_the_feature_term_the_student_sees_as_its_teachers_do(world):
    assert feature_distance(world, "LW+FW") < 0.5 * feature_distance(world, "LW")
