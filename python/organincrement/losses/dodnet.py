"""Losses of partly labelled data: DoDNet's for maps of their own, the target adaptive loss (TAL) for one softmax.

DoDNet, for each map of each sample, over its labelled voxels (p = sigmoid(z), y in {0, 1}):
    L = 1 - 2 sum(p y) / (sum p + sum y + eps) + mean(-y log p - (1 - y) log(1 - p)),
averaged over the pairs of a sample and a map that have a labelled voxel.
Source: arXiv 2011.10217, eq. 8. The paper prints the second term as a sum over voxels; it is their mean here.

TAL: in each sample p'(background) = p(background) + sum of p over the organs that were not looked for in it.
Source: X. Fang and P. Yan, IEEE Transactions on Medical Imaging 39, 2020, arXiv 2001.00208.
"""

import torch
from torch import Tensor
from torch.nn import functional

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
    return torch.where(labelled_PM, values_PM, 0.0).sum() / labelled_PM.sum().clamp_min(1)


def fold_unannotated_into_background(log_p_BCDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """TAL: organs that were not looked for in a sample count as its background.

    Args: log_p_BCDHW: log-softmax, C = 1 + L. annotated_BL: bool.
    Returns: (B, C, D, H, W), each voxel sums to one in probability; -inf for those organs.
    """
    known = annotated_BL[:, :, None, None, None]
    organs = log_p_BCDHW[:, 1:]
    unknown = organs.masked_fill(known, -torch.inf)
    background = torch.cat([log_p_BCDHW[:, :1], unknown], 1).logsumexp(1, keepdim=True)
    return torch.cat([background, organs.masked_fill(~known, -torch.inf)], 1)


def as_looked_for(labels_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """Labels in which an organ that was not looked for in the sample, though some of it is labelled, is background."""
    known_BC = torch.cat([annotated_BL.new_ones(len(annotated_BL), 1), annotated_BL], 1)
    listed = known_BC.gather(1, labels_BDHW.clamp_min(0).flatten(1)).view_as(labels_BDHW)
    return torch.where(listed, labels_BDHW, 0)
