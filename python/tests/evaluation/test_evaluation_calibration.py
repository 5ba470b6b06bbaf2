"""Temperature and reliability of probabilities whose truth is drawn from known ones."""

import math

import numpy as np
import pytest

from organincrement.evaluation.calibration import fit_temperature, negative_log_likelihood, reliability
from organincrement.evaluation.errors import EvaluationError


def softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def drawn(voxels: int = 40_000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from exactly their softmax."""
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 2, (voxels, classes)).astype(np.float32)
    labels = (softmax(logits).cumsum(1) < generator.random((voxels, 1))).sum(1).clip(0, classes - 1)
    return logits, labels


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.0])
def test_the_temperature_undoes_a_known_scaling_of_the_logits(factor: float):
    logits, labels = drawn()
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_is_likelier_than_the_fitted_one():
    logits, labels = drawn(2_000)
    fitted = fit_temperature(logits * 2, labels)
    best = negative_log_likelihood(logits * 2, labels, fitted)
    assert all(negative_log_likelihood(logits * 2, labels, fitted * f) > best for f in (0.9, 0.99, 1.01, 1.1))


def test_the_likelihood_is_the_mean_log_probability_of_the_label():
    logits = np.array([[0.0, math.log(3.0)], [1000.0, 0.0]])  # probabilities 1/4, 3/4; and 1, 0
    assert negative_log_likelihood(logits, np.array([0, 0]), 1.0) == pytest.approx(math.log(4.0) / 2)


@pytest.mark.parametrize("certain", [5, 50, 1e4])  # of the last no temperature makes a doubt
def test_a_model_that_is_never_wrong_gets_the_lower_bound(certain: float):
    logits = np.eye(3)[[0, 1, 2, 0]] * certain
    assert fit_temperature(logits, np.array([0, 1, 2, 0]), bounds=(0.2, 5.0)) == pytest.approx(0.2, rel=1e-3)


def test_soft_targets_are_matched_in_their_certainty():
    logits, _ = drawn(2_000)
    assert fit_temperature(logits * 3, softmax(logits)) == pytest.approx(3, rel=1e-3)


def test_labels_and_certain_probabilities_are_the_same_target():
    logits, labels = drawn(2_000)
    logits = logits.astype(np.float64)
    assert fit_temperature(logits, np.eye(4)[labels]) == pytest.approx(fit_temperature(logits, labels), rel=1e-5)


def test_unlabelled_voxels_do_not_count():
    logits, labels = drawn(3_000)
    half = labels.copy()
    half[::2] = -1
    assert fit_temperature(logits, half) == fit_temperature(logits[1::2], labels[1::2])


def test_honest_probabilities_have_no_calibration_error_and_sharpened_ones_do():
    logits, labels = drawn()
    assert reliability(softmax(logits), labels).ece < 0.01
    assert reliability(softmax(logits * 3), labels).ece > 0.08


def test_the_bins_count_confidence_and_accuracy():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.0, 1.0]])
    diagram = reliability(p, np.array([0, 1, 1, 1]), bins=10)
    assert diagram.voxels.tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0, 3]
    assert diagram.accuracy[9] == pytest.approx(2 / 3)
    assert diagram.confidence[9] == pytest.approx(2.8 / 3)
    assert math.isnan(diagram.accuracy[0])
    assert diagram.ece == pytest.approx((0.4 + 0.8) / 4)


@pytest.mark.parametrize(
    ("logits", "labels", "named"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), "shape|fit"),
        (np.zeros((2, 2)), np.array([-1, -1]), "no labelled voxel"),
        (np.zeros((2, 2)), np.array([0, 2]), "label 2"),
        (np.array([[0.0, np.nan]]), np.array([0]), "nan"),
        (np.zeros((2, 2)), np.zeros((2, 3)), "targets"),
        (np.array([[0.0, np.nan]]), np.array([[1.0, 0.0]]), "nan"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(logits: np.ndarray, labels: np.ndarray, named: str):
    with pytest.raises(EvaluationError, match=named):
        fit_temperature(logits, labels)
