"""Windows as nnU-Net places, weights and sums them, and probabilities in the place of logits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from foreign_models.nnunet2_reference import importance, starts
from tiny_models import organs, preprocessing, tiny_manifest, tiny_network, tiny_spec

from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.inference.readout import Readout
from organincrement.inference.windows import Windows, average_windows

NNUNET = CONVENTIONS["nnunet"]
CPU = torch.device("cpu")


@pytest.mark.parametrize("patch", [(8, 12, 7), (64, 64, 64), (1, 32, 20)])
def test_importance_is_that_of_a_smoothed_impulse_in_half_precision(patch):
    weight = Windows(shape=patch, patch=patch, step=0.5, rules=NNUNET).weight_DHW
    assert weight.dtype == torch.float16
    np.testing.assert_array_equal(weight.numpy(), importance(patch))
    assert float(weight.min()) > 0


@pytest.mark.parametrize(("size", "patch"), [(110, 64), (64, 64), (65, 64), (37, 9), (200, 48), (131, 7)])
def test_windows_start_where_nnunets_do(size, patch):
    windows = Windows(shape=(size,) * 3, patch=(patch,) * 3, step=0.5, rules=NNUNET)
    assert windows.starts == (tuple(starts(size, patch)),) * 3


def test_sums_in_half_precision_are_those_of_nnunet_step_by_step():
    shape, patch = (13, 10, 8), (8, 8, 8)
    windows = Windows(shape=shape, patch=patch, step=0.5, rules=NNUNET)
    answers = torch.randn(50, 2, *patch, generator=torch.Generator().manual_seed(0)) * 30
    whole = tuple(slice(0, n) for n in shape)
    found = average_windows(
        torch.zeros(shape), windows, whole, lambda x, number: answers[number].clone(), 2, CPU, lambda: None
    )
    weight = torch.from_numpy(importance(patch))
    total, weights = torch.zeros(2, *shape).half(), torch.zeros(shape).half()
    for number, place in windows.over(whole):
        box = tuple(slice(s, s + p) for s, p in zip(place, patch, strict=True))
        total[(slice(None), *box)] += answers[number] * weight
        weights[box] += weight
    assert found.dtype == torch.float16
    assert torch.equal(found, total / weights)


def test_answers_too_large_for_half_precision_stay_numbers():
    windows = Windows(shape=(8, 8, 8), patch=(8, 8, 8), step=0.5, rules=NNUNET)
    whole = (slice(0, 8),) * 3
    huge = torch.full((1, 8, 8, 8), 1e30)
    found = average_windows(torch.zeros(8, 8, 8), windows, whole, lambda x, n: huge, 1, CPU, lambda: None)
    assert found.isfinite().all()


def scan() -> Volume:
    array = np.random.default_rng(1).normal(60, 120, (12, 14, 11)).astype(np.float32)
    return Volume(array, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), np.eye(3))


@pytest.mark.parametrize("uncertainty", ["entropy", "perturbation"])
def test_averaged_probabilities_give_the_most_probable_label_and_their_own_entropy(uncertainty):
    space, spec = organs("liver", "spleen"), tiny_spec(3)
    network = tiny_network(spec, scale=60)
    manifest = tiny_manifest(space, spec, convention="monai", mirror_axes=(1,))
    asked = replace(manifest, inference=replace(manifest.inference, average="probabilities"))
    image = scan()
    settings = PredictionSettings(uncertainty=uncertainty)
    with torch.inference_mode():
        found = predict_volume(network, asked, image, CPU, settings)
        rules = CONVENTIONS["monai"]
        windows = Windows(shape=image.shape_DHW, patch=(8, 8, 8), step=0.5, rules=rules)

        def p_of(x: torch.Tensor, _: int) -> torch.Tensor:
            return (network(x)[0].softmax(0) + network(x.flip(3))[0].softmax(0).flip(2)) / 2

        x_DHW = torch.from_numpy((np.clip(image.array_DHW, -200, 300) - 20) / 120)
        p = average_windows(x_DHW, windows, tuple(slice(0, n) for n in image.shape_DHW), p_of, 3, CPU, lambda: None)
    expected = p.argmax(0).numpy()
    assert (found.labels_DHW != expected).mean() < 1e-3
    logits_first = predict_volume(network, manifest, image, CPU, settings)
    assert (logits_first.labels_DHW != expected).mean() > 0.005
    if uncertainty == "entropy":
        doubt = (torch.special.entr(p).sum(0) / np.log(3) * 100).round().numpy()
        assert np.abs(found.uncertainty_DHW.astype(float) - doubt).max() <= 1


def test_probabilities_come_back_as_logits_also_of_heads_without_a_background():
    softmax = Readout.softmax(3)
    logits = torch.randn(3, 2, 2, 2)
    p = softmax.probabilities(logits, 1.0)
    torch.testing.assert_close(softmax.probabilities(softmax.all_as_logits(p), 1.0), p)
    sigmoid = Readout(groups=(replace(softmax.groups[0], background=None, channels=(0, 1)),), channels=2, classes=3)
    alone = replace(sigmoid.groups[0], channels=(0,), labels=(1,), hosts=(0,), ranges_mm=(None,))
    one = Readout(groups=(alone,), channels=1, classes=2)
    p = one.probabilities(logits[:1], 1.0)
    torch.testing.assert_close(one.all_as_logits(p), logits[:1], atol=1e-4, rtol=1e-4)


def test_a_convention_changes_how_a_model_answers():
    space, spec = organs("liver", "spleen"), tiny_spec(3)
    network, image = tiny_network(spec, scale=60), scan()
    ours, theirs = (
        predict_volume(network, tiny_manifest(space, spec, convention=name), image, CPU, PredictionSettings())
        for name in ("organincrement", "nnunet")
    )
    assert (ours.labels_DHW != theirs.labels_DHW).any()
    assert preprocessing().convention == "organincrement"
