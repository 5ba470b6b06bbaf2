"""Greedy facility location: the few items that stand for all others best.

F(S) = sum over all items j of the largest similarity of j to a chosen item. Greedy choice reaches 1 - 1/e of the best
possible (G. L. Nemhauser et al., Mathematical Programming 14, 1978), and because gains only shrink as S grows, most
of them need not be computed again (M. Minoux, Optimization Techniques, 1978). Used so by AeiSeg and CoRiSeg.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.replay.errors import ReplayError
from organincrement.replay.similarity import Similarity

TIE = 1e-9  # coverages closer than this, relative to the best or a similarity, are equal: the lowest index wins
BLOCK_BYTES = 64 * 2**20
MOST_COVERED = 2048  # beyond EXACT_UP_TO items coverage is measured on so many of them
EXACT_UP_TO = 8192


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Items in the order of choice, and F after each of them; cutting off the end leaves a greedy solution."""

    order: np.ndarray
    coverage: np.ndarray


def choose_facilities(
    similarity: Similarity, count: int, candidates: Sequence[int] | np.ndarray | None = None
) -> Choice:
    """Choose up to `count` candidates greedily.

    Args: candidates: indices that may be chosen, in any order; None: all. The first choice has the largest sum of
        similarities, no floor at 0; choosing goes on at zero gain. Memory: BLOCK_BYTES, whatever n and m.
    Raises: ReplayError for an index that there is not.
    """
    left = np.unique(np.arange(similarity.shape[0]) if candidates is None else np.asarray(candidates))
    if len(left) and not (left.dtype.kind in "iu" and 0 <= left[0] <= left[-1] < similarity.shape[0]):
        raise ReplayError(f"candidates must be whole numbers in 0 to {similarity.shape[0] - 1}")
    covered = np.full(similarity.shape[1], -np.inf)
    gains = np.full(len(left), np.inf)  # upper bounds; inf: not known yet
    order: list[int] = []
    coverage: list[float] = []
    total = 0.0
    while len(left) and len(order) < count:
        if len(order) == 1:
            gains[:] = np.inf  # before the first choice F is undefined, so that its sums bound nothing
        best = _best(similarity, left, gains, covered, total)
        order.append(int(left[best]))
        np.maximum(covered, similarity.rows(left[best : best + 1])[0], out=covered)
        total = float(covered.sum(dtype=np.float64))
        coverage.append(total)
        left, gains = np.delete(left, best), np.delete(gains, best)
    return Choice(order=np.array(order, dtype=np.intp), coverage=np.array(coverage))


def covered_sample(count: int, seed: int = 0) -> np.ndarray:
    """Which of `count` items a choice should cover: all, or a sample where n² similarities would take minutes.

    The mean over MOST_COVERED of them is within about 2 % of the spread of similarities from the mean over all.
    """
    if count <= EXACT_UP_TO:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MOST_COVERED, replace=False))


def _best(similarity: Similarity, left: np.ndarray, gains: np.ndarray, covered: np.ndarray, total: float) -> int:
    """Position in `left` of the next choice; `gains` becomes exact wherever it had to be computed."""
    order = np.argsort(-gains, kind="stable")
    best, exact = -np.inf, np.zeros(len(left), bool)
    slack = TIE * max(similarity.unit, abs(total))
    for block in _blocks(order, similarity.shape[1]):
        # the bounds fall along the order: nobody from here on can reach the best, nor tie with it
        if gains[block[0]] < best - slack:
            break
        rows = similarity.rows(left[block])
        if np.isneginf(covered).any():
            gains[block] = rows.sum(1, dtype=np.float64)
        else:
            rows -= covered.astype(rows.dtype)
            gains[block] = np.maximum(rows, 0, out=rows).sum(1, dtype=np.float64)
        exact[block] = True
        best = max(best, float(gains[block].max()))
    final = total + best
    return int(np.flatnonzero(exact & (total + gains >= final - TIE * max(similarity.unit, abs(final))))[0])


def _blocks(order: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """Growing pieces, so that a choice that the bounds settle at once computes a few rows only."""
    most = max(1, BLOCK_BYTES // (8 * max(width, 1)))
    size, start = min(16, most), 0
    while start < len(order):
        yield order[start : start + size]
        start, size = start + size, min(2 * size, most)
