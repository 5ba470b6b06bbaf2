"""Scans of three organs that are balls, for methods that learn them from models or labels of one organ each."""

import numpy as np
import torch
from tiny_models import ball, organs, tiny_spec
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.registry import METHODS
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.sizing import NetworkSpec

ORGANS = organs("liver", "spleen", "stomach")
NUMBERS = tuple(range(1, 1 + len(ORGANS)))
CONTRAST = np.array([-1.0, 0.5, 1.2, 2.0])
SHAPE = (12, 16, 16)
PLACES = {1: ((6, 5, 5), 4.5), 2: ((6, 10, 11), 3.5), 3: ((6, 12, 4), 3)}
PLAIN = tiny_spec(2)
SPEC = NetworkSpec(kind=PLAIN.kind, args={**PLAIN.args, "features": [8, 16]})


def scans(patients: tuple[int, ...]) -> tuple[Tensor, np.ndarray]:
    """A batch of patients, (B, 1, *SHAPE), and their true labels."""
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
    """A method whose teachers know `old`."""
    inputs = MethodInputs(
        transition=LabelTransition(old, new, {}), teachers=teachers, network=SPEC.with_outputs(1 + len(old) + len(new)),
        config=configure(METHODS[name].Config, settings), device=torch.device("cpu"),
    )  # fmt: skip
    return METHODS[name](inputs)


def trained(
    method: ContinualMethod, image: Tensor, labels_BDHW: np.ndarray, steps: int, annotated_BL: Tensor | None = None
) -> nn.Module:
    """The student after some steps. Args: annotated_BL: else all organs in each sample with any label."""
    torch.manual_seed(0)
    student = method.build_student().train()
    method.freeze(student, 0)
    optimizer = torch.optim.AdamW([w for w in student.parameters() if w.requires_grad], lr=1e-2)
    labels = torch.from_numpy(labels_BDHW)
    any_BL = (labels >= 0).flatten(1).any(1)[:, None].expand(-1, len(method.inputs.organs))
    annotated = any_BL if annotated_BL is None else annotated_BL
    for step in range(steps):
        batch = Batch(
            image_BCDHW=image, labels_BDHW=labels, annotated_BL=annotated, case_ids=("one",) * len(image),
            generator=torch.Generator().manual_seed(step), step=step,
        )  # fmt: skip
        optimizer.zero_grad()
        method.loss(student, batch).total.backward()
        optimizer.step()
        method.after_step(student)
    return student.eval()


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Of two masks."""
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())
