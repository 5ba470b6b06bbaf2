"""The three terms of BLA + UAG, unweighted (arXiv 2103.05227, eq. 8 with eq. 4, 6 and 7)."""

from typing import NamedTuple

from torch import Tensor

from organincrement.losses.alignment import fold_new_into_background, fold_old_into_background
from organincrement.losses.divergence import cross_entropy, kl_divergence
from organincrement.losses.reduction import batch_mean
from organincrement.losses.smoothing import Direction, smoothed_kl


class BlaUagTerms(NamedTuple):
    """Scalars: pseudo label (lambda 1), distillation (lambda 2), new organ (lambda 3)."""

    pseudo_label: Tensor
    distillation: Tensor
    new_organ: Tensor


def bla_uag_terms(
    log_p_BCDHW: Tensor,
    log_p_teacher_BKDHW: Tensor,
    weight_BDHW: Tensor,
    labels_BDHW: Tensor,
    *,
    smoothing: float,
    direction: Direction,
) -> BlaUagTerms:
    """Mean of w * cross entropy, mean of w * KL (both over all voxels), and the smoothed new-organ term.

    Args: log_p_BCDHW: log-softmax of the student. log_p_teacher_BKDHW: log-softmax of the teacher on the clean input,
        1 + K channels. weight_BDHW: guidance, constant, not normalised. labels_BDHW: 0..N or UNLABELLED.
    """
    old_count = log_p_teacher_BKDHW.shape[1] - 1
    log_p_old = fold_new_into_background(log_p_BCDHW, old_count)
    log_p_new = fold_old_into_background(log_p_BCDHW, old_count)
    return BlaUagTerms(
        pseudo_label=batch_mean(weight_BDHW * cross_entropy(log_p_teacher_BKDHW.argmax(1), log_p_old)),
        distillation=batch_mean(weight_BDHW * kl_divergence(log_p_teacher_BKDHW, log_p_old)),
        new_organ=smoothed_kl(labels_BDHW, log_p_new, smoothing, direction),
    )
