"""Features in the place of channels, and labels known from the network's own grid: the same answer for less."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from test_predict_volume import LargestTensor, many, scan
from tiny_models import SOFTMAX_KINDS, tiny_manifest, tiny_spec
from torch import Tensor, nn

from organincrement.imaging.volume import Volume
from organincrement.inference import answers, labelling
from organincrement.inference.boxes import AxisMap
from organincrement.inference.cells import UNSURE, agreed, at_points, largest_certain_odds, leaders
from organincrement.inference.predict import Prediction, PredictionSettings, predict_volume
from organincrement.networks.build import build_network
from organincrement.networks.head import linear_output, output_layer, without_layer
from organincrement.networks.sizing import NetworkSpec

CPU = torch.device("cpu")
CLASSES = 20
LINEAR = [kind for kind in SOFTMAX_KINDS if kind != "MultiDecoder"]


def sharp(spec: NetworkSpec, seed: int = 0) -> nn.Module:
    """A network whose channels are far apart."""
    torch.manual_seed(seed)
    network = build_network(spec.kind, spec.args).eval()
    with torch.no_grad():
        network.get_submodule(output_layer(spec)).weight.mul_(30)
    return network


def segmented(network: nn.Module, spec: NetworkSpec, image: Volume, manifest: dict[str, Any] | None = None,
              **settings: Any) -> Prediction:  # fmt: skip
    asked = tiny_manifest(many(CLASSES - 1), spec, **(manifest or {}))
    with torch.inference_mode():
        return predict_volume(network, asked, image, CPU, PredictionSettings(**settings))


@pytest.fixture
def without_features(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Called, it has channels accumulated from then on."""
    return lambda: monkeypatch.setattr(answers, "linear_output", lambda *of_network: None)


@pytest.mark.parametrize(
    ("kind", "uncertainty"), [*((kind, "entropy") for kind in LINEAR), ("PlainConvUNet", "perturbation")]
)
def test_features_give_the_labels_and_the_doubt_of_channels(kind, uncertainty, without_features):
    spec = tiny_spec(CLASSES, kind)
    network, (image, _) = sharp(spec), scan(noise=30)
    few = segmented(network, spec, image, uncertainty=uncertainty)
    without_features()
    many_channels = segmented(network, spec, image, uncertainty=uncertainty)
    assert len(np.unique(few.labels_DHW)) > 3
    assert (few.labels_DHW != many_channels.labels_DHW).mean() <= 1e-4
    if uncertainty != "none":
        # of a per cent that is rounded, the last digit
        assert np.abs(few.uncertainty_DHW.astype(int) - many_channels.uncertainty_DHW).max() <= 1
        assert (few.uncertainty_DHW != many_channels.uncertainty_DHW).mean() <= 1e-3


def test_around_the_tissue_features_say_certain_background(without_features):
    hu = np.full((24, 28, 30), -1000.0, np.float32)
    hu[8:16, 8:20, 9:21] = np.random.default_rng(0).normal(50, 60, (8, 12, 12))
    image, spec = Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3)), tiny_spec(CLASSES)
    network, settings = sharp(spec), {"uncertainty": "entropy"}
    few = segmented(network, spec, image, {"spacing_mm": (3.0, 3.0, 3.0)}, **settings)
    without_features()
    channels = segmented(network, spec, image, {"spacing_mm": (3.0, 3.0, 3.0)}, **settings)
    np.testing.assert_array_equal(few.labels_DHW, channels.labels_DHW)
    assert np.abs(few.uncertainty_DHW.astype(int) - channels.uncertainty_DHW).max() <= 1
    assert not few.uncertainty_DHW[:4].any() and few.uncertainty_DHW.any()


def test_features_hold_less_and_so_fewer_windows_are_seen_twice(without_features):
    spec, seen, largest = tiny_spec(CLASSES), [], []
    hu = np.random.default_rng(0).normal(50, 60, (40, 40, 40)).astype(np.float32)
    image, network = Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3)), sharp(spec)
    for change in (lambda: None, without_features):
        change()
        told: list[int] = []
        with LargestTensor() as tensors:
            segmented(
                network, spec, image, budget_bytes=2**17, progress=lambda done, total, told=told: told.append(total)
            )
        seen.append(len(told))
        largest.append(tensors.bytes)
    assert 4 * seen[0] < 3 * seen[1] and max(largest) <= 1.3 * max(2**17, 4 * 40**3)


def test_only_a_network_that_ends_in_a_linear_layer_is_taken_apart():
    spec = tiny_spec(CLASSES)
    network = build_network(spec.kind, spec.args)
    name = linear_output(network, spec, CLASSES)
    layer = network.get_submodule(name)
    assert name == output_layer(spec) and linear_output(network, spec, CLASSES + 1) is None
    assert linear_output(nn.ModuleList([network]), spec, CLASSES) is None
    assert linear_output(network, NetworkSpec(kind="UNet", args=spec.args), CLASSES) is None
    image = torch.randn(1, 1, 8, 8, 8)
    with torch.inference_mode():
        expected = network(image)
        with pytest.raises(RuntimeError, match="stop"), without_layer(network, name):
            assert network(image).shape[1] == 4
            torch.testing.assert_close(layer(network(image)), expected)
            raise RuntimeError("stop")
        assert torch.equal(network(image), expected)


@pytest.mark.parametrize("convention", ["nnunet", "totalsegmentator"])
def test_where_another_tool_rounds_to_half_precision_channels_are_accumulated(convention):
    spec = tiny_spec(CLASSES)
    network, (image, _) = sharp(spec), scan(noise=30)
    shapes: list[int] = []
    network.get_submodule(output_layer(spec)).register_forward_hook(lambda layer, x, y: shapes.append(y.shape[1]))
    segmented(network, spec, image, {"convention": convention})
    assert set(shapes) == {CLASSES}


CASES = [
    ("organincrement", (4.5, 5.1, 6.3), {"uncertainty": "none"}),
    ("organincrement", (9.0, 1.7, 9.0), {"uncertainty": "entropy"}),
    ("organincrement", (9.0, 4.0, 4.0), {"uncertainty": "perturbation"}),
    ("nnunet", (4.5, 5.1, 6.3), {"uncertainty": "entropy"}),
    ("monai", (9.0, 4.0, 4.0), {"uncertainty": "entropy", "budget_bytes": 20_000}),
]


@pytest.mark.parametrize(("convention", "coarse", "settings"), CASES)
def test_labels_and_doubt_known_from_the_grid_are_those_of_every_voxel_interpolated(
    convention, coarse, settings, monkeypatch, without_features
):
    without_features()
    spec = tiny_spec(CLASSES)
    network, (image, _) = sharp(spec), scan(noise=30)
    manifest = {"convention": convention, "spacing_mm": coarse}
    cells = segmented(network, spec, image, manifest, **settings)
    monkeypatch.setattr(labelling.Labeller, "_cells_tell", lambda self, density: False)
    voxels = segmented(network, spec, image, manifest, **settings)
    np.testing.assert_array_equal(cells.labels_DHW, voxels.labels_DHW)
    if cells.uncertainty_DHW is not None:
        np.testing.assert_array_equal(cells.uncertainty_DHW, voxels.uncertainty_DHW)


def test_a_class_leads_only_where_rounding_cannot_decide():
    values = torch.tensor([[1.0, 3.0, 2.0], [3.0, 3.0, 0.0], [3.0, 3.0 + 1e-6, 0.0]])
    assert leaders(values, torch.float32).tolist() == [1, UNSURE, UNSURE]
    assert leaders(torch.tensor([[3.0, 3.005, 0.0]]), torch.float16).tolist() == [UNSURE]


def test_neighbours_that_differ_leave_what_lies_between_them_open():
    axes = (AxisMap(source_size=3, output_size=6), *(AxisMap(source_size=1, output_size=1),) * 2)
    whole, read = (slice(0, 6), slice(0, 1), slice(0, 1)), (slice(0, 3), slice(0, 1), slice(0, 1))
    codes = torch.tensor([4, 4, 7], dtype=torch.int16).reshape(3, 1, 1)
    assert agreed(codes, axes, whole, read).flatten().tolist() == [4, 4, 4, UNSURE, UNSURE, 7]


@pytest.mark.parametrize("classes", [2, 5, 119])
def test_odds_that_count_as_certain_are_shown_as_0_per_cent_however_they_are_shared(classes):
    odds = largest_certain_odds(classes)
    for shares in (np.eye(classes - 1)[0], np.full(classes - 1, 1 / (classes - 1))):
        p = np.append(odds * shares, 1) / (1 + odds)
        entropy = -(p[p > 0] * np.log(p[p > 0])).sum() / np.log(classes)
        assert round(100 * entropy) == 0
    assert odds > 1e-4


def test_single_voxels_are_interpolated_as_whole_boxes_are():
    sources, outputs = (5, 6, 4), (11, 6, 9)
    axes = tuple(AxisMap(source_size=s, output_size=o) for s, o in zip(sources, outputs, strict=True))
    values = torch.randn(3, *sources, generator=torch.Generator().manual_seed(0))
    part = (slice(2, 11), slice(1, 6), slice(0, 7))
    read = tuple(axis.source_range(o) for axis, o in zip(axes, part, strict=True))
    inside: Tensor = values[(slice(None), *read)]
    whole = inside
    for axis, (axis_map, wanted, source) in enumerate(zip(axes, part, read, strict=True), start=1):
        whole = axis_map.interpolate(whole, axis, wanted, source.start)
    points = torch.unravel_index(torch.arange(whole[0].numel()), whole.shape[1:])
    found = at_points(inside.flatten(1).t().contiguous(), points, axes, part, read)
    assert torch.equal(found.t().reshape(whole.shape), whole)
