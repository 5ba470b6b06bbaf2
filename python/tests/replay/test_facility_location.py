"""Greedy facility location: the same picks as the plain rule, in seconds and little memory for many items."""

import time
import tracemalloc

import numpy as np
import pytest

from organincrement.replay import facility_location
from organincrement.replay.errors import ReplayError
from organincrement.replay.facility_location import choose_facilities, covered_sample
from organincrement.replay.similarity import CosineSimilarity, DistanceSimilarity


def plain_greedy(similarity_NM: np.ndarray, count: int) -> list[int]:
    """The definition, without any bound."""
    order, covered = [], np.full(similarity_NM.shape[1], -np.inf)
    for _ in range(count):
        values = np.maximum(covered, similarity_NM).sum(1)
        values[order] = -np.inf
        order.append(int(np.flatnonzero(values >= values.max() - 1e-9 * abs(values.max()))[0]))
        covered = np.maximum(covered, similarity_NM[order[-1]])
    return order


def clusters(rng: np.random.Generator, sizes: list[int], width: float = 0.05) -> np.ndarray:
    """Points around well separated centres, cluster after cluster."""
    centres = 4 * rng.standard_normal((len(sizes), 6))
    return np.concatenate([c + width * rng.standard_normal((n, 6)) for c, n in zip(centres, sizes, strict=True)])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["cosine", "distance", "kernel"])
def test_lazy_picks_are_those_of_the_plain_rule(seed, kind, monkeypatch):
    monkeypatch.setattr(facility_location, "BLOCK_BYTES", 8 * 120 * 7)  # blocks of seven, so that bounds matter
    features = np.random.default_rng(seed).standard_normal((120, 5))
    similarity = {
        "cosine": lambda: CosineSimilarity(features),
        "distance": lambda: DistanceSimilarity(features),
        "kernel": lambda: DistanceSimilarity(features, width=1.5),
    }[kind]()
    chosen = choose_facilities(similarity, 25)
    assert chosen.order.tolist() == plain_greedy(similarity.rows(np.arange(120)), 25)
    assert (np.diff(chosen.coverage) >= -1e-9).all()


def test_each_cluster_is_chosen_once_before_any_twice():
    features = clusters(np.random.default_rng(0), [40, 5, 20, 10])
    order = choose_facilities(DistanceSimilarity(features, width=1.0), 4).order
    owner = np.repeat(np.arange(4), [40, 5, 20, 10])
    assert owner[order].tolist() == [0, 2, 3, 1]  # the largest first


def test_copies_of_one_item_are_taken_last_and_in_order():
    features = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1], [0.6, 0.8]])
    assert choose_facilities(CosineSimilarity(features), 5).order.tolist() == [0, 3, 4, 1, 2]


def test_nothing_to_choose_from_gives_an_empty_choice_and_too_many_asked_gives_all():
    similarity = CosineSimilarity(np.eye(3))
    assert choose_facilities(similarity, 0).order.size == 0
    assert choose_facilities(similarity, 2, []).order.size == 0
    assert sorted(choose_facilities(similarity, 9, [2, 0]).order.tolist()) == [0, 2]


def test_a_candidate_that_is_not_there_and_features_that_are_no_numbers_are_refused():
    with pytest.raises(ReplayError, match="0 to 2"):
        choose_facilities(CosineSimilarity(np.eye(3)), 1, [3])
    with pytest.raises(ReplayError, match="finite"):
        CosineSimilarity(np.array([[np.nan, 1.0]]))
    with pytest.raises(ReplayError, match="above 0"):
        DistanceSimilarity(np.eye(2), width=0.0)


def test_a_sample_covers_nearly_as_well_as_all_items(monkeypatch):
    features = clusters(np.random.default_rng(1), [900, 300, 600, 200], width=0.4)
    everything = choose_facilities(DistanceSimilarity(features, width=1.0), 8)
    monkeypatch.setattr(facility_location, "EXACT_UP_TO", 100)
    monkeypatch.setattr(facility_location, "MOST_COVERED", 250)
    sample = covered_sample(len(features))
    assert len(sample) == 250 and (covered_sample(len(features)) == sample).all()
    order = choose_facilities(DistanceSimilarity(features, features[sample], width=1.0), 8).order
    reached = DistanceSimilarity(features, width=1.0).rows(order).max(0).sum()
    assert reached > 0.98 * everything.coverage[-1]


@pytest.mark.slow
def test_a_hundred_thousand_items_take_seconds_and_no_square_matrix():
    features = np.random.default_rng(0).standard_normal((100_000, 128), dtype=np.float32)
    sample = covered_sample(len(features))
    tracemalloc.start()
    started = time.process_time()
    chosen = choose_facilities(CosineSimilarity(features, features[sample]), 20)
    taken_s, (_, peak_bytes) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(set(chosen.order.tolist())) == 20
    assert peak_bytes < 500 * 2**20 and taken_s < 60


@pytest.mark.slow
def test_the_surest_slices_of_ten_organs_cover_a_hundred_thousand_exactly_in_seconds():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((100_000, 64), dtype=np.float32)
    similarity = CosineSimilarity(features)
    started = time.process_time()
    chosen = [choose_facilities(similarity, 30, rng.choice(100_000, 50, replace=False)) for _ in range(10)]
    taken_s = time.process_time() - started
    assert all(len(set(one.order.tolist())) == 30 and (np.diff(one.coverage) >= 0).all() for one in chosen)
    assert taken_s < 60


@pytest.mark.parametrize("kind", [CosineSimilarity, DistanceSimilarity])
@pytest.mark.parametrize(
    ("dtype", "scale", "offset"),
    [(np.float32, 1e20, 0.0), (np.float32, 1e-25, 0.0), (np.float32, 1.0, 1e3), (np.float16, 1.0, 100.0)],
)
def test_features_of_any_size_and_precision_are_compared_as_exactly_as_they_are_given(kind, dtype, scale, offset):
    features = (np.random.default_rng(3).standard_normal((60, 8)) * scale + offset).astype(dtype)
    features[20:40] = features[:20]  # of equal ones the first is taken
    exact = features.astype(np.longdouble)
    if kind is CosineSimilarity:
        exact /= np.sqrt((exact**2).sum(1, keepdims=True))
        similarity = exact @ exact.T
    else:
        similarity = -((exact[:, None] - exact[None]) ** 2).sum(2)
    choice = choose_facilities(kind(features), 10)
    assert choice.order.tolist() == plain_greedy(similarity, 10)
    assert choice.coverage[-1] == pytest.approx(float(similarity[choice.order].max(0).sum()), rel=1e-6)


def test_where_there_is_nothing_to_cover_the_first_are_taken():
    choice = choose_facilities(CosineSimilarity(np.eye(3), np.zeros((0, 3))), 2)
    assert choice.order.tolist() == [0, 1] and choice.coverage.tolist() == [0.0, 0.0]


def test_candidates_that_are_no_whole_numbers_are_refused():
    with pytest.raises(ReplayError, match="whole numbers in 0 to 2"):
        choose_facilities(CosineSimilarity(np.eye(3)), 2, [0.5, 1.7])
    assert choose_facilities(CosineSimilarity(np.eye(3)), 2, []).order.size == 0
