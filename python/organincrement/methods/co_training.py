"""Co-training: two networks, each of which learns from the other what the labels leave open (MICCAI 2020).

    L = sum over both networks of CE + Dice on the organs looked for
        + r(step) w (KL(t || p) + Dice of t and p) on the others,   t by the other network's moving average

Every data set may have other organs labelled, and scans may have none. The background of a scan's labels holds the
organs that nobody looked for in it (target adaptive loss); which of them it is, the other network says, in soft
labels. The two differ by their random start alone. What is validated and packaged is the average of the first one.

The paper is not at hand but for its abstract; chosen here:

- t is confined to the background and the organs that were not looked for, or is everything in a scan without labels.
- Beyond a scan that has labels neither teaches the other: no label corrects what they would agree on there.
- The paper's region mask, which confines t to the organs' surroundings, is left out; the soft Dice (ours) replaces it.
- w rises as r = exp(-5 (1 - step / ramp)^2), as is usual: the first averages are of random weights.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from organincrement.losses.co_training import co_dice_term, co_teaching_term, open_voxels, soft_targets
from organincrement.methods.first_model import SLICES, UNetConfig
from organincrement.methods.partly_labelled import partly_labelled_terms
from organincrement.methods.protocol import Batch, Citation, ContinualMethod, LossTerms, Needs, Preset, Product, setting
from organincrement.methods.recipes import FROM_SCRATCH, PAPER_MSKD, PAPER_MSKD_NOTE
from organincrement.networks.co_trained import CoTrained


@dataclass(frozen=True, kw_only=True)
class CoTrainingConfig(UNetConfig):
    """What is empty here, the plan fills in from the data and the memory."""

    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)
    co_weight: float = setting(1.0, "weight of what the other network says", low=0)
    co_dice_weight: float = setting(1.0, "weight of a soft Dice with the other network, beside that (ours)", low=0)
    ramp_steps: int = setting(400, "steps over which the other network gains its weight", low=1, unit="steps")
    average: float = setting(0.99, "share of the average that a step keeps", low=0, high=0.9999)


# as compared in arXiv 2108.02559, which names no dropout
_PAPER = {**SLICES, "bottleneck_dropout": 0.0, "co_dice_weight": 0.0, "average": 0.999, "ramp_steps": 10_000}


class CoTraining(ContinualMethod):
    """Dice + cross entropy on what is labelled, and the other network's average on the rest."""

    name: ClassVar[str] = "co-training"
    title: ClassVar[str] = "Co-training of two networks"
    summary: ClassVar[str] = (
        "Trains two networks on partly labelled data, each filling in the labels that the other lacks."
    )
    paper: ClassVar[Citation] = Citation(
        authors="R. Huang et al.",
        title="Multi-organ segmentation via co-training weight-averaged models from few-organ datasets",
        venue="MICCAI", year=2020, url="https://arxiv.org/abs/2008.07149",
    )  # fmt: skip
    needs: ClassVar[Needs] = Needs(teachers="none", partial=True, unlabelled=True)
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = CoTrainingConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=replace(FROM_SCRATCH, ema=None)),
        "paper": Preset(recipe=PAPER_MSKD, settings=_PAPER, note=PAPER_MSKD_NOTE),
    }

    def build_student(self) -> nn.Module:
        """Both networks, fresh, with their averages."""
        return CoTrained(self.inputs.network).to(self.inputs.device)

    def freeze(self, student: nn.Module, phase: int) -> None:
        """The averages follow, they are not trained."""
        cast(CoTrained, student).means.requires_grad_(False)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """The labels' terms and the other's, of both networks."""
        terms = [self._of_one(cast(CoTrained, student), own, batch) for own in range(2)]
        return LossTerms(terms={name: terms[0][name] + terms[1][name] for name in terms[0]})

    def _of_one(self, student: CoTrained, own: int, batch: Batch) -> dict[str, Tensor]:
        c, labels, annotated = self.inputs.config, batch.labels_BDHW, batch.annotated_BL
        log_p = student.networks[own](batch.image_BCDHW).float().log_softmax(1)
        terms = partly_labelled_terms(labels, log_p, annotated, c.dice_weight)
        with torch.no_grad():
            log_q = student.means[1 - own](batch.image_BCDHW).float().log_softmax(1)
            log_t = soft_targets(log_q, labels, annotated)
        left_open, share = open_voxels(labels, annotated), c.co_weight * self._ramp(batch.step)
        terms["co_teaching"] = share * co_teaching_term(log_t, log_p, left_open)
        if c.co_dice_weight:
            terms["co_dice"] = share * c.co_dice_weight * co_dice_term(log_t, log_p, left_open, annotated)
        return terms

    def _ramp(self, step: int) -> float:
        return math.exp(-5 * max(0.0, 1 - step / self.inputs.config.ramp_steps) ** 2)

    def after_step(self, student: nn.Module) -> None:
        """Each average moves towards its network."""
        cast(CoTrained, student).update(self.inputs.config.average)

    def product(self, network: nn.Module) -> Product:
        """The first network's average."""
        return Product(network=cast(CoTrained, network).means[0], spec=self.inputs.network, head=self.inputs.head)
