"""DoDNet and its rivals on three data sets, each labelled for one organ: every organ is learnt from its own set.

All scans hold all organs. The liver's tumour is labelled in the liver's set; the colon's set has the tumour alone.
"""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from tiny_models import ball, organs
from torch import Tensor, nn

from organincrement.contract.channels import channel_count
from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.inference.readout import Readout
from organincrement.methods.protocol import Batch, ContinualMethod, MethodInputs, configure
from organincrement.methods.registry import METHODS

ORGANS = organs("liver", "liver tumour", "spleen", "colon tumour")
LIVER, TUMOUR, SPLEEN, COLON = 1, 2, 3, 4
SHAPE = (12, 12, 20)
SETS = {(LIVER, TUMOUR): (0, 1), (SPLEEN,): (2, 3), (COLON,): (4, 5)}
TEST = (6, 7)
INTENSITY = np.array([0.0, -1.0, -2.0, 1.0, 2.0])
SETTINGS = {"features": (8, 16), "blocks": (1, 1), "spacing_mm": (2.0, 2.0, 2.0)}


class Scan(NamedTuple):
    """An image (1, 1, D, H, W) and the labels of all organs in it."""

    image_11DHW: Tensor
    truth_DHW: np.ndarray


def scan(seed: int) -> Scan:
    rng = np.random.default_rng(seed)
    truth, shift = np.zeros(SHAPE, np.int64), rng.integers(-1, 2, 3)
    for organ, centre, radius in (
        (LIVER, (6, 6, 5), 4.5), (TUMOUR, (6, 5, 5), 2.3), (SPLEEN, (6, 6, 15), 3.5), (COLON, (2, 9, 11), 2.3)
    ):  # fmt: skip
        truth[ball(SHAPE, tuple(np.array(centre) + shift), radius)] = organ
    image = INTENSITY[truth] + rng.normal(0, 0.15, SHAPE)
    return Scan(torch.from_numpy(image).float()[None, None], truth)


SCANS = [scan(seed) for seed in range(8)]


def batch_of(step: int, count: int = len(ORGANS)) -> Batch:
    """One scan of each set, with the labels of its own organs."""
    images, labels, annotated = [], [], []
    for wanted, numbers in SETS.items():
        image, truth = SCANS[numbers[step % len(numbers)]]
        images.append(image)
        labels.append(torch.from_numpy(np.where(np.isin(truth, wanted), truth, 0)))
        annotated.append([number in wanted for number in range(1, 1 + count)])
    return Batch(
        image_BCDHW=torch.cat(images), labels_BDHW=torch.stack(labels), annotated_BL=torch.tensor(annotated),
        case_ids=("liver", "spleen", "colon"), generator=torch.Generator().manual_seed(step),
    )  # fmt: skip


def made(name: str) -> ContinualMethod:
    method, transition = METHODS[name], LabelTransition(LabelSpace(()), ORGANS, {})
    config, head = configure(method.Config, SETTINGS), method.plan_head(transition, [])
    network = method.plan_network(config, transition, [], channel_count(head, ORGANS))
    inputs = MethodInputs(
        transition=transition, teachers=(), network=network, head=head, config=config, device=torch.device("cpu")
    )
    return method(inputs)


def trained(method: ContinualMethod, steps: int) -> nn.Module:
    torch.manual_seed(1)
    student = method.build_student().train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1.0, (step + 1) / 10) * (1 - step / steps) ** 0.9
        optimizer.zero_grad()
        method.loss(student, batch_of(step)).total.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 12.0)
        optimizer.step()
    return student.eval()


def dice_by_organ(name: str, steps: int) -> dict[int, float]:
    """Mean over the scans that no set holds."""
    method = made(name)
    student, readout = trained(method, steps), Readout.of(method.inputs.head, ORGANS)
    found: dict[int, list[float]] = {organ: [] for organ in (LIVER, TUMOUR, SPLEEN, COLON)}
    with torch.inference_mode():
        for number in TEST:
            image, truth = SCANS[number]
            labels = readout.labels(student(image)[0]).numpy()
            for organ, values in found.items():
                values.append(dice(labels == organ, truth == organ))
    return {organ: float(np.mean(values)) for organ, values in found.items()}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


@pytest.fixture(scope="module")
def without_task() -> dict[int, float]:
    return dice_by_organ("cond-no", steps=60)


def test_dodnet_learns_every_organ_and_tumour_from_the_set_that_has_it(without_task):
    found = dice_by_organ("dodnet", steps=70)
    assert found[LIVER] > 0.9 and found[TUMOUR] > 0.85 and found[SPLEEN] > 0.8 and found[COLON] > 0.8
    assert np.mean(list(found.values())) > np.mean(list(without_task.values())) + 0.3


def test_without_the_task_organs_are_mistaken_for_each_other(without_task):
    assert min(without_task[LIVER], without_task[SPLEEN]) < 0.3
    assert np.mean(list(without_task.values())) < 0.6


@pytest.mark.parametrize(("name", "steps"), [("cond-input", 60), ("cond-dec", 60), ("multi-head", 60), ("tal", 60)])
def test_its_rivals_learn_the_organs_as_well(name, steps, without_task):
    found = dice_by_organ(name, steps)
    assert found[LIVER] > 0.8 and found[SPLEEN] > 0.8
    assert np.mean(list(found.values())) > np.mean(list(without_task.values())) + 0.1
