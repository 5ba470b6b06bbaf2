"""Forgetting and backward transfer of short series worked out by hand, and the reference vectors where they lie."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.forgetting import forgetting

Load = Callable[[str, str], Mapping[str, np.ndarray]]
NAMES = ("forgetting", "backward", "average_forgetting", "backward_transfer", "final_mean")
nan = math.nan


def test_forgetting_counts_from_the_best_step_and_transfer_from_the_first():
    summary = forgetting([[0.80, 0.85, 0.70], [nan, 0.60, 0.65], [nan, nan, 0.90]], [0, 1, 2])
    np.testing.assert_allclose(summary.forgetting, [0.15, -0.05, nan])
    np.testing.assert_allclose(summary.backward, [-0.10, 0.05, nan])
    assert summary.average_forgetting == pytest.approx(0.05)
    assert summary.backward_transfer == pytest.approx(-0.025)
    assert summary.final_mean == pytest.approx((0.70 + 0.65 + 0.90) / 3)


def test_a_first_model_has_nothing_to_forget():
    summary = forgetting([[0.8], [0.6]], [0, 0])
    assert math.isnan(summary.average_forgetting) and math.isnan(summary.backward_transfer)
    assert summary.final_mean == pytest.approx(0.7)


def test_an_organ_that_was_not_measured_last_is_left_out_of_the_means():
    summary = forgetting([[0.9, nan], [0.8, 0.7]], [0, 0])
    assert math.isnan(summary.forgetting[0])
    assert summary.average_forgetting == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("dice", "learned"), [([0.8, 0.7], [0]), ([[0.8, 0.7]], [0, 1]), ([[0.8, 0.7]], [2]), ([[0.8, 0.7]], [-1])]
)
def test_steps_that_do_not_fit_the_table_are_refused(dice: list, learned: list[int]):
    with pytest.raises(EvaluationError, match="step"):
        forgetting(dice, learned)


@pytest.mark.parametrize("case", ["four_steps", "holes", "single_step", "no_old_organ"])
def test_the_summary_agrees_with_the_reference_vectors(case: str, reference_vectors: Load):
    vectors = reference_vectors("forgetting.npz", case)
    summary = forgetting(vectors["R"], vectors["learned"])
    for name in NAMES:
        np.testing.assert_allclose(getattr(summary, name), vectors[name], rtol=1e-9, atol=1e-12)
