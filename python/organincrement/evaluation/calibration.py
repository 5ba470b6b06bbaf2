"""Whether a voxel's probability means what it says, and the one number that mends it.

Source: temperature scaling, Guo et al., "On calibration of modern neural networks" (ICML 2017): p = softmax(z / T).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from organincrement.evaluation.errors import EvaluationError

TEMPERATURE_RANGE = (0.05, 20.0)
_TOLERANCE = 1e-6  # of log T
_TIE = 1e-9  # where every T is as likely, to the last bit, the lowest is taken


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Confidence against accuracy in equal bins of the highest probability; nan in a bin without a voxel."""

    edges: NDArray[np.float64]  # (bins + 1,)
    confidence: NDArray[np.float64]  # (bins,) mean highest probability
    accuracy: NDArray[np.float64]  # (bins,) fraction of voxels whose most probable class is right
    voxels: NDArray[np.int64]  # (bins,)
    ece: float  # expected calibration error: mean |accuracy − confidence| over voxels


def negative_log_likelihood(
    logits_NC: NDArray[np.floating], targets: NDArray[np.integer] | NDArray[np.floating], temperature: float
) -> float:
    """Mean over voxels of −Σ t log softmax(z / T), natural log. targets: labels (N,) 0..C−1, or t (N, C)."""
    return _likelihood(logits_NC, _expected_logit(logits_NC, targets), temperature)


def _expected_logit(logits_NC: NDArray[np.floating], targets: NDArray[Any]) -> NDArray[np.floating]:
    if targets.ndim == 1:
        return np.take_along_axis(logits_NC, targets[:, None], axis=1)[:, 0]
    return (logits_NC * targets).sum(axis=1)


def _likelihood(logits_NC: NDArray[np.floating], expected_N: NDArray[np.floating], temperature: float) -> float:
    highest_N = logits_NC.max(axis=1)
    mass_N = np.exp((logits_NC - highest_N[:, None]) / temperature).sum(axis=1)
    return float((np.log(mass_N) + (highest_N - expected_N) / temperature).mean(dtype=np.float64))


def fit_temperature(
    logits_NC: NDArray[np.floating],
    targets: NDArray[np.integer] | NDArray[np.floating],
    *,
    bounds: tuple[float, float] = TEMPERATURE_RANGE,
) -> float:
    """The T in bounds with the least negative log-likelihood of the targets under softmax(z / T).

    The likelihood has one minimum in log T, so a bounded line search finds it; a model that is never wrong gives the
    lower bound.

    Args: logits_NC (voxels, classes) finite. targets: labels (voxels,) 0..C−1, negative is unlabelled and left out; or
        probabilities (voxels, classes), rows sum to one.
    Raises: EvaluationError when shapes, values or bounds do not fit, or no voxel is labelled.
    """
    low, high = bounds
    if not 0 < low < high:
        raise EvaluationError(f"temperature bounds {bounds} are not 0 < low < high: give an increasing positive pair")
    if targets.ndim == 1:
        logits_NC, targets = _labelled(logits_NC, targets)
    elif targets.shape != logits_NC.shape or not len(targets):
        raise EvaluationError(
            f"scores {logits_NC.shape} do not fit targets {targets.shape}: both are (voxels, classes)"
        )
    else:
        _check_finite(logits_NC)
    expected_N = _expected_logit(logits_NC, targets)
    found = minimize_scalar(
        lambda log_t: _likelihood(logits_NC, expected_N, float(np.exp(log_t))) + _TIE * log_t,
        bounds=(np.log(low), np.log(high)),
        method="bounded",
        options={"xatol": _TOLERANCE},
    )
    return float(np.exp(found.x))


def reliability(
    probabilities_NC: NDArray[np.floating], labels_N: NDArray[np.integer], *, bins: int = 15
) -> Reliability:
    """Reliability diagram and expected calibration error of the most probable class.

    Args: probabilities_NC (voxels, classes) rows sum to one. labels_N (voxels,) 0..C−1; negative is left out.
    Raises: EvaluationError when shapes or values do not fit, no voxel is labelled, or bins is not positive.
    """
    if bins < 1:
        raise EvaluationError(f"{bins} bins: give at least one")
    probabilities_NC, labels_N = _labelled(probabilities_NC, labels_N)
    confidence_N = probabilities_NC.max(axis=1).astype(np.float64)
    correct_N = probabilities_NC.argmax(axis=1) == labels_N
    bin_N = np.clip((confidence_N * bins).astype(np.int64), 0, bins - 1)
    voxels = np.bincount(bin_N, minlength=bins)
    divisor = np.where(voxels > 0, voxels, np.nan)
    confidence = np.bincount(bin_N, weights=confidence_N, minlength=bins) / divisor
    accuracy = np.bincount(bin_N, weights=correct_N, minlength=bins) / divisor
    ece = float(np.nansum(np.abs(accuracy - confidence) * voxels) / voxels.sum())
    return Reliability(
        edges=np.linspace(0, 1, bins + 1), confidence=confidence, accuracy=accuracy, voxels=voxels, ece=ece
    )


def _labelled(
    scores_NC: NDArray[np.floating], labels_N: NDArray[np.integer]
) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    if scores_NC.ndim != 2 or labels_N.shape != scores_NC.shape[:1]:
        raise EvaluationError(
            f"scores {scores_NC.shape} do not fit labels {labels_N.shape}: give (voxels, classes) and (voxels,)"
        )
    known_N = labels_N >= 0
    if not known_N.any():
        raise EvaluationError("no labelled voxel to calibrate on: add a validation case whose organs were looked for")
    if not known_N.all():
        scores_NC, labels_N = scores_NC[known_N], labels_N[known_N]
    if labels_N.max() >= scores_NC.shape[1]:
        raise EvaluationError(
            f"label {labels_N.max()} is none of the model's {scores_NC.shape[1]} classes: map the labels to them first"
        )
    _check_finite(scores_NC)
    return scores_NC, labels_N


def _check_finite(scores_NC: NDArray[np.floating]) -> None:
    if not np.isfinite(scores_NC).all():
        raise EvaluationError("the scores hold nan or infinity: check the model's output before calibrating")
