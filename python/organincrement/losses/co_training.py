"""What another network's average says of the organs that nobody looked for in a sample.

    t = softmax of the other's logits over the background and the organs not looked for, where the labels say 0
    t = softmax of all of them, where nobody looked at all
    L = mean over these voxels of KL(t || p) + soft Dice of t and p, of the organs not looked for

Labels rule out the organs that were looked for, so that the other network cannot contradict them.
"""

import torch
from torch import Tensor

from organincrement.losses.divergence import UNLABELLED, kl_divergence, mean_over
from organincrement.losses.overlap import counted_dice
from organincrement.losses.partial_labels import with_background


def soft_targets(log_q_BCDHW: Tensor, labels_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """log t. Args: log_q_BCDHW: log-softmax of the other network, C = 1 + L. Returns: (B, C, D, H, W)."""
    closed = with_background(annotated_BL, looked_for=False)[..., None, None, None]
    narrowed = log_q_BCDHW.masked_fill(closed, -torch.inf).log_softmax(1)
    return torch.where((labels_BDHW == UNLABELLED).unsqueeze(1), log_q_BCDHW, narrowed)


def open_voxels(labels_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """Where the labels leave anything open: no organ is drawn, and some were not looked for. Returns: bool.

    A voxel without a label in a scan that has labels lies beyond the scan, or is to be ignored: no data set ever says
    what is there, so that the two networks would only confirm each other in whatever they made up.
    """
    some_open, none_known = ~annotated_BL.all(1)[:, None, None, None], ~annotated_BL.any(1)[:, None, None, None]
    return ((labels_BDHW == 0) & some_open) | ((labels_BDHW == UNLABELLED) & none_known)


def co_teaching_term(log_t_BCDHW: Tensor, log_p_BCDHW: Tensor, open_BDHW: Tensor) -> Tensor:
    """KL(t || p), mean over the open voxels."""
    return mean_over(kl_divergence(log_t_BCDHW, log_p_BCDHW), open_BDHW)


def co_dice_term(log_t_BCDHW: Tensor, log_p_BCDHW: Tensor, open_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """1 - soft Dice of the organs that were not looked for in some sample; 0 where all were."""
    counts = open_BDHW.unsqueeze(1) & ~annotated_BL[..., None, None, None]
    return counted_dice(log_t_BCDHW[:, 1:].exp(), log_p_BCDHW[:, 1:].exp(), counts)
