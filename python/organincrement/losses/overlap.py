"""Soft Dice: the overlap term that keeps organs of a few per cent of the voxels from being ignored."""

import torch
from torch import Tensor

from organincrement.losses.divergence import UNLABELLED
from organincrement.losses.reduction import batch_sum, in_any


def soft_dice_loss(labels_BDHW: Tensor, p_BCDHW: Tensor, smooth: float = 1.0, channel_from: int = 1) -> Tensor:
    """1 - soft Dice, pooled over the batch, mean over the organs from `channel_from` on.

    Args: labels_BDHW: 0..C-1 or UNLABELLED (left out). p_BCDHW: probabilities. smooth: voxels added to both sides of
        the fraction, so that an organ absent from the batch gives a defined value.
    """
    known = (labels_BDHW != UNLABELLED).unsqueeze(1)
    # one_hot would make int64 maps, twice the memory of all probabilities
    target = torch.zeros_like(p_BCDHW).scatter_(1, labels_BDHW.clamp_min(0).unsqueeze(1), known.to(p_BCDHW.dtype))
    return soft_dice_of(target[:, channel_from:], (p_BCDHW * known)[:, channel_from:], smooth)


def counted_dice(target_BLDHW: Tensor, p_BLDHW: Tensor, counts_BLDHW: Tensor) -> Tensor:
    """1 - soft Dice of two soft maps where they count, mean over the organs that do in some voxel; 0 where none does.

    Args: counts_BLDHW: bool.
    """
    target, p = target_BLDHW * counts_BLDHW, p_BLDHW * counts_BLDHW
    organs = in_any(counts_BLDHW.flatten(2).any(2).any(0))
    return soft_dice_of(target[:, organs], p[:, organs]) if bool(organs.any()) else p.sum() * 0.0


def soft_dice_of(target_BCDHW: Tensor, p_BCDHW: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - soft Dice of two soft maps, pooled over the batch, mean over their channels."""
    axes = [0, *range(2, p_BCDHW.ndim)]
    shared = (p_BCDHW * target_BCDHW).sum(axes)
    shared, total = batch_sum(shared, p_BCDHW.sum(axes) + target_BCDHW.sum(axes))
    return (1.0 - (2.0 * shared + smooth) / (total + smooth)).mean()
