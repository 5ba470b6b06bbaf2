"""MS-KD on scans without labels: one student of three teachers, who know an organ each, becomes as good as they are."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from ball_world import CONTRAST, NEW, OLD, dice
from tiny_models import ball, tiny_spec
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.losses.mskd import feature_term, organ_region
from organincrement.methods.many_teachers import opinion_of
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.registry import METHODS
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.sizing import NetworkSpec
from organincrement.networks.stages import StageFeatures

ORGANS = LabelSpace((*OLD.organs, *NEW.organs))
NUMBERS = tuple(range(1, 1 + len(ORGANS)))
SHAPE, PATIENTS = (12, 16, 16), (0, 1)
PLACES = {1: ((6, 5, 5), 4.5), 2: ((6, 10, 11), 3.5), 3: ((6, 12, 4), 3)}
PLAIN = tiny_spec(2)
SPEC = NetworkSpec(kind=PLAIN.kind, args={**PLAIN.args, "features": [8, 16]})
ABLATIONS = {"LW+FW": {}, "LW": {"feature_weight": 0.0}, "FW": {"logit_weight": 0.0, "organ_dice_weight": 0.0}}


class World(NamedTuple):
    """Two scans as a batch with their true labels, the teachers, and the students by what they were taught with."""

    image: Tensor
    truth_BDHW: np.ndarray
    teachers: list[FrozenTeacher]
    students: dict[str, nn.Module]


def scans(patients: tuple[int, ...]) -> tuple[Tensor, np.ndarray]:
    images, truths = [], []
    for patient in patients:
        rng = np.random.default_rng(patient)
        truth = np.zeros(SHAPE, np.int64)
        for organ, (centre, radius) in PLACES.items():
            truth[ball(SHAPE, centre + rng.uniform(-1, 1, 3), radius)] = organ
        images.append(CONTRAST[truth] + rng.normal(0, 0.15, SHAPE))
        truths.append(truth)
    return torch.from_numpy(np.stack(images)).float()[:, None], np.stack(truths)


def made(
    name: str, old: LabelSpace, new: LabelSpace, teachers: list[FrozenTeacher], **settings: object
) -> ContinualMethod:
    inputs = MethodInputs(
        transition=LabelTransition(old, new, {}), teachers=teachers, network=SPEC.with_outputs(1 + len(old) + len(new)),
        config=configure(METHODS[name].Config, settings), device=torch.device("cpu"),
    )  # fmt: skip
    return METHODS[name](inputs)


def trained(method: ContinualMethod, image: Tensor, labels_BDHW: np.ndarray, steps: int) -> nn.Module:
    torch.manual_seed(0)
    student = method.build_student().train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    labels = torch.from_numpy(labels_BDHW)
    annotated = (labels >= 0).flatten(1).any(1)[:, None].expand(-1, len(method.inputs.organs))
    for step in range(steps):
        batch = Batch(
            image_BCDHW=image, labels_BDHW=labels, annotated_BL=annotated, case_ids=("one",) * len(image),
            generator=torch.Generator().manual_seed(step), step=step,
        )  # fmt: skip
        optimizer.zero_grad()
        method.loss(student, batch).total.backward()
        optimizer.step()
    return student.eval()


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
