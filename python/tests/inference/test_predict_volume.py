"""Segmenting a scan: on its own grid whatever way it lies, and the same whatever the memory budget."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import ball, organs, tiny_manifest, tiny_network, tiny_spec
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from organincrement.contract.labels import LabelSpace
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import Prediction, PredictionSettings, predict_volume

ORGANS = organs("liver", "spleen")
SPEC = tiny_spec(3)
CPU = torch.device("cpu")
SHAPE, SPACING_MM = (14, 26, 30), (4.5, 1.7, 2.0)
ROOMY = 2**30
BODY = (50.0, -200.0, 300.0)
AIR = (-200.0, 100.0, 250.0)


class Reads(nn.Module):
    """Says how near the input is to the normalised HU of each channel."""

    def __init__(self, *hu: float) -> None:
        super().__init__()
        self.register_buffer("values", ((torch.tensor(hu) - 20) / 120).reshape(1, -1, 1, 1, 1))

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        return -20 * (x_BCDHW - self.values) ** 2


def scan(*, direction: np.ndarray | None = None, noise: float = 0.0) -> tuple[Volume, np.ndarray]:
    """A dark and a bright organ in a body of 50 HU; anisotropic. Returns also the labels."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[ball(SHAPE, (7, 9, 9), 5)] = 1
    labels[ball(SHAPE, (6, 17, 21), 4)] = 2
    hu = np.array(BODY)[labels] + np.random.default_rng(0).normal(0, 1, SHAPE) * noise
    axes = np.eye(3) if direction is None else direction
    return Volume(hu.astype(np.float32), SPACING_MM, (5.0, -7.0, 11.0), axes), labels


def segmented(network: nn.Module, image: Volume, *, budget: int = ROOMY, uncertainty: str = "none",
              settings: dict[str, Any] | None = None, **manifest: Any) -> Prediction:  # fmt: skip
    return predict_volume(
        network.eval(),
        tiny_manifest(ORGANS, SPEC, **manifest),
        image,
        CPU,
        PredictionSettings(budget_bytes=budget, uncertainty=uncertainty, **(settings or {})),  # type: ignore[arg-type]
    )


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


TURNS = [
    np.eye(3)[:, list(order)] * np.array(signs)
    for order, signs in zip(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3), strict=False)
]


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize(("orientation", "axis_order"), [("LPS", (0, 1, 2)), ("RAS", (2, 0, 1)), ("SAL", (1, 2, 0))])
def test_labels_lie_where_the_organs_are_in_the_scan_itself(turn, orientation, axis_order):
    image, labels = scan(direction=turn)
    found = segmented(Reads(*BODY), image, uncertainty="entropy", orientation=orientation, axis_order=axis_order)
    assert found.labels_DHW.shape == found.uncertainty_DHW.shape == SHAPE
    assert found.labels_DHW.flags.c_contiguous
    for organ in (1, 2):
        assert dice(found.labels_DHW == organ, labels == organ) > 0.85
    # the edge of an organ is uncertain, its inside is not
    assert found.uncertainty_DHW[ball(SHAPE, (7, 9, 9), 3)].max() < 20 < found.uncertainty_DHW.max()


def test_on_the_networks_own_grid_the_labels_are_exact():
    image, labels = scan()
    found = segmented(Reads(*BODY), image, spacing_mm=SPACING_MM)
    np.testing.assert_array_equal(found.labels_DHW, labels)


@pytest.mark.parametrize("code", ["RAS", "SAL", "PIR"])
def test_a_scan_stored_in_another_order_gets_the_same_labels(code):
    image, _ = scan(noise=20)
    stored = to_orientation(image, code)
    network = tiny_network(SPEC, scale=4)
    expected = to_orientation(image.with_array(segmented(network, image).labels_DHW), code).array_DHW
    np.testing.assert_array_equal(segmented(network, stored).labels_DHW, expected)


SPACINGS = {
    "same": SPACING_MM,
    "finer": (4.0, 1.4, 1.8),
    "coarser": (6.0, 3.0, 4.0),
    "finer and coarser": (2.5, 1.7, 3.1),
}


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("uncertainty", ["none", "entropy", "perturbation"])
def test_a_tiny_memory_budget_changes_nothing(spacing, uncertainty):
    image, _ = scan(noise=30)
    network = tiny_network(SPEC, scale=4)
    axis_order = (1, 2, 0)
    of_grid = {"spacing_mm": tuple(SPACINGS[spacing][axis] for axis in axis_order), "axis_order": axis_order}
    whole = segmented(network, image, uncertainty=uncertainty, **of_grid)
    assert len(np.unique(whole.labels_DHW)) == 3
    for source_voxels in (600, 3000) if uncertainty == "none" else (2000,):
        budget = 4 * len(ORGANS) * 3 * source_voxels
        cut = segmented(network, image, uncertainty=uncertainty, budget=budget, **of_grid)
        np.testing.assert_array_equal(cut.labels_DHW, whole.labels_DHW)
        if uncertainty == "none":
            assert cut.uncertainty_DHW is None
        else:
            np.testing.assert_array_equal(cut.uncertainty_DHW, whole.uncertainty_DHW)
            assert whole.uncertainty_DHW.std() > 1


def test_air_around_the_body_is_certain_background_and_not_even_looked_at():
    air = np.full((30, 40, 40), -1000.0, np.float32)
    air[10:20, 12:28, 12:28] = 100
    image, looked_at = Volume(air, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3)), []
    settings = {"between": lambda: looked_at.append(1)}
    found = segmented(Reads(*AIR), image, uncertainty="perturbation", settings=settings)
    assert (found.labels_DHW[10:20, 12:28, 12:28] == 1).all() and found.labels_DHW.sum() == 10 * 16 * 16
    assert found.uncertainty_DHW[:8].max() == 0 and found.uncertainty_DHW[:, :, 31:].max() == 0
    assert len(looked_at) == 2 * 3 * 3


@pytest.mark.parametrize("shape", [(3, 5, 40), (1, 30, 30), (8, 8, 8)])
def test_a_scan_smaller_than_the_patch_is_segmented_all_the_same(shape):
    labels = np.zeros(shape, np.int64)
    labels[..., 2:], labels[..., shape[2] // 2 :] = 1, 2
    image = Volume(np.array(AIR)[labels].astype(np.float32), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))
    found = segmented(Reads(*AIR), image, patch=(16, 16, 16), uncertainty="perturbation")
    np.testing.assert_array_equal(found.labels_DHW, labels)


class Slope(nn.Module):
    """Rises along W of the window, so that it is not its own mirror image."""

    def forward(self, x_BCDHW: Tensor) -> Tensor:
        slope = torch.linspace(-3, 3, x_BCDHW.shape[-1]).expand(x_BCDHW[:, 0].shape)
        return torch.stack([torch.zeros_like(slope), slope, torch.full_like(slope, -0.01)], 1)


def test_mirrored_copies_are_turned_back_and_averaged():
    image = Volume(np.zeros((8, 8, 8), np.float32), (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))
    once = segmented(Slope(), image).labels_DHW
    assert (once[..., 4:] == 1).all() and (once[..., :4] == 0).all()
    assert (segmented(Slope(), image, mirror_axes=(0, 1)).labels_DHW == once).all()
    assert (segmented(Slope(), image, mirror_axes=(2,)).labels_DHW == 0).all()


def test_temperature_softens_the_uncertainty_and_leaves_the_labels():
    image, _ = scan(noise=30)
    network = tiny_network(SPEC, scale=4)
    for kind in ("entropy", "perturbation"):
        cool, warm = (segmented(network, image, uncertainty=kind, temperature=t) for t in (0.5, 4.0))
        np.testing.assert_array_equal(cool.labels_DHW, warm.labels_DHW)
        assert warm.uncertainty_DHW.mean() > cool.uncertainty_DHW.mean() + 5


def test_perturbation_finds_more_uncertainty_than_the_clean_scan_and_follows_from_the_seed():
    image, _ = scan(noise=30)
    network = tiny_network(SPEC, scale=8)
    entropy = segmented(network, image, uncertainty="entropy")
    first, again, other = (
        segmented(network, image, uncertainty="perturbation", settings={"seed": seed}) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.uncertainty_DHW, again.uncertainty_DHW)
    assert not np.array_equal(first.uncertainty_DHW, other.uncertainty_DHW)
    assert not np.array_equal(first.uncertainty_DHW, entropy.uncertainty_DHW)
    np.testing.assert_array_equal(first.labels_DHW, entropy.labels_DHW)


def test_a_model_that_names_no_perturbations_can_still_be_asked_for_them():
    image, _ = scan(noise=30)
    network = tiny_network(SPEC, scale=4)
    found = segmented(network, image, uncertainty="perturbation", perturbations=0)
    named = segmented(network, image, uncertainty="perturbation", perturbations=6)
    np.testing.assert_array_equal(found.uncertainty_DHW, named.uncertainty_DHW)


def test_half_precision_gives_nearly_the_same_labels():
    image, _ = scan(noise=30)
    network = tiny_network(SPEC, scale=4)
    exact = segmented(network, image).labels_DHW
    rough = segmented(network, image, settings={"autocast": torch.bfloat16}).labels_DHW
    assert (exact == rough).mean() > 0.97


@pytest.mark.parametrize("convention", ["nnunet", "monai"])
def test_a_model_of_a_tool_that_computes_in_single_precision_is_computed_so_unless_the_fastest_is_asked_for(convention):
    image, _ = scan(noise=30)
    network = tiny_network(SPEC, scale=4)

    def found(**settings):
        return segmented(network, image, uncertainty="entropy", convention=convention, settings=settings)

    exact, own = found(), found(autocast=torch.bfloat16)
    fastest = found(autocast=torch.bfloat16, own_precision=False)
    np.testing.assert_array_equal(own.uncertainty_DHW, exact.uncertainty_DHW)
    assert not np.array_equal(fastest.uncertainty_DHW, exact.uncertainty_DHW)
    assert (fastest.labels_DHW == exact.labels_DHW).mean() > 0.97


class StoppedError(Exception):
    pass


def stopping_after(count: int) -> Callable[[], None]:
    calls = itertools.count()

    def between() -> None:
        if next(calls) == count:
            raise StoppedError

    return between


def test_segmenting_stops_between_windows_when_told_to():
    image, _ = scan()
    with pytest.raises(StoppedError):
        segmented(Reads(*BODY), image, settings={"between": stopping_after(3)})


class LargestTensor(TorchDispatchMode):
    """Remembers the bytes of the largest tensor that any operation returned."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return result


def many(count: int) -> LabelSpace:
    return LabelSpace(tuple(organ_from_name(f"part {number}") for number in range(count)))


@pytest.mark.parametrize("uncertainty", ["none", "perturbation"])
def test_the_largest_tensor_does_not_grow_with_the_number_of_organs(uncertainty):
    hu = np.random.default_rng(0).normal(50, 60, (40, 40, 40)).astype(np.float32)
    image, budget = Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3)), 2**20
    peaks = []
    for count in (2, 60):
        manifest = tiny_manifest(many(count), tiny_spec(1 + count), patch=(8, 8, 8), step=1.0)
        settings = PredictionSettings(budget_bytes=budget, uncertainty=uncertainty)
        with LargestTensor() as seen:
            predict_volume(Reads(*range(1 + count)).eval(), manifest, image, CPU, settings)
        peaks.append(seen.bytes)
    whole_scan = 61 * 4 * 40**3
    assert max(peaks) <= 1.3 * budget < whole_scan / 10


def test_enlarging_a_coarse_grid_does_not_hold_the_whole_output_in_floats():
    hu = np.random.default_rng(0).normal(50, 60, (48, 48, 48)).astype(np.float32)
    image, budget = Volume(hu, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3)), 2**18
    manifest = tiny_manifest(ORGANS, SPEC, spacing_mm=(4.0, 4.0, 4.0))
    with LargestTensor() as seen:
        found = predict_volume(Reads(*BODY).eval(), manifest, image, CPU, PredictionSettings(budget_bytes=budget))
    assert found.labels_DHW.shape == (48, 48, 48)
    assert seen.bytes <= budget < 4 * 48**3


def test_more_than_255_organs_get_labels_of_their_own():
    hu = np.full((8, 8, 8), 300.0, np.float32)
    image = Volume(hu, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))

    class Last(nn.Module):
        def forward(self, x_BCDHW: Tensor) -> Tensor:
            return torch.arange(301.0).reshape(1, -1, 1, 1, 1).expand(1, 301, *x_BCDHW.shape[2:])

    manifest = tiny_manifest(many(300), tiny_spec(301))
    found = predict_volume(Last(), manifest, image, CPU, PredictionSettings())
    assert found.labels_DHW.dtype == np.uint16 and (found.labels_DHW == 300).all()
