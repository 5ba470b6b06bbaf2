"""Vectors whose squared distances are CoRiSeg's content distance, exactly or within what a sketch allows."""

import numpy as np
import pytest
import torch
from tiny_models import tiny_network, tiny_spec

from organincrement.inference.content import ContentVectors, trunk_activations, vgg_activations
from organincrement.networks.vgg import Vgg16
from organincrement.replay.similarity import content_features

LAYERS = [
    np.random.default_rng(number).random((8, filters, edge, edge)).astype(np.float32)
    for number, (filters, edge) in enumerate([(16, 20), (32, 10), (64, 5)])
]
LENGTH = sum(layer[0].size for layer in LAYERS)
CPU = torch.device("cpu")


def look(slab_DHW, take):
    for layer in LAYERS:
        take(torch.from_numpy(layer[int(slab_DHW[0, 0, 0])]))


def distances(features):
    return np.square(features[:, None] - features[None]).sum(-1)


def vectors_of(**settings):
    vectors = ContentVectors(activations=look, count=8, **settings)
    return vectors, np.stack([vectors.of(np.full((1, 1, 1), number)) for number in range(8)])


def test_small_sets_have_the_exact_distance():
    vectors, found = vectors_of()
    np.testing.assert_allclose(distances(found), distances(content_features(LAYERS)), rtol=1e-4, atol=1e-3)
    assert vectors.words == "exact" and found.shape == (8, LENGTH)


@pytest.mark.parametrize(("numbers", "most_off"), [(1024, 0.15), (4096, 0.08)])
def test_large_sets_are_sketched_within_a_budget(numbers, most_off):
    vectors, found = vectors_of(budget_bytes=8 * 4 * numbers)
    assert found.shape == (8, numbers) and found.nbytes <= 8 * 4 * numbers
    expected = distances(content_features(LAYERS))
    off = np.abs(distances(found) - expected)[expected > 0] / expected[expected > 0]
    assert off.max() < most_off and f"{numbers} numbers" in vectors.words
    assert np.array_equal(found, vectors_of(budget_bytes=8 * 4 * numbers)[1])


def test_no_sketch_is_longer_than_some_thousand_numbers_nor_uselessly_short():
    short, _ = vectors_of(budget_bytes=100)
    assert short.numbers == 256


def test_the_networks_own_convolutions_tell_pictures_apart():
    rng = np.random.default_rng(0)
    network = tiny_network(tiny_spec(3))
    vectors = ContentVectors(activations=trunk_activations(network, (8, 8, 8), CPU), count=3)
    slab = rng.standard_normal((8, 20, 12)).astype(np.float32)
    same, other = vectors.of(slab), vectors.of(rng.standard_normal((8, 11, 9)).astype(np.float32))
    assert np.array_equal(same, vectors.of(slab)) and np.square(same - other).sum() > 1e-3
    assert not any(module._forward_hooks for module in network.modules())


def test_a_vgg_sees_the_middle_slice_of_a_slab():
    torch.manual_seed(0)
    vectors = ContentVectors(activations=vgg_activations(Vgg16().eval(), CPU), count=10_000, budget_bytes=2**20)
    slab = np.random.default_rng(0).standard_normal((3, 12, 12)).astype(np.float32)
    changed = slab.copy()
    changed[[0, 2]] = 0
    assert np.array_equal(vectors.of(slab), vectors.of(changed)) and vectors.numbers == 256
