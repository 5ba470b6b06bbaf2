"""DoDNet's network: the published size, one pass for all tasks, further tasks without a change to the old ones."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from organincrement.networks.build import build_network, count_parameters, shrink_factor
from organincrement.networks.dodnet import CONDITIONINGS, dynamic_head, head_layers, parameter_count, with_more_tasks
from organincrement.networks.errors import NetworkError
from organincrement.networks.preact_unet import StandardisedConv3d, take_weights

FULL = {"in_channels": 1, "features": [32, 64, 128, 256, 256], "blocks": [1, 2, 2, 2, 2]}
SMALL = {"in_channels": 1, "features": [8, 16, 16], "blocks": [1, 1, 1]}
TASKS = 3


def small(kind: str = "DoDNet", tasks: int = TASKS, **args: object) -> nn.Module:
    torch.manual_seed(0)
    return build_network(kind, {**SMALL, "out_channels": 2 * tasks, **args}).eval()


def image(batch: int = 2, edge: int = 8) -> torch.Tensor:
    return torch.randn(batch, 1, edge, edge, edge, generator=torch.Generator().manual_seed(0))


def millions(kind: str, **args: object) -> float:
    with torch.device("meta"):
        return count_parameters(build_network(kind, {**FULL, "out_channels": 14, **args})) / 1e6


def test_the_full_size_has_the_parameters_that_the_paper_counts():
    assert round(millions("DoDNet"), 2) == 17.33
    assert count_parameters(build_network("DoDNet", {**FULL, "out_channels": 14})) == 17_327_416
    for conditioning in ("none", "input", "decoder"):
        assert round(millions("DoDNet", conditioning=conditioning), 1) == 17.3
    assert round(millions("TaskDecoders"), 1) == 18.9
    assert round(millions("PreActUNet"), 1) == 17.3


@pytest.mark.parametrize(
    ("width", "depth", "count"), [(8, 3, 162), (8, 2, 90), (8, 4, 234), (4, 3, 50), (16, 3, 578), (8, 1, 18)]
)
def test_the_controller_makes_as_many_parameters_as_the_head_has(width, depth, count):
    assert parameter_count(width, depth) == count
    shapes = [
        (tuple(weight.shape), tuple(bias.shape)) for weight, bias in head_layers(torch.zeros(5, count), width, depth)
    ]
    assert len(shapes) == depth and shapes[-1] == ((5, 2, width), (5, 2))
    network = small(width=width, depth=depth)
    assert network.controller.out_features == count and network(image()).shape == (2, 2 * TASKS, 8, 8, 8)


def test_the_head_is_a_chain_of_convolutions_of_its_own_for_each_pair():
    params, features = torch.randn(3, 162), torch.randn(3, 8, 4, 5, 6)
    found = dynamic_head(params, features)
    for one in range(3):
        x = features[one : one + 1]
        for number, (weight, bias) in enumerate(head_layers(params, 8, 3)):
            x = functional.conv3d(x if number == 0 else x.relu(), weight[one, :, :, None, None, None], bias[one])
        torch.testing.assert_close(found[one : one + 1], x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("controller", ["both", "task", "image"])
def test_the_controller_sees_what_it_is_told_to(controller):
    network = small(controller=controller)
    assert network.controller.in_features == {"both": 16 + TASKS, "task": TASKS, "image": 16}[controller]
    first, second = (network(image())[:, pair] for pair in (slice(0, 2), slice(2, 4)))
    assert torch.equal(first, second) == (controller == "image")


@pytest.mark.parametrize(
    ("kind", "args"), [("TaskDecoders", {}), *(("DoDNet", {"conditioning": c}) for c in CONDITIONINGS)]
)
def test_the_maps_of_some_tasks_are_those_of_all(kind, args):
    network, x = small(kind, **args), image()
    sample, task = torch.tensor([1, 0, 1]), torch.tensor([2, 0, 1])
    with torch.inference_mode():
        every = network(x).unflatten(1, (TASKS, 2))
        torch.testing.assert_close(network.for_tasks(x, sample, task), every[sample, task], rtol=1e-4, atol=1e-5)
    different = not torch.allclose(every[:, 0], every[:, 1], atol=1e-4)
    assert different == (args != {"conditioning": "none"}), "all but cond-no tell the tasks apart"


@pytest.mark.parametrize("conditioning", CONDITIONINGS)
def test_a_network_in_half_precision_answers(conditioning):
    network = small(conditioning=conditioning).bfloat16()
    with torch.inference_mode():
        half, whole = network(image().bfloat16()).float(), network.float()(image())
    torch.testing.assert_close(half, whole, rtol=0.1, atol=0.1 * float(whole.abs().max()))


@pytest.mark.parametrize(
    ("conditioning", "encoders", "decoders"),
    [("dynamic", 1, 1), ("none", 1, 1), ("decoder", 1, TASKS), ("input", TASKS, TASKS)],
)
def test_all_tasks_take_as_few_passes_as_can_be(conditioning, encoders, decoders):
    network, passes = small(conditioning=conditioning), []
    for name in ("encoder", "decoder"):
        network.get_submodule(name).register_forward_hook(lambda *_, name=name: passes.append(name))
    network(image())
    assert (passes.count("encoder"), passes.count("decoder")) == (encoders, decoders)


@pytest.mark.parametrize("tasks", [8, TASKS, 13])
def test_the_task_is_seen_in_the_decoder_whatever_the_groups_of_its_norms(tasks):
    maps = small(conditioning="decoder", tasks=tasks)(image()).unflatten(1, (tasks, 2))
    assert not torch.allclose(maps[:, 0], maps[:, -1], atol=1e-4)


def test_further_tasks_leave_the_old_ones_as_they_are():
    network, x = small(), image()
    grown = small(tasks=TASKS + 2)
    grown.load_state_dict(with_more_tasks(network.state_dict(), 2))
    with torch.inference_mode():
        torch.testing.assert_close(grown(x)[:, : 2 * TASKS], network(x), rtol=1e-6, atol=1e-6)
    assert grown.controller.weight[:, -2:].abs().max() == 0


@pytest.mark.parametrize("args", [{"conditioning": "input"}, {"conditioning": "none"}])
def test_only_a_controller_takes_further_tasks(args):
    with pytest.raises(NetworkError, match="no controller"):
        with_more_tasks(small(**args).state_dict(), 1)


def test_a_controller_without_the_task_takes_no_columns_for_further_ones():
    network, grown = small(controller="image"), small(controller="image", tasks=TASKS + 1)
    grown.load_state_dict(with_more_tasks(network.state_dict(), 1, sees="image"))
    assert torch.equal(grown(image())[:, : 2 * TASKS], network(image()))


def test_filters_have_mean_0_and_variance_1_wherever_training_takes_them():
    convolution = StandardisedConv3d(4, 6, 3, padding=1, bias=False)
    nn.init.normal_(convolution.weight, mean=3.0, std=0.02)
    plain = nn.Conv3d(4, 6, 3, padding=1, bias=False)
    weight = convolution.weight.flatten(1)
    standard = (weight - weight.mean(1, keepdim=True)) / weight.std(1, keepdim=True, correction=0)
    plain.weight.data = standard.view_as(plain.weight)
    x = torch.randn(1, 4, 5, 5, 5)
    torch.testing.assert_close(convolution(x), plain(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(7, 9, 11), (4, 4, 4), (12, 6, 5)])
def test_a_grid_that_does_not_halve_evenly_keeps_its_size(shape):
    with torch.inference_mode():
        assert small()(torch.randn(1, 1, *shape)).shape == (1, 2 * TASKS, *shape)


def test_patches_are_multiples_of_what_four_halvings_need():
    assert shrink_factor("DoDNet", {**FULL, "out_channels": 14}) == (16, 16, 16)


def test_encoder_and_decoder_start_another_network_with_labels_of_its_own():
    known = small()
    other = small("PreActUNet", out_channels=5)
    taken = take_weights(other, known.state_dict())
    assert taken == count_parameters(other) - sum(w.numel() for w in other.decoder.project[2].parameters())
    assert torch.equal(other.encoder.stem.weight, known.encoder.stem.weight)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"out_channels": 7}, "two for each task"),
        ({"out_channels": 4000}, "at most 512 tasks"),
        ({"conditioning": "magic"}, "conditioning 'magic' must be one of dynamic"),
        ({"controller": "both?"}, "must be one of both"),
        ({"width": 4000}, "'width' must be"),
        ({"depth": 0}, "'depth' must be"),
        ({"blocks": [1, 1]}, "same number of levels"),
        ({"features": [8], "blocks": [1]}, "2 levels or more"),
    ],
)
def test_what_no_network_of_tasks_can_be_is_refused_in_one_line(args, said):
    with pytest.raises(NetworkError) as caught:
        build_network("DoDNet", {**SMALL, "out_channels": 6, **args})
    assert said in str(caught.value) and "\n" not in str(caught.value)
