"""Whether a smaller model is still good enough (Continual Segment, arXiv 2302.00162; an absolute fall is ours)."""

import math
from collections.abc import Sequence

_SLACK = 1e-9  # of the arithmetic


def reference_score(history: Sequence[float], window: int) -> float:
    """The mean of the last `window` scores, of all where there are fewer; 0 where there are none."""
    recent = history[-window:]
    return math.fsum(recent) / max(1, len(recent))


def is_accepted(reference: float, score: float, drop: float) -> bool:
    """Whether a score falls by at most `drop` against the reference, both 0..1."""
    return reference - score <= drop + _SLACK


def is_worth_pruning(reference: float, drop: float) -> bool:
    """Whether so good a model would be missed: else one that finds nothing is accepted. A drop of 1 asks for that."""
    return reference > 0 if drop == 1 else not is_accepted(reference, 0.0, drop)
