"""Intervals and tests over cases."""

import math

import numpy as np
import pytest

from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.statistics import bootstrap_ci, paired_difference


def test_the_bootstrap_interval_of_a_large_sample_is_the_textbook_one():
    sample = np.random.default_rng(1).normal(0.8, 0.1, 400)
    low, high = bootstrap_ci(sample)
    half_width = 1.96 * sample.std(ddof=1) / math.sqrt(len(sample))
    assert low == pytest.approx(sample.mean() - half_width, abs=6e-4)
    assert high == pytest.approx(sample.mean() + half_width, abs=6e-4)


def test_about_95_of_100_intervals_hold_the_true_mean():
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        low, high = bootstrap_ci(generator.uniform(0, 1, 60), resamples=500)
        held += low <= 0.5 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    sample = [0.7, 0.8, 0.65, 0.9, 0.71]
    assert bootstrap_ci(sample) == bootstrap_ci(sample)
    assert bootstrap_ci(sample, resamples=200) != bootstrap_ci(sample, resamples=200, seed=1)


def test_missing_values_do_not_count():
    assert bootstrap_ci([0.7, math.nan, 0.8, 0.65]) == bootstrap_ci([0.7, 0.8, 0.65])


@pytest.mark.parametrize("values", [[], [0.8], [math.nan, 0.8]])
def test_fewer_than_two_values_have_no_interval(values: list[float]):
    assert all(math.isnan(end) for end in bootstrap_ci(values))


def test_six_cases_that_all_improve_reach_the_exact_signed_rank_p():
    better = [0.81, 0.72, 0.93, 0.64, 0.85, 0.76]
    worse = [0.80, 0.70, 0.90, 0.60, 0.80, 0.70]
    difference = paired_difference(better, worse)
    assert difference.n == 6
    assert difference.mean == pytest.approx(0.035)
    assert difference.p == pytest.approx(2 / 2**6)
    assert 0.01 < difference.ci95[0] < 0.035 < difference.ci95[1] < 0.06


def test_equal_methods_differ_by_nothing_with_p_one():
    difference = paired_difference([0.8, 0.7, 0.9], [0.8, 0.7, 0.9])
    assert (difference.mean, difference.p, difference.ci95) == (0.0, 1.0, (0.0, 0.0))


def test_a_case_that_one_method_lacks_is_no_pair():
    difference = paired_difference([0.8, math.nan, 0.9, 0.6], [0.7, 0.7, math.nan, 0.7])
    assert difference.n == 2
    assert difference.mean == pytest.approx(0.0)


def test_no_pair_at_all_gives_no_value():
    difference = paired_difference([math.nan], [0.5])
    assert difference.n == 0
    assert math.isnan(difference.mean) and math.isnan(difference.p)


def test_lists_of_different_length_are_refused():
    with pytest.raises(EvaluationError, match="2 and 3 values"):
        paired_difference([0.1, 0.2], [0.1, 0.2, 0.3])
