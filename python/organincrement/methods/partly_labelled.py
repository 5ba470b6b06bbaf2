"""The loss of labels in which not every organ was looked for in every sample, which several methods share."""

import torch
from torch import Tensor

from organincrement.losses.alignment import fold_old_into_background
from organincrement.losses.divergence import UNLABELLED, cross_entropy, mean_over
from organincrement.losses.overlap import counted_dice
from organincrement.losses.partial_labels import fold_unannotated


def partly_labelled_terms(
    labels_BDHW: Tensor, log_p_BCDHW: Tensor, annotated_BL: Tensor, dice_weight: float
) -> dict[str, Tensor]:
    """Cross entropy where organs that nobody looked for count as background, and soft Dice of those looked for.

    Args: labels_BDHW: 0..L, 0 for none of the organs looked for, or UNLABELLED. log_p_BCDHW: log-softmax, C = 1 + L.
        annotated_BL: bool; a sample without any counts for nothing.
    """
    known = (labels_BDHW != UNLABELLED) & annotated_BL.any(1)[:, None, None, None]
    entropy_BDHW = cross_entropy(labels_BDHW, fold_unannotated(log_p_BCDHW, annotated_BL))
    terms = {"cross_entropy": mean_over(entropy_BDHW, known)}
    if dice_weight:
        counts_BLDHW = known.unsqueeze(1) & annotated_BL[..., None, None, None]
        terms["dice"] = dice_weight * organ_dice(labels_BDHW, log_p_BCDHW, counts_BLDHW)
    return terms


def new_organ_terms(
    labels_BDHW: Tensor, log_p_BCDHW: Tensor, annotated_BL: Tensor, old_count: int, dice_weight: float
) -> dict[str, Tensor]:
    """The same for the organs behind the old ones alone, to which those are background.

    Args: labels_BDHW: numbered as the student's channels. old_count: K.
    """
    counted = (labels_BDHW - old_count).clamp_min(0)
    labels = torch.where(labels_BDHW > 0, counted, labels_BDHW)
    log_p_new = fold_old_into_background(log_p_BCDHW, old_count)
    terms = partly_labelled_terms(labels, log_p_new, annotated_BL[:, old_count:], dice_weight)
    return {f"new_{name}": term for name, term in terms.items()}


def organ_dice(labels_BDHW: Tensor, log_p_BCDHW: Tensor, counts_BLDHW: Tensor) -> Tensor:
    """1 - soft Dice of the organs that were looked for in some sample of the batch; 0 where none was."""
    target = torch.zeros_like(log_p_BCDHW).scatter_(1, labels_BDHW.clamp_min(0).unsqueeze(1), 1.0)
    return counted_dice(target[:, 1:], log_p_BCDHW[:, 1:].exp(), counts_BLDHW)
