"""Labels of samples in which not every organ was looked for: their background holds the organs that were not.

Source: X. Fang, P. Yan, "Multi-organ segmentation over partially labeled datasets with multi-scale feature
abstraction" (IEEE TMI 2020, arXiv 2001.00208), the target adaptive loss.
"""

import torch
from torch import Tensor


def with_background(annotated_BL: Tensor, *, looked_for: bool) -> Tensor:
    """(B, 1 + L), as the channels are: whether the background counts as looked for, then which organs were."""
    return torch.cat([annotated_BL.new_full((len(annotated_BL), 1), looked_for), annotated_BL], 1)


def fold_unannotated(log_p_BCDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """Log-probabilities whose background is that of each sample's labels: log(p_0 + sum of the organs not looked for).

    Args: log_p_BCDHW: log-softmax, C = 1 + L. annotated_BL: bool, the organs that were looked for.
    Returns: (B, C, D, H, W). Organs keep their own, so that voxels drawn of an organ not listed can still be learned.
    """
    if bool(annotated_BL.all()):
        return log_p_BCDHW
    closed = with_background(annotated_BL, looked_for=False)[..., None, None, None]
    background = log_p_BCDHW.masked_fill(closed, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([background, log_p_BCDHW[:, 1:]], 1)


def as_looked_for(labels_BDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """Labels in which an organ that was not looked for in the sample, though some of it is labelled, is background."""
    known_BC = with_background(annotated_BL, looked_for=True)
    listed = known_BC.gather(1, labels_BDHW.clamp_min(0).flatten(1)).view_as(labels_BDHW)
    return torch.where(listed, labels_BDHW, 0)
