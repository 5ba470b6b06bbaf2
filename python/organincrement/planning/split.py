"""Which cases are held back for validation."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from organincrement.contract.dataset import Case

_SHARE = 5  # 4:1, as arXiv 2103.05227, section 3.1
_SHARE_TO_SHOW_ALL = 3
_MOST = 6


def held_back(cases: Sequence[Case], seed: int) -> tuple[str, ...]:
    """Every fifth patient, at most six cases, so that validation stays short; whole patients only.

    Each labelled organ is shown by one of them, up to every third patient, and left to the training by another. Where
    every patient has more cases than six, one with the fewest is taken.
    Returns: case ids, sorted; none where there are fewer than three patients, or none can be spared.
    """
    patients: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        patients[case.group].append(case)
    if len(patients) < 3:
        return ()
    groups = sorted(patients)
    drawn = [groups[index] for index in np.random.default_rng([seed, 5]).permutation(len(groups))]
    order = sorted(drawn, key=lambda group: len(patients[group]) > _MOST // 2)  # who leaves no room for others is last
    larger = sorted({len(own) for own in patients.values() if len(own) > _MOST})
    chosen = next(filter(None, (_spared(order, patients, most) for most in (_MOST, *larger))), [])
    return tuple(sorted(case.id for group in chosen for case in patients[group]))


def _spared(order: Sequence[str], patients: Mapping[str, Sequence[Case]], most: int) -> list[str]:
    """Patients of at most so many cases: first who shows another organ, then others; nobody with the last of one."""
    organs = {
        group: {organ for case in own if case.label for organ in case.annotated} for group, own in patients.items()
    }
    left = Counter(organ for known in organs.values() for organ in known)
    shown: set[str] = set()
    chosen: list[str] = []
    for only_new, share in ((True, _SHARE_TO_SHOW_ALL), (False, _SHARE)):
        for group in order:
            known, count = organs[group], len(patients[group])
            is_wanted = group not in chosen and not (only_new and known <= shown)
            is_enough = len(chosen) >= max(1, len(order) // share)
            if is_wanted and not is_enough and count <= most and all(left[organ] > 1 for organ in known):
                chosen.append(group)
                most -= count
                shown |= known
                left.subtract(known)
    return chosen
