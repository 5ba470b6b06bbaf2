"""Cached cases and the patches drawn from them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from organincrement.imaging.cache import CachedCase, write_case
from organincrement.imaging.patches import UNLABELLED, PatchSampler, seed_of

SHAPE = (20, 22, 40)
FILL = -2.0


def arrays(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int16)
    labels[2:4, 2:4, 2:4] = 1
    labels[-1, -1, -1] = 2
    labels[:, :, shape[2] // 2] = UNLABELLED
    return rng.normal(size=shape).astype(np.float32), labels


def cached(folder: Path, name: str = "a", seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> CachedCase:
    return write_case(folder, name, *arrays(seed, shape), seed=0)


def sampler(cases: list[CachedCase], **changes: object) -> PatchSampler:
    settings = {"patch": (8, 8, 8), "batch": 2, "foreground": 1, "seed": 5, "fill": FILL} | changes
    return PatchSampler(cases=cases, **settings)  # type: ignore[arg-type]


def test_a_case_comes_back_from_the_cache_in_half_precision_with_exact_labels(tmp_path):
    image, labels = arrays()
    case = cached(tmp_path)
    np.testing.assert_array_equal(case.labels_DHW(), labels)
    np.testing.assert_allclose(case.image_DHW(), image, rtol=1e-3, atol=1e-4)
    assert case.image_DHW().dtype == np.float32 and case.labels_DHW().dtype == np.int16
    where = (slice(1, 9), slice(0, 5), slice(30, 40))
    part, part_labels = case.read(where)
    np.testing.assert_array_equal(part, case.image_DHW()[where])
    np.testing.assert_array_equal(part_labels, labels[where])


def test_a_case_that_is_written_again_is_replaced(tmp_path):
    cached(tmp_path, seed=0)
    case = cached(tmp_path, seed=1)
    np.testing.assert_allclose(case.image_DHW(), arrays(1)[0], rtol=1e-3, atol=1e-4)


def test_points_are_voxels_of_their_organ_and_not_too_many(tmp_path):
    labels = np.ones((40, 40, 40), np.int16)
    labels[0] = 0
    labels[0, 0, 0] = 7
    points = write_case(tmp_path, "big", np.zeros(labels.shape, np.float32), labels, seed=0).points()
    assert points.keys() == {1, 7} and len(points[1]) == 10_000 and points[7].tolist() == [[0, 0, 0]]
    assert (labels[tuple(points[1].T)] == 1).all()
    assert len(np.unique(points[1], axis=0)) == 10_000


def test_a_case_without_organs_has_no_points_and_gives_patches_all_the_same(tmp_path):
    case = write_case(tmp_path, "empty", np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.int16), seed=0)
    assert case.points() == {}
    assert [patch.image_DHW.shape for patch in sampler([case], foreground=2).draw(0)] == [(8, 8, 8)] * 2


def test_every_foreground_patch_holds_an_organ_and_every_organ_comes_as_often(tmp_path):
    drawn = sampler([cached(tmp_path)], foreground=2)
    held = Counter()
    for step in range(100):
        for patch in drawn.draw(step):
            found = {1, 2} & set(np.unique(patch.labels_DHW))
            assert found
            held.update(found)
    # 8 voxels against 1; the two lie too far apart for one patch
    assert held[1] + held[2] == 200 and 70 < held[2] < 130


def test_the_other_patches_lie_anywhere(tmp_path):
    image, _ = arrays()
    case = write_case(tmp_path, "where", np.indices(SHAPE)[2].astype(np.float32), arrays()[1], seed=0)
    firsts = [sampler([case], foreground=0).draw(step)[0].image_DHW[0, 0, 0] for step in range(200)]
    assert min(firsts) == 0 and max(firsts) == SHAPE[2] - 8 and len(set(firsts)) > 25
    assert image.shape == SHAPE


def test_a_patch_is_cut_where_its_labels_are_cut(tmp_path):
    _, labels = arrays()
    case = write_case(tmp_path, "twin", labels.astype(np.float32), labels, seed=0)
    for step in range(20):
        for patch in sampler([case]).draw(step):
            np.testing.assert_array_equal(patch.image_DHW, patch.labels_DHW)


def test_a_step_draws_the_same_patches_whatever_was_drawn_before(tmp_path):
    cases = [cached(tmp_path, name, seed) for seed, name in enumerate("abc")]
    fresh, used = sampler(cases), sampler(cases)
    for step in range(7):
        used.draw(step)
    for first, again in zip(fresh.draw(7), used.draw(7), strict=True):
        assert first.case_id == again.case_id
        np.testing.assert_array_equal(first.image_DHW, again.image_DHW)


def test_other_steps_and_other_seeds_draw_other_patches(tmp_path):
    case = cached(tmp_path)
    patches = [sampler([case], seed=seed).draw(step)[1].image_DHW.tobytes() for seed in (1, 2) for step in range(5)]
    assert len(set(patches)) == 10


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_each_case_is_seen_equally_often_and_in_changing_order(tmp_path, batch):
    cases = [cached(tmp_path, name, shape=(8, 8, 8)) for name in "abcd"]
    drawn = sampler(cases, batch=batch)
    seen = [patch.case_id for step in range(24) for patch in drawn.draw(step)]
    rounds = [tuple(seen[i : i + 4]) for i in range(0, len(seen), 4)]
    assert all(set(turn) == set("abcd") for turn in rounds) and len(set(rounds)) > 2


def test_a_patch_larger_than_its_case_is_filled_and_unlabelled_around_it(tmp_path):
    case = cached(tmp_path, shape=(5, 22, 6))
    for patch in sampler([case], patch=(8, 16, 12), foreground=1).draw(0):
        known = (slice(1, 6), slice(None), slice(3, 9))
        outside = np.ones((8, 16, 12), bool)
        outside[known] = False
        assert (patch.image_DHW[outside] == FILL).all() and (patch.labels_DHW[outside] == UNLABELLED).all()
        start = next(s for s in range(7) if np.array_equal(patch.image_DHW[known], case.image_DHW()[:, s : s + 16, :]))
        np.testing.assert_array_equal(patch.labels_DHW[known], case.labels_DHW()[:, start : start + 16, :])


def test_seeds_follow_from_all_their_numbers():
    seeds = {seed_of(*numbers) for numbers in [(0,), (0, 1), (1, 0), (0, 1, 1), (0, 1, 2)]}
    assert len(seeds) == 5 and seed_of(0, 1, 2) == seed_of(0, 1, 2) and all(0 <= s < 2**32 for s in seeds)
