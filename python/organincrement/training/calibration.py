"""The temperature of a student's softmax, fitted after training on held-back cases.

Label smoothing alone would leave a third of the maximum entropy everywhere (arXiv 2103.05227 smooths 0.7 / 0.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from organincrement.evaluation.calibration import fit_temperature
from organincrement.methods.teacher import FrozenTeacher
from organincrement.training.validation import HeldBackCase, Segmenter

_VOXELS_PER_CASE = 20_000


@dataclass(frozen=True, kw_only=True)
class CalibratedTeacher:
    """What is known of the old organs on cases whose labels are of the new ones: the teacher's tempered opinion."""

    frozen: FrozenTeacher
    temperature: float

    def probabilities(self, held: HeldBackCase, segmenter: Segmenter) -> torch.Tensor:
        """(1 + K, D, H, W); background also stands for the new organs."""
        logits = segmenter.logits(self.frozen.network, held.case, len(self.frozen.channel_of))
        return self.frozen.fold((logits / self.temperature).float().log_softmax(0)[None])[0].exp()


def fitted_temperature(
    network: nn.Module,
    cases: Sequence[HeldBackCase],
    teacher: CalibratedTeacher | None,
    channels: int,
    segmenter: Segmenter,
    seed: int,
) -> float:
    """T that best explains the new labels, and outside them the teacher; 1 without cases.

    The teacher's hard labels would do it an injustice: they are right about as often as it is sure, and no more.
    """
    drawn = [_draw(network, held, teacher, channels, segmenter, seed) for held in cases]
    if not any(len(targets_NC) for _, targets_NC in drawn):
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
    known = np.flatnonzero(truth_M >= 0)
    drawn = np.random.default_rng(seed).choice(known, min(_VOXELS_PER_CASE, known.size), replace=False)
    logits = segmenter.logits(network, held.case, channels).reshape(channels, -1)[:, drawn]
    targets_NC = np.zeros((drawn.size, channels))
    old_count = 0
    if teacher is not None:
        old_count = teacher.frozen.old_count
        p = teacher.probabilities(held, segmenter).reshape(1 + old_count, -1)[:, drawn]
        targets_NC[:, : 1 + old_count] = p.T.numpy()
    else:
        targets_NC[:, 0] = 1.0
    labelled = np.flatnonzero(truth_M[drawn] > 0)
    targets_NC[labelled] = 0.0
    targets_NC[labelled, truth_M[drawn[labelled]] + old_count] = 1.0
    return logits.T.numpy().astype(np.float64), targets_NC
