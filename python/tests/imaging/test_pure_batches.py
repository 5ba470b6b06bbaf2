"""Batches with exemplars: each all new or all old, in proportion, from seed and step alone."""

from collections import Counter

import numpy as np
import pytest

from organincrement.imaging.cache import write_case
from organincrement.imaging.patches import PatchSampler
from organincrement.replay.vault import ExemplarCase


@pytest.fixture
def sets(tmp_path):
    new = [write_case(tmp_path, f"n{i}", np.zeros((24, 9, 9), np.float32), np.zeros((24, 9, 9)), 0) for i in range(2)]
    old = [write_case(tmp_path, f"e{i}", np.zeros((8, 9, 9), np.float32), np.full((8, 9, 9), -1), 0) for i in range(4)]
    return new, old


def sampler(new, old, **changes):
    settings = {"patch": (8, 8, 8), "batch": 2, "foreground": 1, "seed": 5, "fill": 0.0, **changes}
    return PatchSampler(cases=new, exemplars=old, **settings)


def ids(drawn):
    return tuple(patch.case_id for patch in drawn)


def test_every_batch_is_pure_and_kinds_come_in_proportion_to_the_slabs(sets):
    batches = [ids(sampler(*sets).draw(step)) for step in range(100)]
    kinds = [{name[0] for name in batch} for batch in batches]
    assert all(len(kind) == 1 for kind in kinds)
    assert sum(kind == {"e"} for kind in kinds) == 40  # 4 slabs of 4 + 2 x 3
    longest = max(len(run) for run in "".join(kind.pop() for kind in kinds).split("e"))
    assert longest <= 2  # evenly interleaved


@pytest.mark.parametrize(("most", "replayed"), [(0.32, 32), (0.25, 25), (0.0, 0), (0.5, 40), (1.0, 40)])
def test_exemplars_have_no_larger_share_of_the_batches_than_allowed(sets, most, replayed):
    kinds = "".join(ids(sampler(*sets, replay_at_most=most).draw(step))[0][0] for step in range(100))
    assert kinds.count("e") == replayed
    assert max(len(run) for run in kinds.split("n")) <= 2  # evenly interleaved


def test_each_case_of_both_sets_is_seen_equally_often(sets):
    seen = Counter(name for step in range(100) for name in ids(sampler(*sets).draw(step)))
    assert {seen[f"n{i}"] for i in range(2)} == {60} and {seen[f"e{i}"] for i in range(4)} == {20}


def test_a_step_draws_the_same_whatever_was_drawn_before_and_the_seed_moves_it(sets):
    fresh = [ids(sampler(*sets).draw(step)) for step in (7, 3, 50)]
    one = sampler(*sets)
    assert [ids(one.draw(step)) for step in (7, 3, 50)] == fresh
    kinds = {seed: "".join(ids(sampler(*sets, seed=seed).draw(step))[0][0] for step in range(20)) for seed in range(8)}
    assert len(set(kinds.values())) > 1


def test_without_exemplars_nothing_changes(sets):
    new, _ = sets
    drawn = [ids(sampler(new, ()).draw(step)) for step in range(6)]
    assert {name for batch in drawn for name in batch} == {"n0", "n1"}
    assert all(set(batch) == {"n0", "n1"} for batch in drawn)  # rounds of two, batches of two


def test_exemplars_larger_than_a_patch_are_aimed_at_their_organ(tmp_path):
    blob = np.zeros((8, 64, 64), np.float32)
    case = write_case(tmp_path, "e", blob, np.full(blob.shape, -1), 0)
    aimed = ExemplarCase(
        id="exemplar:1", folder=tmp_path, shape=case.shape, file="e.image.b2nd", aims={1: np.array([[4, 50, 10]])}
    )
    draws = PatchSampler(cases=[case], exemplars=[aimed], patch=(8, 16, 16), batch=4, foreground=4, seed=0, fill=0.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        start = draws._start(aimed, rng, on_organ=True)
        assert start[1] <= 50 < start[1] + 16 and start[2] <= 10 < start[2] + 16
    patch = next(batch for batch in map(draws.draw, range(9)) if batch[0].case_id == "exemplar:1")[0]
    assert (patch.labels_DHW == -1).all() and patch.labels_DHW.dtype == np.int16
