"""Several networks answer as one: the mean of their logits, or of their probabilities."""

import pytest
import torch
from tiny_models import tiny_network, tiny_spec

from organincrement.networks.ensemble import Ensemble, start_of

SPEC = tiny_spec(5)
IMAGE = torch.randn(2, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def members():
    return [tiny_network(SPEC, seed=seed, scale=20.0) for seed in range(3)]


@torch.no_grad()
def test_logits_are_averaged(members):
    answers = torch.stack([member(IMAGE) for member in members])
    assert torch.allclose(Ensemble(members)(IMAGE), answers.mean(0), atol=1e-5)


@torch.no_grad()
def test_probabilities_are_averaged_and_differ_from_averaged_logits(members):
    probabilities = torch.stack([member(IMAGE).softmax(1) for member in members]).mean(0)
    answer = Ensemble(members, "probabilities")(IMAGE)
    assert torch.allclose(answer.exp(), probabilities, atol=1e-6)
    assert torch.allclose(answer.softmax(1), probabilities, atol=1e-6)
    assert not torch.allclose(Ensemble(members)(IMAGE).softmax(1), probabilities, atol=1e-3)


@torch.no_grad()
def test_each_head_has_its_own_probabilities(members):
    groups = [[0, 1], [2, 3, 4]]
    answer = Ensemble(members, "probabilities", groups)(IMAGE)
    for group in groups:
        wanted = torch.stack([member(IMAGE)[:, group].softmax(1) for member in members]).mean(0)
        assert torch.allclose(answer[:, group].exp(), wanted, atol=1e-6)


@torch.no_grad()
def test_one_member_answers_as_itself(members):
    assert torch.equal(Ensemble(members[:1])(IMAGE), members[0](IMAGE))


def test_a_student_starts_from_the_first_member(members):
    assert start_of(Ensemble(members)) is members[0]
    assert start_of(members[1]) is members[1]
