"""Modeling the background (MiB, CVPR 2020): unbiased cross entropy and unbiased distillation."""

from torch import Tensor

from organincrement.losses.alignment import fold_new_into_background, fold_old_into_background
from organincrement.losses.divergence import UNLABELLED, cross_entropy, mean_over, soft_cross_entropy
from organincrement.losses.reduction import batch_mean


def unbiased_cross_entropy(labels_BDHW: Tensor, log_p_BCDHW: Tensor, old_count: int) -> Tensor:
    """-mean log p_new(label) over labelled voxels, where old organs count as background.

    Args: labels_BDHW: 0..N or UNLABELLED. log_p_BCDHW: log-softmax of the student. old_count: K.
    """
    log_p_new = fold_old_into_background(log_p_BCDHW, old_count)
    return mean_over(cross_entropy(labels_BDHW, log_p_new), labels_BDHW != UNLABELLED)


def unbiased_distillation(p_teacher_BKDHW: Tensor, log_p_BCDHW: Tensor) -> Tensor:
    """-mean over voxels of sum_c p_t(c) log p_old(c), where new organs count as background.

    Args: p_teacher_BKDHW: softmax of the teacher, 1 + K channels. log_p_BCDHW: log-softmax of the student.
    """
    log_p_old = fold_new_into_background(log_p_BCDHW, p_teacher_BKDHW.shape[1] - 1)
    return batch_mean(soft_cross_entropy(p_teacher_BKDHW, log_p_old))
