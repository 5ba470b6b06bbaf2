"""Multi-teacher single-student distillation (MS-KD): each teacher is believed where it sees its organs, all of them
together where none does.

Source: S. Feng et al., "MS-KD: multi-organ segmentation with multiple binary-labeled datasets" (arXiv 2108.02559).

    M^k = 1 where teacher k predicts an organ of its own, M^B = prod_k (1 - M^k)                        (eq. 2)
    q_hat^k: the teacher's probabilities of the background and its own organs, 0 for all others         (eq. 3)
    L^k = mean_i M^k_i KL(q_hat^k_i || q_S,i)                                                           (eq. 4)
    L^B = mean_i M^B_i KL(mean_k q_hat^k_i || q_S,i)                                                    (eq. 5, 6)
    L_feat^k = mean_i M^{k,l}_i KL(sort softmax F^k_i || sort softmax F^S_i), over channels             (eq. 7)

All means are over all voxels, in a mask or not. One organ a teacher is the paper; more are the same formulas.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from organincrement.losses.divergence import kl_divergence
from organincrement.losses.reduction import batch_mean, out_of_all


def organ_region(log_q_BCDHW: Tensor) -> Tensor:
    """Where a teacher predicts any of its organs; ties are background (eq. 2). Returns: bool (B, D, H, W).

    Args: log_q_BCDHW: log q_hat, -inf for organs that it does not know (eq. 3).
    """
    return log_q_BCDHW[:, 1:].amax(1) > log_q_BCDHW[:, 0]


def background_region(regions_BDHW: Sequence[Tensor]) -> Tensor:
    """Where no teacher predicts an organ (M^B)."""
    return ~torch.stack(list(regions_BDHW)).any(0)


def mean_teacher(log_q_BCDHW: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of all teachers' q_hat (eq. 5)."""
    stacked = torch.stack(list(log_q_BCDHW))
    return stacked.logsumexp(0) - torch.log(torch.tensor(float(len(stacked)), dtype=stacked.dtype))


def logit_term(log_q_BCDHW: Tensor, log_p_BCDHW: Tensor, region_BDHW: Tensor) -> Tensor:
    """KL(q_hat || q_S) inside a region, mean over all voxels (eq. 4 and 6).

    Args: log_q_BCDHW: a teacher's, or the mean teacher's. log_p_BCDHW: log-softmax of the student. region_BDHW: bool.
    """
    kl_BDHW = kl_divergence(log_q_BCDHW, log_p_BCDHW)
    return batch_mean(torch.where(region_BDHW, kl_BDHW, torch.zeros_like(kl_BDHW)))


def feature_term(teacher_BFDHW: Tensor, student_BFDHW: Tensor, region_BDHW: Tensor) -> Tensor:
    """KL between the sorted channel softmaxes of two feature maps inside a region, mean over all voxels (eq. 7).

    Args: teacher_BFDHW, student_BFDHW: features at level l. region_BDHW: at full resolution, read at every 2^l-th
        voxel (every n-th along an axis that the features have shrunk n times).
    """
    steps = [full // small for full, small in zip(region_BDHW.shape[1:], student_BFDHW.shape[2:], strict=True)]
    inside = region_BDHW[(slice(None), *(slice(None, None, step) for step in steps))]
    # organs are a few per cent of the voxels: sorting those alone is what makes the term cheap
    teacher_NF, student_NF = (f.movedim(1, -1)[inside].log_softmax(1) for f in (teacher_BFDHW, student_BFDHW))
    return out_of_all(kl_divergence(teacher_NF.sort(1).values, student_NF.sort(1).values).sum(), inside.numel())


def labelled_teacher(log_q_BCDHW: Tensor, labels_BDHW: Tensor, organs: Sequence[int], annotated_BL: Tensor) -> Tensor:
    """The labels in place of a teacher (ours, off in the paper): q_hat in the samples searched for its organs.

    Args: labels_BDHW: 0..L or -1, where the teacher keeps its say. organs: the teacher's, as labels.
    """
    searched_B = annotated_BL[:, [organ - 1 for organ in organs]].all(1)
    replaced_BDHW = (labels_BDHW >= 0) & searched_B[:, None, None, None]
    own_BDHW = torch.isin(labels_BDHW, torch.tensor(organs, device=labels_BDHW.device))
    truth_BDHW = torch.where(own_BDHW, labels_BDHW, torch.zeros_like(labels_BDHW))
    certain = torch.full_like(log_q_BCDHW, -torch.inf).scatter_(1, truth_BDHW.unsqueeze(1), 0.0)
    return torch.where(replaced_BDHW.unsqueeze(1), certain, log_q_BCDHW)
