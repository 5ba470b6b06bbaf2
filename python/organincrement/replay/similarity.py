"""How alike two items are, in blocks of rows, so that no n × n matrix is ever in memory."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from organincrement.replay.errors import ReplayError


class Similarity(Protocol):
    """What a choice needs to know: how alike each of n candidates is to each of m items that are to be covered."""

    @property
    def shape(self) -> tuple[int, int]:
        """n, m."""

    @property
    def unit(self) -> float:
        """As large as similarities get, by which what is equal is told from what rounding makes of it."""

    def rows(self, candidates: np.ndarray) -> np.ndarray:
        """(b, m) similarities of these b candidates."""


class CosineSimilarity:
    """Cosine of the angle between feature vectors; a zero vector is similar to nothing (0).

    features: (n, F). covered: (m, F), the items to be covered; None: the same.
    """

    def __init__(self, features: np.ndarray, covered: np.ndarray | None = None) -> None:
        self._candidates = _of_length_one(_checked(features))
        self._covered = self._candidates if covered is None else _of_length_one(_checked(covered))

    @property
    def shape(self) -> tuple[int, int]:
        """n, m."""
        return len(self._candidates), len(self._covered)

    @property
    def unit(self) -> float:
        """Of equal directions."""
        return 1.0

    def rows(self, candidates: np.ndarray) -> np.ndarray:
        """(b, m) cosines."""
        return self._candidates[candidates] @ self._covered.T


class DistanceSimilarity:
    """Minus the squared distance of feature vectors; with a width, exp(-squared distance / (2 width²)) in 0..1.

    features: (n, F). covered: (m, F); None: the same. width: in the features' unit, above 0.
    """

    def __init__(self, features: np.ndarray, covered: np.ndarray | None = None, *, width: float | None = None) -> None:
        if width is not None and not width > 0:
            raise ReplayError(f"width {width} of a similarity must be above 0")
        candidates = _checked(features)
        others = candidates if covered is None else _checked(covered)
        centre = others.mean(0) if len(others) else 0.0  # squares of what is far from 0 would cancel
        self._candidates = candidates - centre
        self._covered = self._candidates if covered is None else others - centre
        self._width = width
        self._lengths = [np.einsum("nf,nf->n", array, array) for array in (self._candidates, self._covered)]

    @property
    def shape(self) -> tuple[int, int]:
        """n, m."""
        return len(self._candidates), len(self._covered)

    @property
    def unit(self) -> float:
        """Squared distances are a few times the largest from the centre; a width brings them into 0..1."""
        return 1.0 if self._width is not None else max(float(part.max(initial=0.0)) for part in self._lengths)

    def rows(self, candidates: np.ndarray) -> np.ndarray:
        """(b, m) similarities."""
        inner = self._candidates[candidates] @ self._covered.T
        inner *= 2
        inner -= self._lengths[0][candidates][:, None]
        inner -= self._lengths[1][None, :]
        minus_squared = np.minimum(inner, 0, out=inner)  # rounding
        if self._width is None:
            return minus_squared
        minus_squared /= 2 * self._width**2
        return np.exp(minus_squared, out=minus_squared)


def content_features(activations: Sequence[np.ndarray]) -> np.ndarray:
    """One vector per image whose squared distances are CoRiSeg's content distance (eq. 3), averaged over positions.

    Args: activations: of each layer, (n, filters, h, w). Returns: (n, F). Without the average the shallow layers,
    which have the most positions, would decide alone.
    """
    return np.concatenate(
        [layer.reshape(len(layer), -1) / np.sqrt(np.prod(layer.shape[2:])) for layer in activations], axis=1
    )


def _checked(features: np.ndarray) -> np.ndarray:
    if features.ndim != 2 or not np.isfinite(features).all():
        raise ReplayError(f"features of shape {features.shape} must be finite numbers, one row for each item")
    return features.astype(np.float64)


def _of_length_one(features: np.ndarray) -> np.ndarray:
    largest = np.abs(features).max(1, keepdims=True, initial=0.0)
    features = np.divide(features, largest, out=np.zeros_like(features), where=largest > 0)  # squares stay in range
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)
