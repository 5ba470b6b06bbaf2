"""Which cases are held back for validation."""

from collections.abc import Sequence

import numpy as np

from organincrement.contract.dataset import Case

_SHARE = 5  # 4:1, as arXiv 2103.05227, section 3.1
_MOST = 6


def held_back(cases: Sequence[Case], seed: int) -> tuple[str, ...]:
    """Every fifth patient, at most six cases, so that validation stays short; whole groups only.

    Returns: case ids, sorted; none where there are fewer than three patients.
    """
    groups = sorted({case.group for case in cases})
    if len(groups) < 3:
        return ()
    order = np.random.default_rng([seed, 5]).permutation(len(groups))
    chosen: list[str] = []
    for index in order[: max(1, len(groups) // _SHARE)]:
        members = [case.id for case in cases if case.group == groups[index]]
        if chosen and len(chosen) + len(members) > _MOST:
            break
        chosen += members
    return tuple(sorted(chosen))
