"""The new organs' term of BLA: smoothed labels against the folded student (arXiv 2103.05227, eq. 6, section 3.1)."""

from typing import Literal

import torch
from torch import Tensor

from organincrement.losses.divergence import UNLABELLED, kl_divergence, mean_over

Direction = Literal["reverse", "forward"]


def smooth_labels(labels_BDHW: Tensor, new_count: int, smoothing: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """1 - smoothing on the true channel, smoothing / N on each other; zeros where unlabelled.

    Args: labels_BDHW: 0..N or UNLABELLED. new_count: N. smoothing: 0.3 in the paper.
    Returns: (B, 1+N, D, H, W).
    """
    known = labels_BDHW != UNLABELLED
    rest = smoothing / new_count
    b, *size = labels_BDHW.shape
    smoothed = torch.full((b, 1 + new_count, *size), rest, dtype=dtype, device=labels_BDHW.device)
    smoothed.scatter_(1, labels_BDHW.clamp_min(0).long().unsqueeze(1), 1.0 - smoothing)
    return smoothed * known.unsqueeze(1).to(dtype)


def smoothed_kl(labels_BDHW: Tensor, log_p_new_BCDHW: Tensor, smoothing: float, direction: Direction) -> Tensor:
    """Mean over labelled voxels of KL(p_new || g_s) (reverse, eq. 6 as printed) or KL(g_s || p_new) (forward).

    Args: labels_BDHW: 0..N or UNLABELLED. log_p_new_BCDHW: student folded by `fold_old_into_background`.
    Raises: ValueError for the reverse direction without smoothing, which is infinite.
    """
    if direction == "reverse" and smoothing <= 0:
        raise ValueError("the reverse direction needs smoothing > 0: KL(p || one-hot) is infinite")
    new_count = log_p_new_BCDHW.shape[1] - 1
    # unlabelled voxels are left out of the mean; any finite target keeps their gradient at 0 rather than nan
    log_target = smooth_labels(labels_BDHW.clamp_min(0), new_count, smoothing, log_p_new_BCDHW.dtype).log()
    pair = (log_p_new_BCDHW, log_target) if direction == "reverse" else (log_target, log_p_new_BCDHW)
    return mean_over(kl_divergence(*pair), labels_BDHW != UNLABELLED)
