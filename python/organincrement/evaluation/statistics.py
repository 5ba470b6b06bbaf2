"""Confidence intervals and paired tests over cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from organincrement.evaluation.errors import EvaluationError

RESAMPLES = 10_000
_CHUNK = 1_000_000  # drawn indices held at once


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean of a − b over the pairs with both values, its 95 % interval, and the p of a Wilcoxon signed-rank test."""

    n: int
    mean: float
    ci95: tuple[float, float]
    p: float


def bootstrap_ci(
    values: ArrayLike, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of independent values (one per patient); nan values are left out.

    Returns: (low, high); (nan, nan) for fewer than two values, whose spread is unknown.
    Raises: EvaluationError when level is not between 0 and 1, or resamples is not positive.
    """
    if not 0 < level < 1 or resamples < 1:
        raise EvaluationError(f"level {level} or resamples {resamples} is out of range: use 0 < level < 1 and ≥ 1")
    sample = np.asarray(values, dtype=np.float64).ravel()
    sample = sample[~np.isnan(sample)]
    if len(sample) < 2:
        return (float("nan"), float("nan"))
    means = _resampled_means(sample, resamples, np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return (float(low), float(high))


def paired_difference(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> PairedDifference:
    """Compare two methods on the same cases, a − b, two-sided.

    Args: a, b one value per case in the same order; a pair with a nan is left out.
    Returns: mean nan and p nan without a pair; p 1 when all pairs are equal.
    Raises: EvaluationError when the lengths differ.
    """
    from scipy.stats import wilcoxon  # a quarter of a training's imports, for reports alone

    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise EvaluationError(f"{first.size} and {second.size} values are not pairs: give one per case, same order")
    difference = first - second
    difference = difference[~np.isnan(difference)]
    if not len(difference):
        return PairedDifference(n=0, mean=float("nan"), ci95=(float("nan"), float("nan")), p=float("nan"))
    p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0  # all zero: the ranks do not exist
    interval = bootstrap_ci(difference, seed=seed)
    return PairedDifference(n=len(difference), mean=float(difference.mean()), ci95=interval, p=p)


def _resampled_means(
    sample: NDArray[np.float64], resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """(resamples,) means of samples drawn with replacement."""
    rows = max(1, _CHUNK // len(sample))
    means = np.empty(resamples)
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        means[start:stop] = sample[generator.integers(len(sample), size=(stop - start, len(sample)))].mean(axis=1)
    return means
