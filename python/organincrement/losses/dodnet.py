"""DoDNet's loss of partly labelled maps: for each map of each sample, over its labelled voxels (p = sigmoid(z)),

    L = 1 - 2 sum(p y) / (sum p + sum y + eps) + mean(-y log p - (1 - y) log(1 - p)),

averaged over the pairs of a sample and a map that have a labelled voxel.

Source: arXiv 2011.10217, eq. 8. The paper prints the second term as a sum over voxels; it is their mean here.
"""

import torch
from torch import Tensor
from torch.nn import functional

from organincrement.losses.reduction import batch_sum

EPSILON = 1e-5  # the paper gives no value


def partial_dice_and_cross_entropy(
    logits_PMDHW: Tensor, target_PMDHW: Tensor, epsilon: float = EPSILON
) -> tuple[Tensor, Tensor, Tensor]:
    """Eq. 8's two terms for each map of each sample.

    Args: target_PMDHW: 1 inside, 0 outside, -1 unlabelled.
    Returns: Dice loss, binary cross entropy and whether any voxel is labelled, each (P, M); 0, 0, False without one.
    """
    logits, target = logits_PMDHW.flatten(2), target_PMDHW.flatten(2)
    known = target >= 0
    target = torch.where(known, target, 0).to(logits.dtype)
    p = torch.where(known, logits.sigmoid(), 0.0)
    labelled = known.any(2)
    dice = 1 - 2 * (p * target).sum(2) / ((p + target).sum(2) + epsilon)
    # where, not a product: a voxel that does not count may hold anything
    entropy = torch.where(known, functional.binary_cross_entropy_with_logits(logits, target, reduction="none"), 0.0)
    return dice * labelled, entropy.sum(2) / known.sum(2).clamp_min(1), labelled


def mean_over_labelled(values_PM: Tensor, labelled_PM: Tensor) -> Tensor:
    """Mean over the pairs that have a label; 0, with zero gradient, where none has."""
    total, count = batch_sum(torch.where(labelled_PM, values_PM, 0.0).sum(), labelled_PM.sum())
    return total / count.clamp_min(1)
