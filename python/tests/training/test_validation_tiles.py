"""A held-back case is segmented tile by tile: the same whatever the budget, and never more than one tile at a time."""

import weakref

import numpy as np
import pytest
import torch
from tiny_models import tiny_network, tiny_spec
from torch import nn

from organincrement.imaging.cache import write_case
from organincrement.imaging.patches import PatchSampler
from organincrement.training import validation
from organincrement.training.validation import Segmenter

CHANNELS = 5
SMALL_BYTES = 4 * CHANNELS * 2_000
FOLDED = [[0, 3], [1], [2, 4]]


@pytest.fixture
def network() -> nn.Module:
    return tiny_network(tiny_spec(CHANNELS), scale=5.0)


@pytest.fixture
def case(tmp_path):
    image = np.random.default_rng(1).normal(size=(21, 17, 30)).astype(np.float32)
    return write_case(tmp_path, "pt", image, np.zeros(image.shape, np.int16), seed=0)


def segmenter(budget_bytes: int) -> Segmenter:
    return Segmenter(
        patch=(8, 8, 8), step=0.5, fill=-1.0, device=torch.device("cpu"), autocast=None, between=lambda: None,
        budget_bytes=budget_bytes,
    )  # fmt: skip


def folded(logits_CDHW: torch.Tensor) -> torch.Tensor:
    log_p_CDHW = logits_CDHW.log_softmax(0)
    return torch.stack([log_p_CDHW[group].logsumexp(0) for group in FOLDED])


def labelled(logits_CDHW):
    return folded(logits_CDHW).argmax(0)


@pytest.fixture
def tiles(monkeypatch):
    """Bytes of every tile made; making one while another is still held fails."""
    made, sizes, average_windows = [], [], validation.average_windows

    def watched(*args):
        assert not [tile for tile in made if tile() is not None], "two tiles at a time"
        mean_CDHW = average_windows(*args)
        made.append(weakref.ref(mean_CDHW))
        sizes.append(4 * mean_CDHW.numel())
        return mean_CDHW

    monkeypatch.setattr(validation, "average_windows", watched)
    return sizes


@pytest.mark.parametrize("ask", [
    lambda small, network, case: small.labels(network, case, CHANNELS),
    lambda small, network, case: small.labels(network, case, CHANNELS, labelled),
    lambda small, network, case: small.logits_at(network, case, CHANNELS, np.arange(0, 21 * 17 * 30, 7)).numpy(),
])  # fmt: skip
def test_the_budget_changes_the_tiles_and_not_the_answer(network, case, tiles, ask):
    whole = ask(segmenter(2**28), network, case)
    assert tiles == [4 * CHANNELS * 21 * 17 * 30]
    tiles.clear()
    in_tiles = ask(segmenter(SMALL_BYTES), network, case)
    assert len(tiles) >= 6 and max(tiles) <= SMALL_BYTES and sum(tiles) == 4 * CHANNELS * 21 * 17 * 30
    np.testing.assert_array_equal(in_tiles, whole)


def test_folded_labels_are_those_of_the_whole_case_folded(network, case):
    logits_CDHW = segmenter(2**28).logits(network, case, CHANNELS)
    labels_DHW = segmenter(SMALL_BYTES).labels(network, case, CHANNELS, labelled)
    assert labels_DHW.dtype == np.int16 and len(np.unique(labels_DHW)) > 1
    np.testing.assert_array_equal(labels_DHW, folded(logits_CDHW).argmax(0).numpy())


def test_logits_at_drawn_voxels_are_those_of_the_whole_case_in_the_order_asked_for(network, case):
    drawn = np.random.default_rng(2).choice(21 * 17 * 30, 500, replace=False)
    logits_CN = segmenter(2**28).logits(network, case, CHANNELS).reshape(CHANNELS, -1)
    found_NC = segmenter(SMALL_BYTES).logits_at(network, case, CHANNELS, drawn)
    assert torch.equal(found_NC, logits_CN[:, drawn].T)
    assert segmenter(SMALL_BYTES).logits_at(network, case, CHANNELS, drawn[:0]).shape == (0, CHANNELS)


def test_a_tile_that_does_not_fit_is_cut_smaller_than_the_budget(network, case, tiles, monkeypatch):
    small, forward, failures = segmenter(SMALL_BYTES), network.forward, iter([MemoryError()])

    def full_once(x_BCDHW):
        for error in failures:
            raise error
        return forward(x_BCDHW)

    expected = segmenter(2**28).labels(network, case, CHANNELS)
    tiles.clear()
    monkeypatch.setattr(network, "forward", full_once)
    np.testing.assert_array_equal(small.labels(network, case, CHANNELS), expected)
    assert small.rung == 1 and max(tiles) <= SMALL_BYTES / 8


class Seeing(nn.Module):
    """Answers with the image itself, and keeps it."""

    def forward(self, x_11DHW: torch.Tensor) -> torch.Tensor:
        self.seen_DHW = x_11DHW[0, 0].numpy()
        return x_11DHW.expand(-1, 2, -1, -1, -1)


@pytest.mark.parametrize("budget_bytes", [1 << 30, 200])
def test_a_case_smaller_than_the_patch_lies_in_it_where_training_puts_it(tmp_path, budget_bytes):
    image = np.random.default_rng(1).normal(size=(5, 8, 3)).astype(np.float32)
    small, network = write_case(tmp_path, "pt", image, np.zeros(image.shape, np.int16), seed=0), Seeing()
    logits = segmenter(budget_bytes).logits(network, small, 2)
    sampler = PatchSampler(cases=[small], patch=(8, 8, 8), batch=1, foreground=0, seed=0, fill=-1.0)
    np.testing.assert_array_equal(network.seen_DHW, sampler.draw(0)[0].image_DHW)
    np.testing.assert_allclose(logits.numpy(), np.stack([image, image]), rtol=1e-3)
