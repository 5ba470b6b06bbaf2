"""The default method on one small case: the new organ is learnt and the old ones stay, without their labels."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from tiny_models import ball, organs, tiny_spec
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.registry import METHODS
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.sizing import NetworkSpec

OLD, NEW = organs("liver", "spleen"), organs("stomach")
SHAPE = (24, 24, 24)
LIVER, SPLEEN, STOMACH = 1, 2, 3


class World(NamedTuple):
    """A scan with its true labels, the teacher that knows its old organs, and what one method made of both."""

    truth_DHW: np.ndarray
    teacher_DHW: np.ndarray
    students: dict[str, np.ndarray]


def scan() -> tuple[Tensor, np.ndarray]:
    truth = np.zeros(SHAPE, np.int64)
    for organ, centre, radius in ((LIVER, (12, 8, 7), 6), (SPLEEN, (12, 15, 18), 4), (STOMACH, (13, 18, 8), 4)):
        truth[ball(SHAPE, centre, radius)] = organ
    noise = np.random.default_rng(0).normal(0, 0.15, SHAPE)
    image = np.array([-1.0, 0.5, 1.2, 2.0])[truth] + noise
    return torch.from_numpy(image).float()[None, None], truth


def trained(method: ContinualMethod, image: Tensor, labels_DHW: np.ndarray, steps: int) -> nn.Module:
    torch.manual_seed(0)
    student = method.build_student().train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    labels = torch.from_numpy(labels_DHW)[None]
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        batch = Batch(
            image_BCDHW=image, labels_BDHW=labels, annotated_BL=torch.ones(1, 1, dtype=torch.bool), case_ids=("one",),
            generator=generator,
        )  # fmt: skip
        optimizer.zero_grad()
        method.loss(student, batch).total.backward()
        optimizer.step()
    return student.eval()


def made(name: str, old: LabelSpace, new: LabelSpace, teacher: nn.Module | None, spec: NetworkSpec) -> ContinualMethod:
    transition = LabelTransition(old, new, {})
    teachers = []
    if teacher is not None:
        teachers = [FrozenTeacher(teacher, spec, channel_of=transition.teacher_to_student, old_count=len(old))]
    return METHODS[name](
        MethodInputs(
            transition=transition,
            teachers=teachers,
            network=spec.with_outputs(1 + len(transition.student)),
            config=configure(METHODS[name].Config, {}),
            device=torch.device("cpu"),
        )
    )


@torch.no_grad()
def labels_by(network: nn.Module, image: Tensor) -> np.ndarray:
    return network(image)[0].argmax(0).numpy()


@pytest.fixture(scope="module")
def world() -> World:
    image, truth = scan()
    plain = tiny_spec(1 + len(OLD))
    spec = NetworkSpec(kind=plain.kind, args={**plain.args, "features": [8, 16]})
    old_labels = np.where(truth == STOMACH, 0, truth)
    teacher = trained(made("supervised", LabelSpace(()), OLD, None, spec), image, old_labels, steps=70)
    by_teacher = labels_by(teacher, image)
    new_labels = (truth == STOMACH).astype(np.int64)
    students = {
        name: labels_by(trained(made(name, OLD, NEW, teacher, spec), image, new_labels, steps), image)
        for name, steps in (("bla-uag", 70), ("fine-tune", 30))
    }
    return World(truth, by_teacher, students)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_the_teacher_knows_its_organs(world):
    for organ in (LIVER, SPLEEN):
        assert dice(world.teacher_DHW == organ, world.truth_DHW == organ) > 0.9


def test_the_student_learns_the_new_organ(world):
    assert dice(world.students["bla-uag"] == STOMACH, world.truth_DHW == STOMACH) > 0.8


@pytest.mark.parametrize("organ", [LIVER, SPLEEN])
def test_the_student_agrees_with_its_teacher_on_the_old_organs(world, organ):
    assert dice(world.students["bla-uag"] == organ, world.teacher_DHW == organ) > 0.8


@pytest.mark.parametrize("organ", [LIVER, SPLEEN])
def test_fine_tuning_on_the_same_scan_forgets_them(world, organ):
    assert dice(world.students["fine-tune"] == organ, world.teacher_DHW == organ) < 0.5
