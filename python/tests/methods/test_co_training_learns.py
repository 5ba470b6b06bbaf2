"""Co-training on scans of which each has labels of one organ: both networks learn all three, on scans never seen."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from single_organ_world import NUMBERS, ORGANS, dice, made, scans, trained
from torch import nn

from organincrement.contract.labels import LabelSpace
from organincrement.methods.protocol import ContinualMethod


class Trained(NamedTuple):
    """The method and its student, after some steps on three scans of an organ's labels each."""

    method: ContinualMethod
    student: nn.Module


def trained_with(**settings: float) -> Trained:
    image, truth = scans((0, 1, 2))
    labels = np.stack([np.where(truth[n - 1] == n, n, 0) for n in NUMBERS])
    annotated = torch.eye(len(NUMBERS), dtype=torch.bool)
    method = made("co-training", LabelSpace(()), ORGANS, [], average=0.9, ramp_steps=30, **settings)
    return Trained(method, trained(method, image, labels, steps=90, annotated_BL=annotated))


@pytest.fixture(scope="module")
def co_trained() -> Trained:
    return trained_with()


@torch.no_grad()
def dices(network: nn.Module) -> list[float]:
    image, truth = scans((7, 8, 9, 10))
    labels = network(image).argmax(1).numpy()
    return [dice(labels == n, truth == n) for n in NUMBERS]


def test_every_organ_is_learned_from_the_scans_that_have_its_labels(co_trained):
    assert min(dices(co_trained.student)) > 0.7 and np.mean(dices(co_trained.student)) > 0.8


def test_each_network_profits_from_the_other(co_trained):
    alone = trained_with(co_weight=0.0).student
    for together, by_itself in zip(co_trained.student.means, alone.means, strict=True):
        assert np.mean(dices(together)) > np.mean(dices(by_itself)) + 0.03


def test_what_is_packaged_answers_as_what_was_validated(co_trained):
    product = co_trained.method.product(co_trained.student)
    image, _ = scans((7,))
    with torch.no_grad():
        assert torch.equal(product.network.eval()(image), co_trained.student(image))


def test_the_two_networks_went_different_ways_to_the_same_end(co_trained):
    first, second = co_trained.student.networks
    weights = zip(first.parameters(), second.parameters(), strict=True)
    assert not any(torch.allclose(a, b) for a, b in weights if a.ndim > 1)
    assert min(dices(second)) > 0.6


def test_averages_follow_their_networks_and_are_not_trained(co_trained):
    assert not any(weight.requires_grad for weight in co_trained.student.means.parameters())
    for network, mean in zip(co_trained.student.networks, co_trained.student.means, strict=True):
        a, b = (torch.cat([w.flatten() for w in n.parameters()]) for n in (network, mean))
        assert 0 < ((a - b).norm() / a.norm()).item() < 0.3
