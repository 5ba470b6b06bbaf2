"""The temperature of a student's softmax, fitted after training on held-back cases.

Label smoothing alone would leave a third of the maximum entropy everywhere (arXiv 2103.05227 smooths 0.7 / 0.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from organincrement.evaluation.calibration import fit_temperature
from organincrement.methods.teacher import FrozenTeacher
from organincrement.training.validation import HeldBackCase, Segmenter

_VOXELS_PER_CASE = 20_000
_IMPOSSIBLE = -1e4  # as a logit


@dataclass(frozen=True, kw_only=True)
class CalibratedTeacher:
    """What is known of the old organs on cases whose labels are of the new ones: the teacher's tempered opinion."""

    frozen: FrozenTeacher
    temperature: float

    def probabilities(self, held: HeldBackCase, indices: np.ndarray, segmenter: Segmenter) -> np.ndarray:
        """(N, 1 + K) at these flat voxel indices; background also stands for the new organs."""
        logits_NC = segmenter.logits_at(self.frozen.network, held.case, len(self.frozen.channel_of), indices)
        return self.frozen.fold((logits_NC / self.temperature).log_softmax(1)).exp().numpy()


def fitted_temperature(
    network: nn.Module,
    cases: Sequence[HeldBackCase],
    teacher: CalibratedTeacher | None,
    channels: int,
    segmenter: Segmenter,
    seed: int,
) -> float:
    """T that best explains the new labels, and outside them the teacher; 1 where neither is known of the background.

    The teacher's hard labels would do it an injustice: they are right about as often as it is sure, and no more.
    """
    if teacher is None and not any((held.case.labels_DHW() == 0).any() for held in cases):
        return 1.0
    drawn = [_draw(network, held, teacher, channels, segmenter, seed) for held in cases]
    if not drawn:
        return 1.0
    logits_NC, targets_NC = (np.concatenate(part) for part in zip(*drawn, strict=True))
    return round(fit_temperature(logits_NC, targets_NC), 4)


def _draw(
    network: nn.Module,
    held: HeldBackCase,
    teacher: CalibratedTeacher | None,
    channels: int,
    segmenter: Segmenter,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and target probabilities of voxels drawn evenly among those of which something is known."""
    truth_M = held.case.labels_DHW().ravel()
    known = np.flatnonzero(truth_M >= 0) if teacher is None else np.arange(truth_M.size)
    drawn = np.random.default_rng(seed).choice(known, min(_VOXELS_PER_CASE, known.size), replace=False)
    truth_N = truth_M[drawn]
    logits_NC = segmenter.logits_at(network, held.case, channels, drawn).numpy().astype(float)
    old_count = 0 if teacher is None else teacher.frozen.old_count
    targets_NC = np.zeros((drawn.size, channels))
    targets_NC[:, 0] = 1.0
    if teacher is not None:
        targets_NC[:, : 1 + old_count] = teacher.probabilities(held, drawn, segmenter)
        _leave_new_open(logits_NC, truth_N < 0, old_count)
    labelled = np.flatnonzero(truth_N > 0)
    targets_NC[labelled] = 0.0
    targets_NC[labelled, truth_N[labelled] + old_count] = 1.0
    return logits_NC, targets_NC


def _leave_new_open(logits_NC: np.ndarray, unlabelled_N: np.ndarray, old_count: int) -> None:
    """Where nobody looked for new organs, they and the background are one, as to the teacher: the likelier of them."""
    new = slice(1 + old_count, None)
    rows = logits_NC[unlabelled_N]
    rows[:, 0] = np.maximum(rows[:, 0], rows[:, new].max(axis=1, initial=-np.inf))
    rows[:, new] = _IMPOSSIBLE
    logits_NC[unlabelled_N] = rows
