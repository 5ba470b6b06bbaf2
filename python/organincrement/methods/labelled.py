"""The loss of ordinary supervised training, which the baselines without label alignment share."""

import torch
from torch import Tensor

from organincrement.losses.divergence import UNLABELLED, cross_entropy, mean_over
from organincrement.losses.overlap import soft_dice_loss


def labelled_terms(
    labels_BDHW: Tensor, log_p_BCDHW: Tensor, dice_weight: float, dice_from: int = 1
) -> dict[str, Tensor]:
    """Cross entropy over labelled voxels, and soft Dice of the organs from channel `dice_from` on."""
    terms = {"cross_entropy": mean_over(cross_entropy(labels_BDHW, log_p_BCDHW), labels_BDHW != UNLABELLED)}
    if dice_weight:
        terms["dice"] = dice_weight * soft_dice_loss(labels_BDHW, log_p_BCDHW.exp(), channel_from=dice_from)
    return terms


def as_student_labels(labels_BDHW: Tensor, old_count: int) -> Tensor:
    """Local labels 1..N as the student's channels K+1..K+N; background and unlabelled stay."""
    return torch.where(labels_BDHW > 0, labels_BDHW + old_count, labels_BDHW)
