"""Background label alignment (BLA): see a (1+K+N)-channel student as the teacher, or as the new labels, would.

Source: "Uncertainty-aware incremental learning for multi-organ segmentation" (arXiv 2103.05227), eq. 3 and 5.
All functions work in the log domain, so that a probability which underflows keeps its logarithm.
"""

import torch
from torch import Tensor


def fold_new_into_background(log_p_BCDHW: Tensor, old_count: int) -> Tensor:
    """Log-probabilities as the teacher would see them: new organs count as background (eq. 3).

    Args: log_p_BCDHW: log-softmax of the student, C = 1 + K + N. old_count: K.
    Returns: (B, 1+K, D, H, W); each voxel sums to one in probability.
    """
    background = torch.cat([log_p_BCDHW[:, :1], log_p_BCDHW[:, 1 + old_count :]], 1).logsumexp(1, keepdim=True)
    return torch.cat([background, log_p_BCDHW[:, 1 : 1 + old_count]], 1)


def fold_old_into_background(log_p_BCDHW: Tensor, old_count: int) -> Tensor:
    """Log-probabilities as the new labels see them: old organs count as background (eq. 5).

    Args: log_p_BCDHW: log-softmax of the student, C = 1 + K + N. old_count: K.
    Returns: (B, 1+N, D, H, W); each voxel sums to one in probability.
    """
    background = log_p_BCDHW[:, : 1 + old_count].logsumexp(1, keepdim=True)
    return torch.cat([background, log_p_BCDHW[:, 1 + old_count :]], 1)


def group_channels(log_p_BKDHW: Tensor, channel_of: tuple[int, ...], count: int) -> Tensor:
    """Sum the probabilities of channels that count as the same organ, in the log domain.

    Args: log_p_BKDHW: log-probabilities. channel_of: target channel of each channel; a target in 0..count-1 without a
        source has no probability. count: number of targets.
    Returns: (B, count, D, H, W).
    """
    if channel_of == tuple(range(count)):
        return log_p_BKDHW
    sources = [[k for k, target in enumerate(channel_of) if target == c] for c in range(count)]
    never = torch.full_like(log_p_BKDHW[:, :1], -torch.inf)
    return torch.cat([log_p_BKDHW[:, group].logsumexp(1, keepdim=True) if group else never for group in sources], 1)
