"""Voxel-wise divergences between distributions over channels, and means over the voxels that count.

0 log 0 = 0 everywhere. Labels are local: 0 background, 1..N organs, UNLABELLED where nobody looked.
"""

import torch
from torch import Tensor

from organincrement.losses.reduction import batch_mean, batch_sum

UNLABELLED = -1


def mean_over(values_BDHW: Tensor, mask_BDHW: Tensor | None = None) -> Tensor:
    """Mean over the voxels of the mask in the whole batch, 0 (with zero gradient) where it is empty.

    Args: values_BDHW: per-voxel values. mask_BDHW: bool, or None for all voxels.
    """
    if mask_BDHW is None:
        return batch_mean(values_BDHW)
    # where, not a product: a voxel that does not count may hold inf
    kept = torch.where(mask_BDHW, values_BDHW, torch.zeros_like(values_BDHW))
    total, count = batch_sum(kept.sum(), mask_BDHW.sum())
    return total / count.clamp_min(1)


def kl_divergence(log_p_BCDHW: Tensor, log_q_BCDHW: Tensor) -> Tensor:
    """KL(p || q) = sum over channels of p log(p / q), both given as logarithms.

    Returns: (B, D, H, W), natural logarithm.
    """
    p = log_p_BCDHW.exp()
    # -inf - -inf is nan; where p is 0 the term is 0 whatever the logarithms are
    difference = torch.where(p > 0, log_p_BCDHW - log_q_BCDHW, torch.zeros_like(p))
    return (p * difference).sum(1)


def cross_entropy(labels_BDHW: Tensor, log_q_BCDHW: Tensor) -> Tensor:
    """-log q of the labelled channel; 0 where the label is UNLABELLED.

    Args: labels_BDHW: integer labels, 0..C-1 or UNLABELLED.
    Returns: (B, D, H, W).
    """
    known = labels_BDHW >= 0
    picked = log_q_BCDHW.gather(1, labels_BDHW.clamp_min(0).unsqueeze(1)).squeeze(1)
    return torch.where(known, -picked, torch.zeros_like(picked))


def soft_cross_entropy(p_BCDHW: Tensor, log_q_BCDHW: Tensor) -> Tensor:
    """-sum over channels of p log q. Returns: (B, D, H, W)."""
    return -torch.where(p_BCDHW > 0, p_BCDHW * log_q_BCDHW, torch.zeros_like(p_BCDHW)).sum(1)
