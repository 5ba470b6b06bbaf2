"""Monte Carlo dropout at the coarsest level: seeded, gone afterwards, and the variance is the paper's."""

import numpy as np
import pytest
import torch
from tiny_models import organs, tiny_network, tiny_spec

from organincrement.contract.model import MultiHead, OrganHead
from organincrement.inference.monte_carlo import CoarsestDropout, Doubter, RunningVariance, windows_of
from organincrement.inference.readout import Readout
from organincrement.networks.sizing import NetworkSpec
from organincrement.replay.certainty import foreground_variance

PATCH = (8, 8, 8)
SLAB = np.random.default_rng(0).standard_normal(PATCH).astype(np.float32)
WHOLE = windows_of(SLAB, PATCH)


def doubter(kind="PlainConvUNet", readout=None, channels=3, **changes):
    network = tiny_network(tiny_spec(channels, kind), scale=3.0)
    settings = {"passes": 5, "temperature": 1.0, "device": torch.device("cpu"), **changes}
    return Doubter(network=network, readout=readout or Readout.softmax(channels), **settings)


def probabilities(asked, seed):
    """(T, organs, D, H, W) of the passes that `Doubter.uncertainty` makes of one window."""
    found = []
    with torch.no_grad(), CoarsestDropout(asked.network) as dropout:
        dropout.seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        for _ in range(asked.passes):
            found.append(asked.network(torch.from_numpy(SLAB)[None, None])[0].softmax(0)[1:].numpy())
    return np.stack(found)


def test_the_uncertainty_is_the_mean_variance_of_the_organs_probability():
    asked = doubter()
    p_TKDHW = probabilities(asked, [0, 7, 0])
    expected = [foreground_variance(p_TKDHW[:, k].reshape(5, 1, 8, 64))[0] for k in range(2)]
    np.testing.assert_allclose(asked.uncertainty(WHOLE, 7), expected, rtol=1e-4)
    assert min(expected) > 1e-8


@pytest.mark.parametrize("kind", ["PlainConvUNet", "ResidualEncoderUNet", "DynUNet", "SegResNet"])
def test_every_network_can_be_doubted_and_is_itself_again_afterwards(kind):
    asked = doubter(kind)
    with torch.no_grad():
        before = asked.network(torch.from_numpy(SLAB)[None, None])
        first = asked.uncertainty(WHOLE, 0)
        after = asked.network(torch.from_numpy(SLAB)[None, None])
    assert torch.equal(before, after) and not asked.network.training
    assert (first > 0).all() and (asked.uncertainty(WHOLE, 0) == first).all()
    assert (asked.uncertainty(WHOLE, 1) != first).any()


def test_a_two_dimensional_network_is_doubted_slice_by_slice():
    plain = tiny_spec(3)
    flat = {"kernels": [[1, 3, 3]] * 2, "strides": [[1, 1, 1], [1, 2, 2]]}
    network = tiny_network(NetworkSpec(kind=plain.kind, args={**plain.args, **flat}), scale=3.0)
    asked = Doubter(network=network, readout=Readout.softmax(3), passes=4, temperature=1.0, device=torch.device("cpu"))
    slices = windows_of(SLAB, (1, 8, 8))
    assert len(slices) == 8 and (asked.uncertainty(slices, 0) > 0).all()
    assert asked.abstraction(slices[:1]).shape == (8,)


def test_half_of_the_coarsest_activations_are_dropped_and_their_mean_stays():
    asked, kept = doubter(), []
    layer = asked.network.encoder.stages[-1]
    with torch.no_grad(), CoarsestDropout(asked.network) as dropout:
        dropout.seed(3)
        handle = layer.register_forward_hook(lambda m, given, output: kept.append(output))
        asked.network(torch.from_numpy(np.random.default_rng(1).standard_normal((1, 1, 16, 16, 16))).float())
        handle.remove()
    assert float((kept[0] == 0).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_each_head_answers_for_its_own_organs():
    space = organs("liver", "spleen")
    head = MultiHead(heads=tuple(OrganHead(organs=(organ,), prefix="x") for organ in ("spleen", "liver")))
    asked = doubter(channels=4, readout=Readout.of(head, space))
    by_organ = asked.uncertainty(WHOLE, 0)
    asked_of_spleen = doubter(channels=4, readout=Readout.of(head, space), passes=5)
    p = []
    with torch.no_grad(), CoarsestDropout(asked_of_spleen.network) as dropout:
        dropout.seed(int(np.random.SeedSequence([0, 0, 0]).generate_state(1)[0]))
        for _ in range(5):
            logits = asked_of_spleen.network(torch.from_numpy(SLAB)[None, None])[0]
            p.append(logits[:2].softmax(0)[1].numpy())
    assert by_organ[1] == pytest.approx(np.stack(p).var(0).mean(), rel=1e-4)


def test_the_running_variance_is_the_populations():
    values = torch.randn(29, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    running = RunningVariance()
    for value in values:
        running.add(value)
    torch.testing.assert_close(running.variance, values.var(0, correction=0))


@pytest.mark.parametrize("shape", [(8, 8, 8), (5, 8, 20), (8, 17, 3), (1, 1, 1)])
def test_windows_cover_a_slab_and_are_all_of_the_patchs_size(shape):
    slab = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    windows = windows_of(slab, PATCH)
    assert all(window.image_DHW.shape == window.weight_DHW.shape == PATCH for window in windows)
    assert set(np.unique(slab)) == set(np.unique(np.stack([window.image_DHW for window in windows])))
    assert sum(window.weight_DHW.sum() for window in windows) == pytest.approx(slab.size)


def test_neither_padding_nor_overlap_counts_in_the_uncertainty_of_a_slab():
    slab = np.random.default_rng(2).standard_normal((4, 8, 12)).astype(np.float32)
    asked, windows = doubter(), windows_of(slab, PATCH)
    assert len(windows) == 2
    variance = np.zeros((2, *slab.shape))
    times = np.zeros(slab.shape)
    for number, (window, first) in enumerate(zip(windows, (0, 4), strict=True)):
        p = []
        with torch.no_grad(), CoarsestDropout(asked.network) as dropout:
            dropout.seed(int(np.random.SeedSequence([0, 3, number]).generate_state(1)[0]))
            for _ in range(asked.passes):
                p.append(asked.network(torch.from_numpy(window.image_DHW)[None, None])[0].softmax(0)[1:].numpy())
        variance[..., first : first + 8] += np.stack(p).var(0)[:, 2:6]
        times[..., first : first + 8] += 1
    np.testing.assert_allclose(asked.uncertainty(windows, 3), (variance / times).mean((1, 2, 3)), rtol=1e-4)


def test_the_abstraction_is_the_mean_of_the_coarsest_activations():
    asked = doubter()
    seen = []
    handle = asked.network.encoder.stages[-1].register_forward_hook(lambda m, given, output: seen.append(output))
    vector = asked.abstraction(WHOLE + windows_of(SLAB + 1, PATCH))
    handle.remove()
    expected = torch.stack([output[0].mean((1, 2, 3)) for output in seen]).mean(0)
    np.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-6)
