"""LwfSeg: heads with a softmax and a background of their own; the old ones are taught by the teacher alone.

    L   = alpha L_c + (1 - alpha) L_d on new images, L_d on exemplars          (eq. 1)
    L_d = - sum over old heads, mean over voxels of sum_c p_c log y_c          (eq. 2; printed without the minus)
    L_c = mean over labelled voxels of - log y_g, of the new head

p: the teacher's, y: the student's probabilities in one head. The paper names neither L_c nor the sums: cross entropy,
sum over heads, mean over voxels are ours.

Source: F. Ozdemir, P. Fuernstahl, O. Goksel, "Learn the new, keep the old", MICCAI 2018 (arXiv 1806.00265).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from organincrement.losses.divergence import UNLABELLED, cross_entropy, mean_over, soft_cross_entropy
from organincrement.losses.reduction import batch_mean


class HeadTerms(NamedTuple):
    """The two sides of eq. 1, each with its weight; `classification` is None in a batch of exemplars."""

    classification: Tensor | None
    distillation: Tensor

    @property
    def total(self) -> Tensor:
        """What eq. 1 minimises."""
        return self.distillation if self.classification is None else self.classification + self.distillation


def classification(labels_BDHW: Tensor, log_y_BCDHW: Tensor) -> Tensor:
    """L_c of the new head; 0 where nothing is labelled. Args: labels_BDHW: 0..N, or UNLABELLED."""
    return mean_over(cross_entropy(labels_BDHW, log_y_BCDHW), labels_BDHW != UNLABELLED)


def distillation(p_of_heads: Sequence[Tensor], log_y_of_heads: Sequence[Tensor]) -> Tensor:
    """L_d. Args: of each old head, (B, C, D, H, W): the teacher's probabilities, the student's log-probabilities."""
    pairs = zip(p_of_heads, log_y_of_heads, strict=True)
    return torch.stack([batch_mean(soft_cross_entropy(p, log_y)) for p, log_y in pairs]).sum()


def head_terms(
    p_of_heads: Sequence[Tensor],
    log_y_of_heads: Sequence[Tensor],
    log_y_new_BCDHW: Tensor,
    labels_BDHW: Tensor,
    *,
    alpha: float,
    exemplar: bool,
) -> HeadTerms:
    """Eq. 1. Args: as of `classification` and `distillation`; exemplar: the batch is from the vault."""
    kept = distillation(p_of_heads, log_y_of_heads)
    if exemplar:
        return HeadTerms(None, kept)
    return HeadTerms(alpha * classification(labels_BDHW, log_y_new_BCDHW), (1 - alpha) * kept)
