"""Labels and entropy from a stream of channels are those of the whole softmax."""

import math

import pytest
import torch

from organincrement.inference.reduce import as_percent, entropy_of_channels, label_and_entropy


def logits(channels: int, scale: float) -> torch.Tensor:
    return scale * torch.randn(channels, 3, 4, 5, generator=torch.Generator().manual_seed(channels))


def reference_entropy(values: torch.Tensor, temperature: float) -> torch.Tensor:
    log_p = (values.double() / temperature).log_softmax(0)
    return -(log_p.exp() * log_p).sum(0)


@pytest.mark.parametrize("channels", [1, 2, 5, 119])
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_streaming_agrees_with_the_softmax_of_all_channels(channels, scale, temperature):
    values = logits(channels, scale)
    labels, entropy, confidence = label_and_entropy(iter(values), temperature)
    assert torch.equal(labels.long(), values.argmax(0))
    torch.testing.assert_close(confidence, (values / temperature).softmax(0).amax(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(entropy.double(), reference_entropy(values, temperature), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", [1, -1])
def test_logits_of_any_size_keep_the_entropy_in_range(order):
    values = torch.tensor([-1e4, 0.0, 1e4, 1e4, 300.0][::order]).reshape(5, 1)
    labels, entropy, _ = label_and_entropy(iter(values), 1.0)
    assert entropy.item() == pytest.approx(math.log(2), abs=1e-6)
    assert values[labels.item()].item() == 1e4


@pytest.mark.parametrize("channels", [2, 5, 119])
@pytest.mark.parametrize("scale", [10.0, 1e3, 1e4])
def test_large_logits_cost_the_entropy_no_digits(channels, scale):
    values = logits(channels, scale)
    values[-1] = values[0]  # certain of two
    _, entropy, _ = label_and_entropy(iter(values), 0.05)
    torch.testing.assert_close(entropy.double(), reference_entropy(values, 0.05), rtol=1e-5, atol=1e-5)


def test_of_equal_channels_the_first_is_taken_as_argmax_does():
    labels, entropy, _ = label_and_entropy(iter(torch.zeros(4, 2)), 1.0)
    assert labels.tolist() == [0, 0] and entropy.tolist() == pytest.approx([math.log(4)] * 2)


def test_the_stream_is_left_as_it_was():
    values = logits(3, 1.0)
    before = values.clone()
    label_and_entropy(iter(values), 1.0)
    entropy_of_channels(iter(values.softmax(0)))
    assert torch.equal(values, before)


def test_entropy_of_probabilities_agrees_with_that_of_their_logits():
    values = logits(7, 2.0)
    found = entropy_of_channels(iter(values.softmax(0)))
    torch.testing.assert_close(found.double(), reference_entropy(values, 1.0), rtol=1e-4, atol=1e-5)
    certain = torch.tensor([[1.0], [0.0], [-1e-9]])  # interpolation may leave less than nothing
    assert entropy_of_channels(iter(certain)).item() == 0


@pytest.mark.parametrize("reduction", [lambda c: label_and_entropy(c, 1.0), entropy_of_channels])
def test_no_channel_at_all_is_an_error(reduction):
    with pytest.raises(ValueError, match="no channel"):
        reduction(iter(()))


def test_per_cent_runs_from_certain_to_uniform():
    percent = as_percent(torch.tensor([0.0, 0.5, 1.0, 2.0, -1e-6]))
    assert percent.tolist() == [0, 50, 100, 100, 0] and percent.dtype == torch.uint8
