"""How much of the earlier organs a model lost while learning later ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from organincrement.evaluation.errors import EvaluationError


@dataclass(frozen=True, kw_only=True)
class Forgetting:
    """Summary of a series of increments; nan where undefined. Means are over the organs that have a value."""

    forgetting: NDArray[np.float64]  # (organs,) best Dice before the last step minus Dice after it
    backward: NDArray[np.float64]  # (organs,) Dice after the last step minus Dice when the organ was learned
    average_forgetting: float
    backward_transfer: float
    final_mean: float  # mean Dice after the last step, all organs


def forgetting(dice_OT: ArrayLike, learned_at: Sequence[int]) -> Forgetting:
    """Forgetting and backward transfer of every organ learned before the last step.

    forgetting_o = max over learned ≤ t < T−1 of R[o,t], minus R[o,T−1]; backward_o = R[o,T−1] − R[o,learned].

    Args: dice_OT (organs, steps) Dice on one fixed test set after each step, nan where not measured.
        learned_at (organs,) the step that brought each organ.
    Raises: EvaluationError when the shapes do not fit or a step does not exist.
    """
    dice = np.asarray(dice_OT, dtype=np.float64)
    learned = np.asarray(learned_at)
    if dice.ndim != 2 or not dice.shape[1] or learned.shape != (len(dice),):
        raise EvaluationError(
            f"Dice {dice.shape} does not fit entry steps {learned.shape}: give (organs, steps) and one step per organ"
        )
    last = dice.shape[1] - 1
    if len(learned) and not 0 <= learned.min() <= learned.max() <= last:
        raise EvaluationError(f"an entry step is outside 0..{last}: number the steps as the columns of the Dice table")
    lost, backward = np.full(len(dice), np.nan), np.full(len(dice), np.nan)
    for organ, step in enumerate(learned):
        before = dice[organ, step:last]
        if not np.isnan(before).all():  # empty for an organ of the last step, which cannot have been forgotten yet
            lost[organ] = np.nanmax(before) - dice[organ, last]
            backward[organ] = dice[organ, last] - dice[organ, step]
    return Forgetting(
        forgetting=lost,
        backward=backward,
        average_forgetting=_mean(lost),
        backward_transfer=_mean(backward),
        final_mean=_mean(dice[:, last]),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
