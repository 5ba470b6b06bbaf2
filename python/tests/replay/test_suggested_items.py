"""Which items are suggested: uncertain, standing for many, no two alike, whatever the scale of the features."""

import itertools

import numpy as np
import pytest

from organincrement.replay.suggestion import standardised, suggest_items


def three_groups() -> tuple[np.ndarray, np.ndarray]:
    """Twelve items around three places (6, 4, 2 of them), and one that is like nothing else, the most uncertain."""
    rng = np.random.default_rng(0)
    places = np.repeat([[0.0, 0, 0], [5, 0, 0], [0, 5, 0]], [6, 4, 2], axis=0)
    features = np.concatenate([places + 0.1 * rng.standard_normal(places.shape), [[40.0, 40, 40]]])
    return features, np.array([1.0] * 12 + [9.0])


def test_each_group_is_represented_before_the_odd_one_out():
    features, uncertainty = three_groups()
    chosen = [item.index for item in suggest_items(features, uncertainty, 4)]
    group = np.repeat([0, 1, 2, 3], [6, 4, 2, 1])
    assert group[chosen[0]] == 0 and sorted(group[chosen][:2]) == [0, 1]
    assert chosen.index(12) >= 2


def test_only_the_more_uncertain_half_is_suggested_while_it_is_large_enough():
    features = np.random.default_rng(1).standard_normal((20, 4))
    uncertainty = np.arange(20.0)
    assert all(item.index >= 10 for item in suggest_items(features, uncertainty, 5))
    assert len({item.index for item in suggest_items(features, uncertainty, 30)}) == 20


def test_gains_fall_and_sum_to_one_over_all_items():
    features, uncertainty = three_groups()
    gains = [item.gain for item in suggest_items(features, uncertainty, 13)]
    assert sum(gains) == pytest.approx(1) and all(a >= b - 1e-12 for a, b in itertools.pairwise(gains))


def test_the_scale_of_a_feature_and_a_constant_one_do_not_matter():
    features, uncertainty = three_groups()
    scaled = np.concatenate([features * [1, 1000, 1e-3], np.full((13, 1), 7.0)], axis=1)
    first, second = (suggest_items(array, uncertainty, 5) for array in (features, scaled))
    assert [item.index for item in first] == [item.index for item in second]
    assert (standardised(scaled)[:, 3] == 0).all()


def test_one_item_equal_items_and_none():
    assert suggest_items(np.zeros((0, 3)), np.zeros(0), 2) == []
    (only,) = suggest_items(np.ones((1, 3)), np.ones(1), 2)
    assert (only.index, only.gain) == (0, 1.0)
    equal = suggest_items(np.ones((4, 3)), np.ones(4), 4)
    assert [item.index for item in equal] == [0, 1, 2, 3] and [item.gain for item in equal] == [1.0, 0.0, 0.0, 0.0]
