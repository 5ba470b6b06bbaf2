"""Organs that are balls: an old and a new scan, in the old or in another contrast, and a teacher of the old one."""

from typing import NamedTuple

import numpy as np
import torch
from tiny_models import ball, organs, tiny_manifest, tiny_spec
from torch import Tensor, nn

from organincrement.contract.channels import channel_count
from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.inference.readout import Readout
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.registry import METHODS
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.sizing import NetworkSpec

OLD, NEW = organs("liver", "spleen"), organs("stomach")
SHAPE = (14, 24, 24)
LIVER, SPLEEN, STOMACH = 1, 2, 3
CONTRAST = np.array([-1.0, 0.5, 1.2, 2.0])
OTHER_CONTRAST = np.array([1.0, -0.2, -0.8, -1.6])
_PLACES = (
    ((LIVER, (7, 8, 7), 6), (SPLEEN, (7, 15, 18), 4), (STOMACH, (8, 18, 8), 4)),
    ((LIVER, (6, 9, 8), 6), (SPLEEN, (8, 16, 17), 4), (STOMACH, (7, 17, 7), 4)),
    ((LIVER, (8, 8, 8), 5), (SPLEEN, (6, 14, 18), 5), (STOMACH, (8, 18, 9), 4)),
)


class Scan(NamedTuple):
    """image: (1, 1, *SHAPE). truth_DHW: all organs."""

    image: Tensor
    truth_DHW: np.ndarray


def scan(patient: int, contrast: np.ndarray = CONTRAST) -> Scan:
    """One of three patients."""
    truth = np.zeros(SHAPE, np.int64)
    for organ, centre, radius in _PLACES[patient]:
        truth[ball(SHAPE, centre, radius)] = organ
    image = contrast[truth] + np.random.default_rng(patient).normal(0, 0.15, SHAPE)
    return Scan(torch.from_numpy(image).float()[None, None], truth)


def method_for(name: str, teacher: nn.Module | None, spec: NetworkSpec, **settings: object) -> ContinualMethod:
    """The method with its defaults but for the settings; without a teacher it learns the old organs."""
    transition = LabelTransition(OLD, NEW, {}) if teacher else LabelTransition(LabelSpace(()), OLD, {})
    teachers = []
    if teacher is not None:
        teachers = [FrozenTeacher(teacher, spec, channel_of=transition.teacher_to_student, old_count=len(OLD))]
    manifests = [tiny_manifest(OLD, spec)] if teacher else []
    head = METHODS[name].plan_head(transition, manifests)
    return METHODS[name](
        MethodInputs(
            transition=transition, teachers=teachers, config=configure(METHODS[name].Config, settings), head=head,
            network=spec.with_outputs(channel_count(head, transition.student)), device=torch.device("cpu"),
        )
    )  # fmt: skip


def batch_of(image: Tensor, labels_DHW: np.ndarray, step: int, exemplar: bool = False) -> Batch:
    """One scan as a batch."""
    return Batch(
        image_BCDHW=image, labels_BDHW=torch.from_numpy(labels_DHW)[None],
        annotated_BL=torch.full((1, 1), not exemplar), case_ids=("one",),
        generator=torch.Generator().manual_seed(step), exemplar=exemplar, step=step,
    )  # fmt: skip


def trained(
    method: ContinualMethod, image: Tensor, labels_DHW: np.ndarray, steps: int, exemplar: Tensor | None = None
) -> nn.Module:
    """The student after some steps of AdamW; with an exemplar, every second batch is that."""
    torch.manual_seed(0)
    student = method.build_student().train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    unlabelled = np.full(SHAPE, -1, np.int64)
    for step in range(steps):
        batch = batch_of(image, labels_DHW, step)
        if exemplar is not None and step % 2:
            batch = batch_of(exemplar, unlabelled, step, exemplar=True)
        optimizer.zero_grad()
        method.loss(student, batch).total.backward()
        optimizer.step()
    return student.eval()


def trained_teacher() -> tuple[nn.Module, NetworkSpec]:
    """A softmax over liver and spleen, learned on the first patient."""
    plain = tiny_spec(1 + len(OLD))
    spec = NetworkSpec(kind=plain.kind, args={**plain.args, "features": [8, 16]})
    old = scan(0)
    labels = np.where(old.truth_DHW == STOMACH, 0, old.truth_DHW)
    return trained(method_for("supervised", None, spec), old.image, labels, steps=75), spec


@torch.no_grad()
def labels_by(network: nn.Module, image: Tensor, method: ContinualMethod) -> np.ndarray:
    """What the network says, whatever its head."""
    return Readout.of(method.inputs.head, method.inputs.organs).labels(network(image)[0]).numpy()


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Of two masks."""
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())
