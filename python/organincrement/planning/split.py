"""Which cases are held back for validation."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from organincrement.contract.dataset import Case

_SHARE = 5  # 4:1, as arXiv 2103.05227, section 3.1
_SHARE_TO_SHOW_ALL = 3
_MOST = 6


def held_back(cases: Sequence[Case], seed: int) -> tuple[str, ...]:
    """Every fifth patient, at most six cases, so that validation stays short; whole groups only.

    Each labelled organ is shown by one of them, up to every third patient, and left to the training by another.
    Returns: case ids, sorted; none where there are fewer than three patients, or none can be spared.
    """
    organs: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        organs[case.group].update(case.annotated if case.label is not None else ())
    groups = sorted(organs)
    if len(groups) < 3:
        return ()
    order = [groups[index] for index in np.random.default_rng([seed, 5]).permutation(len(groups))]
    chosen: list[str] = []
    for number, (group, is_new) in enumerate(_spared(order, organs)):
        if number >= max(1, len(groups) // (_SHARE_TO_SHOW_ALL if is_new else _SHARE)):
            break
        members = [case.id for case in cases if case.group == group]
        if chosen and len(chosen) + len(members) > _MOST:
            break
        chosen += members
    return tuple(sorted(chosen))


def _spared(order: Sequence[str], organs: Mapping[str, set[str]]) -> Iterator[tuple[str, bool]]:
    """Patients in this order, first those who show another organ, and whether they do; none with the last of one."""
    left = Counter(organ for known in organs.values() for organ in known)
    shown: set[str] = set()
    waiting = list(order)
    for only_new in (True, False):
        for group in tuple(waiting):
            known = organs[group]
            if (only_new and known <= shown) or any(left[organ] < 2 for organ in known):
                continue
            waiting.remove(group)
            shown |= known
            left.subtract(known)
            yield group, only_new
