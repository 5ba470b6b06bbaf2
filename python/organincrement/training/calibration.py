"""The temperature of a student's softmax, fitted after training on held-back cases.

Label smoothing alone would leave a third of the maximum entropy everywhere (arXiv 2103.05227 smooths 0.7 / 0.3).
"""

from collections.abc import Sequence

import numpy as np
from torch import nn

from organincrement.evaluation.calibration import fit_temperature
from organincrement.training.validation import HeldBackCase, Segmenter

_VOXELS_PER_CASE = 20_000


def fitted_temperature(
    network: nn.Module, cases: Sequence[HeldBackCase], old_count: int, channels: int, segmenter: Segmenter, seed: int
) -> float:
    """T that best explains the new labels, and the teacher's labels where those say background; 1 without cases."""
    drawn = [_draw(network, held, old_count, channels, segmenter, seed) for held in cases]
    if not drawn:
        return 1.0
    logits_NC, labels_N = (np.concatenate(part) for part in zip(*drawn, strict=True))
    return round(fit_temperature(logits_NC, labels_N), 4)


def _draw(
    network: nn.Module, held: HeldBackCase, old_count: int, channels: int, segmenter: Segmenter, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    logits = segmenter.logits(network, held.case, channels).numpy().reshape(channels, -1)
    truth = held.case.labels_DHW().ravel()
    target = np.where(truth > 0, truth + old_count, truth).astype(np.int64)
    if held.teacher_labels_DHW is not None:
        teacher = held.teacher_labels_DHW.ravel()
        target = np.where((truth <= 0) & (teacher > 0), teacher, target)
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(target >= 0)
    uniform = rng.choice(known, min(_VOXELS_PER_CASE, known.size), replace=False)
    return logits[:, uniform].T.astype(np.float64), target[uniform]
