"""The optimiser, the learning rate and the averaged weights are what the plan's plain numbers say."""

import pytest
import torch
from tiny_models import tiny_spec
from torch import nn

from organincrement.networks.co_trained import CoTrained
from organincrement.training.optimizer import AveragedWeights, learning_rate, make_optimizer

POLY = {"name": "poly", "power": 0.9, "warmup_steps": 0}


def linear(weight: float) -> nn.Module:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, weight)
    return network


def test_poly_falls_from_the_base_rate_to_nearly_nothing():
    rates = [learning_rate(step, 100, 0.01, POLY) for step in range(100)]
    assert rates[0] == 0.01 and rates[50] == pytest.approx(0.01 * 0.5**0.9)
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < 0.0002


def test_a_warm_up_rises_in_a_line_and_then_gives_way_to_the_decay():
    rates = [learning_rate(step, 100, 1.0, {**POLY, "warmup_steps": 4}) for step in range(6)]
    assert rates[:4] == pytest.approx([(n + 1) / 4 * (1 - n / 100) ** 0.9 for n in range(4)])
    assert rates[5] == pytest.approx(0.95**0.9)


def test_a_constant_schedule_keeps_the_base_rate():
    assert {learning_rate(step, 10, 0.5, {"name": "constant"}) for step in range(10)} == {0.5}


def test_an_unknown_schedule_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="'cosine' is unknown; use poly or constant"):
        learning_rate(0, 10, 0.1, {"name": "cosine"})


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"name": "adam", "lr": 0.1}, torch.optim.Adam),
        ({"name": "adamw", "lr": 0.1, "weight_decay": 0.2}, torch.optim.AdamW),
        ({"name": "sgd", "lr": 0.1, "momentum": 0.99}, torch.optim.SGD),
    ],
)
def test_the_named_optimiser_is_made_with_every_setting(settings, kind):
    optimizer = make_optimizer(linear(1.0), settings)
    assert type(optimizer) is kind
    assert {key: optimizer.defaults[key] for key in settings if key != "name"} == {
        key: value for key, value in settings.items() if key != "name"
    }


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"name": "lion", "lr": 0.1}, "lion"),
        ({"lr": 0.1}, "None"),
        ({"name": "adamw", "lr": 0.1, "speed": 3}, "speed"),
        ({"name": "adamw", "lr": -1.0}, "learning rate"),
    ],
)
def test_an_optimiser_that_cannot_be_is_refused(settings, named):
    with pytest.raises(ValueError, match=named):
        make_optimizer(linear(1.0), settings)


def test_the_average_follows_by_its_decay_once_it_is_old():
    average = AveragedWeights(linear(0.0), decay=0.5)
    average.updates = 1000
    for target in (8.0, 8.0):
        average.update(linear(target))
    assert average.network.weight.item() == pytest.approx(6.0)


def test_a_young_average_forgets_its_start_faster_than_its_decay_says():
    average = AveragedWeights(linear(0.0), decay=0.999)
    average.update(linear(1.0))
    assert average.network.weight.item() == pytest.approx(1 - 2 / 11)


def test_the_first_tenth_of_a_training_may_have_a_decay_of_its_own():
    """Continual Segment: 0.99, then 0.999."""
    average = AveragedWeights(linear(0.0), decay=0.75, first=0.5)
    average.update(linear(8.0), done=0.05)
    assert average.network.weight.item() == pytest.approx(4.0)
    average.update(linear(8.0), done=0.1)
    assert average.network.weight.item() == pytest.approx(5.0)


def test_a_weight_with_several_names_is_averaged_once():
    """As nnU-Net's blocks name theirs twice, and its decoder the encoder's again."""
    shared = linear(0.0)
    network = nn.ModuleDict({"encoder": shared, "decoder": nn.ModuleDict({"encoder": shared})})
    average = AveragedWeights(network, decay=0.5)
    average.updates = 1000
    with torch.no_grad():
        shared.weight.fill_(8.0)
    average.update(network)
    assert average.network["encoder"].weight.item() == pytest.approx(4.0)


def test_the_average_is_another_network_in_eval_mode_without_gradients():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train()
    average = AveragedWeights(network, decay=0.9)
    with torch.no_grad():
        network[0].weight.zero_()
    assert not average.network.training and network.training
    assert average.network[0].weight.abs().sum() > 0
    assert not any(weight.requires_grad for weight in average.network.parameters())


def test_counts_in_a_network_are_copied_rather_than_averaged():
    network = nn.BatchNorm1d(2)
    average = AveragedWeights(network, decay=0.9)
    network.num_batches_tracked.fill_(7)
    average.update(network)
    assert average.network.num_batches_tracked.item() == 7


def test_an_average_of_two_trained_networks_moves_every_weight_once():
    spec = tiny_spec(2)
    pair = CoTrained(spec)
    for mean, network in zip(pair.means, pair.networks, strict=True):
        for kept, now in zip(mean.parameters(), network.parameters(), strict=True):
            torch.nn.init.zeros_(kept)
            torch.nn.init.ones_(now)
    pair.updates.fill_(10_000)
    pair.update(0.9)
    for mean in pair.means:
        for kept in mean.parameters():
            torch.testing.assert_close(kept, torch.full_like(kept, 0.1))
