"""Where several networks claim a voxel and the last one is to have it, as TotalSegmentator paints its parts."""

import torch
from tiny_models import organs

from organincrement.contract.model import MultiHead, OrganHead
from organincrement.inference.readout import Readout

SPACE = organs("kidney_left", "kidney_cyst_left", "aorta")
HEADS = (OrganHead(organs=SPACE.ids[:2], prefix="parts.0"), OrganHead(organs=SPACE.ids[2:], prefix="parts.1"))
PAINTED = Readout.of(MultiHead(heads=HEADS, rule="last"), SPACE)
COMPARED = Readout.of(MultiHead(heads=HEADS), SPACE)


def logits(*channels: float) -> torch.Tensor:
    return torch.tensor(channels)[:, None, None, None]


def test_a_later_organ_paints_over_a_more_probable_earlier_one():
    both = logits(0.0, 9.0, 0.0, 0.0, 0.5)
    assert PAINTED.labels(both).item() == 3
    assert COMPARED.labels(both).item() == 1


def test_a_later_background_paints_over_nothing():
    assert PAINTED.labels(logits(0.0, 0.1, 0.0, 9.0, 0.0)).item() == 1
    assert PAINTED.labels(logits(5.0, 0.1, 0.0, 9.0, 0.0)).item() == 0


def test_an_anomaly_is_painted_over_as_any_other():
    cyst = logits(0.0, 0.0, 9.0, 0.0, 0.5)
    assert PAINTED.labels(cyst).item() == 3


def test_probabilities_are_of_painting_one_after_the_other():
    torch.manual_seed(0)
    z = torch.randn(2, 5, 3, 3, 3)
    log_p = PAINTED.joint_log_p(z)
    first, second = z[:, :3].softmax(1), z[:, 3:].softmax(1)
    expected = torch.cat([first * second[:, :1], second[:, 1:]], 1)
    torch.testing.assert_close(log_p.exp(), expected)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(2, 3, 3, 3))
    assert log_p.argmax(1).shape == (2, 3, 3, 3)
