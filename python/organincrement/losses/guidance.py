"""Uncertainty-aware guidance (UAG): how far the teacher is to be heeded at each voxel (arXiv 2103.05227, eq. 7).

The paper multiplies the old organs' terms by the entropy u itself, which is near 0 wherever the teacher is sure.
The other modes keep the sure voxels; `relative` and `offset` are ours (docs/methods.md shows what each does).
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from organincrement.losses.reduction import batch_mean

Mode = Literal["paper", "inverse", "exp", "none", "relative", "offset"]
MODES: tuple[str, ...] = get_args(Mode)


def entropy(p_BKDHW: Tensor) -> Tensor:
    """-sum over channels of p log p, natural logarithm, in [0, log K']. Returns: (B, D, H, W)."""
    return torch.special.entr(p_BKDHW).sum(1)


def entropy_of_mean(p_QBKDHW: Tensor) -> Tensor:
    """Entropy of the mean over Q perturbed predictions (eq. 7). Returns: (B, D, H, W)."""
    return entropy(p_QBKDHW.mean(0))


def guidance_weight(u_BDHW: Tensor, class_count: int, mode: Mode) -> Tensor:
    """The weight of the old organs' terms at each voxel, a constant for the gradient.

    Args: u_BDHW: entropy in [0, log class_count]. class_count: 1 + K. mode: `paper` u; `inverse` 1 - u / log(1+K);
        `exp` exp(-u); `none` 1; `relative` u divided by its mean over the batch; `offset` 1 + u / log(1+K).
    Returns: (B, D, H, W).
    """
    u_BDHW = u_BDHW.detach()
    if mode == "paper":
        return u_BDHW
    if mode == "exp":
        return torch.exp(-u_BDHW)
    if mode == "none":
        return torch.ones_like(u_BDHW)
    if mode == "relative":
        return u_BDHW / batch_mean(u_BDHW).clamp_min(torch.finfo(u_BDHW.dtype).tiny)
    share = u_BDHW / math.log(class_count)
    return (1.0 - share).clamp(0.0, 1.0) if mode == "inverse" else 1.0 + share
