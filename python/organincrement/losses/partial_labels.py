"""Labels of samples in which not every organ was looked for: their background holds the organs that were not.

Source: X. Fang, P. Yan, "Multi-organ segmentation over partially labeled datasets with multi-scale feature
abstraction" (IEEE TMI 2020, arXiv 2001.00208), the target adaptive loss.
"""

import torch
from torch import Tensor


def fold_unannotated(log_p_BCDHW: Tensor, annotated_BL: Tensor) -> Tensor:
    """Log-probabilities whose background is that of each sample's labels: log(p_0 + sum of the organs not looked for).

    Args: log_p_BCDHW: log-softmax, C = 1 + L. annotated_BL: bool, the organs that were looked for.
    Returns: (B, C, D, H, W). Organs keep their own, so that voxels drawn of an organ not listed can still be learned.
    """
    if bool(annotated_BL.all()):
        return log_p_BCDHW
    open_B1 = torch.zeros_like(annotated_BL[:, :1])
    closed = torch.cat([open_B1, annotated_BL], 1)[..., None, None, None]
    background = log_p_BCDHW.masked_fill(closed, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([background, log_p_BCDHW[:, 1:]], 1)
