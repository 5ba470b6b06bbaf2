"""Whether a smaller model is still good enough (Continual Segment, arXiv 2302.00162; an absolute fall is ours)."""

import math
from collections.abc import Sequence

_SLACK = 1e-9  # of the arithmetic


def reference_score(history: Sequence[float], window: int) -> float:
    """The mean of the last `window` scores, of all where there are fewer."""
    recent = history[-window:]
    return math.fsum(recent) / len(recent)


def is_accepted(reference: float, score: float, drop: float) -> bool:
    """Whether a score falls by at most `drop` against the reference, both 0..1."""
    return reference - score <= drop + _SLACK
