"""Sums and means over a mini-batch, which several processes may have between them (`imaging/share.py`).

A loss is made of these alone, so that numerators and denominators are those of the whole batch in every process.
"""

import torch
from torch import Tensor

from organincrement.imaging.share import present_share


def batch_sum(*sums: Tensor) -> tuple[Tensor, ...]:
    """Sums over this process's samples, as sums over all. Args: tensors of one shape, real or counts."""
    share = present_share()
    if share is None:
        return sums
    kind = next((part.dtype for part in sums if part.is_floating_point()), torch.float64)
    return share.summed(torch.stack([part.to(kind) for part in sums])).unbind()


def batch_mean(values: Tensor) -> Tensor:
    """Mean over all values of the batch."""
    return values.mean() if present_share() is None else out_of_all(values.sum(), values.numel())


def out_of_all(total: Tensor, count: int) -> Tensor:
    """A sum over this process's samples, out of so many values of them, as a mean over all values of the batch."""
    if present_share() is None:
        return total / count
    total, counted = batch_sum(total, torch.tensor(count, device=total.device))
    return total / counted


def in_any(found: Tensor) -> Tensor:
    """Whether something is so in any process, elementwise. Args: found: bool."""
    return batch_sum(found)[0] > 0 if present_share() is not None else found
