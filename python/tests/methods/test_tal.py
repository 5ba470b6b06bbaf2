"""TAL: what an organ that nobody looked for weighs in its loss."""

import pytest
import torch
from method_inputs import inputs_for
from tiny_models import organs

from organincrement.methods.protocol import Batch
from organincrement.methods.tal import Tal

LIVER = 1


def loss_of(annotated: list[list[bool]], labels_BDHW: torch.Tensor, logits_BCDHW: torch.Tensor) -> dict[str, float]:
    batch = Batch(
        image_BCDHW=torch.zeros(2, 1, 4, 4, 4), labels_BDHW=labels_BDHW, annotated_BL=torch.tensor(annotated),
        case_ids=("a", "b"), generator=torch.Generator(),
    )  # fmt: skip
    return (
        Tal(inputs_for(Tal, new=organs("liver", "spleen", "stomach"))).loss(lambda image: logits_BCDHW, batch).values()
    )


def test_an_organ_that_nobody_looked_for_does_not_dilute_the_overlap_of_the_others():
    labels, wrong = torch.full((2, 4, 4, 4), LIVER), torch.zeros(2, 4, 4, 4, 4)
    wrong[:, 0] = 50.0
    assert loss_of([[True, False, False]] * 2, labels, wrong)["dice"] > 0.99


def test_an_organ_that_was_not_looked_for_may_be_in_the_background():
    labels, says_spleen = torch.zeros(2, 4, 4, 4, dtype=torch.long), torch.zeros(2, 4, 4, 4, 4)
    says_spleen[:, 2] = 50.0
    assert loss_of([[True, False, False]] * 2, labels, says_spleen)["cross_entropy"] == pytest.approx(0.0, abs=1e-6)
    assert loss_of([[True, True, False]] * 2, labels, says_spleen)["cross_entropy"] > 10
