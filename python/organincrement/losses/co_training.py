"""What another network's average says of the organs that nobody looked for in a sample.

    t = softmax of the other's logits over the background and the organs not looked for, where the labels say 0
    t = softmax of all of them, where nobody looked at all
    L = mean over these voxels of KL(t || p) + soft Dice of t and p, of the organs not looked for

Labels rule out the organs that were looked for, so that the other network cannot contradict them.
"""

import torch
from torch import Tensor

from organincrement.losses.divergence import UNLABELLED, kl_divergence, mean_over
from organincrement.losses.overlap import soft_dice_of


def soft_targets(log_q_BCDHW: Tensor, labels_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """log t. Args: log_q_BCDHW: log-softmax of the other network, C = 1 + L. Returns: (B, C, D, H, W)."""
    closed_BC = torch.cat([torch.zeros_like(annotated_BL[:, :1]), annotated_BL], 1)[..., None, None, None]
    narrowed = log_q_BCDHW.masked_fill(closed_BC, -torch.inf).log_softmax(1)
    return torch.where((labels_BDHW == UNLABELLED).unsqueeze(1), log_q_BCDHW, narrowed)


def open_voxels(labels_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """Where the labels leave anything open: no organ is drawn, and some were not looked for. Returns: bool."""
    some_open = ~annotated_BL.all(1)[:, None, None, None]
    return (labels_BDHW == UNLABELLED) | ((labels_BDHW == 0) & some_open)


def co_teaching_term(log_t_BCDHW: Tensor, log_p_BCDHW: Tensor, open_BDHW: Tensor) -> Tensor:
    """KL(t || p), mean over the open voxels."""
    return mean_over(kl_divergence(log_t_BCDHW, log_p_BCDHW), open_BDHW)


def co_dice_term(log_t_BCDHW: Tensor, log_p_BCDHW: Tensor, open_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """1 - soft Dice of the organs that were not looked for in some sample; 0 where all were."""
    counts = open_BDHW.unsqueeze(1) & ~annotated_BL[..., None, None, None]
    target, p = log_t_BCDHW[:, 1:].exp() * counts, log_p_BCDHW[:, 1:].exp() * counts
    organs = counts.flatten(2).any(2).any(0)
    return soft_dice_of(target[:, organs], p[:, organs]) if bool(organs.any()) else p.sum() * 0.0
