"""Which scans to annotate next: uncertain ones that stand for many others.

As in suggestive annotation (L. Yang et al., MICCAI 2017): the more uncertain half is looked at, and among it facility
location chooses those that all scans, the certain ones too, are most like.
"""

from dataclasses import dataclass

import numpy as np

from organincrement.replay.facility_location import choose_facilities, covered_sample
from organincrement.replay.similarity import DistanceSimilarity

UNCERTAIN_SHARE = 0.5
_LEAST_WIDTH = 1e-6


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One scan to annotate. gain: share of all scans that it newly stands for, 0..1; of all scans together 1."""

    index: int
    gain: float


def suggest_items(features: np.ndarray, uncertainty: np.ndarray, count: int) -> list[Suggestion]:
    """Up to `count` items in the order in which they should be annotated.

    Args: features: (n, F), on any scale. uncertainty: (n,), on any scale. Ties go to the lower index.
    The more uncertain half is widened where it is smaller than twice `count`, so that there is something to choose.
    """
    items = len(features)
    if items == 0 or count < 1:
        return []
    scaled = standardised(features)
    sample = covered_sample(items)
    similarity = DistanceSimilarity(scaled, scaled[sample], width=_width(scaled[sample]))
    kept = min(items, max(2 * count, int(np.ceil(UNCERTAIN_SHARE * items))))
    candidates = np.argsort(-np.asarray(uncertainty, dtype=np.float64), kind="stable")[:kept]
    choice = choose_facilities(similarity, count, candidates)
    gains = np.diff(choice.coverage, prepend=0.0) / len(sample)
    return [Suggestion(index=int(i), gain=float(gain)) for i, gain in zip(choice.order, gains, strict=True)]


def standardised(features: np.ndarray) -> np.ndarray:
    """Each feature with mean 0 and standard deviation 1; one that is the same everywhere becomes 0."""
    spread = features.std(0)
    return np.divide(features - features.mean(0), spread, out=np.zeros_like(features), where=spread > 1e-12)


def _width(features: np.ndarray) -> float:
    """Half the median distance to the mean item times √2, that is half of a typical distance between two items."""
    typical = float(np.sqrt(2 * np.median(np.square(features - features.mean(0)).sum(1))))
    return max(typical / 2, _LEAST_WIDTH)
