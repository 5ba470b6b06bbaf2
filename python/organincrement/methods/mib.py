"""MiB: modelling the background, adapted to 3-D; the closest rival of BLA (CVPR 2020).

    L = unCE + weight * unKD / (1 + K);  unCE = -mean log p_new(g);  unKD = -mean sum_c p_t(c) log p_old(c)

with p_old and p_new as in BLA. Ambiguous in the comparison of arXiv 2103.05227, and chosen here:

- The weight of the distillation is not given: 10, and its division by 1 + K, are the released code's defaults.
- The paper starts a new organ at the background's probability. In short schedules the organ then collapses: the
  practical preset starts it at 2 % of the background's share, and adds a soft Dice.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from organincrement.losses.alignment import fold_old_into_background
from organincrement.losses.mib import unbiased_cross_entropy, unbiased_distillation
from organincrement.losses.overlap import soft_dice_loss
from organincrement.methods.protocol import (
    Batch,
    Citation,
    ContinualMethod,
    LossTerms,
    MethodInputs,
    Needs,
    Preset,
    setting,
)
from organincrement.methods.recipes import COMPARED, FROM_TEACHER, PAPER_ADAM
from organincrement.methods.student import new_organ_prior, student_from_teacher


@dataclass(frozen=True, kw_only=True)
class MibConfig:
    """Defaults are the practical preset."""

    distillation_weight: float = setting(10.0, "weight of the distillation, before its division by 1 + K", low=0)
    new_dice_weight: float = setting(1.0, "weight of a soft Dice with the new labels (ours)", low=0)
    new_organ_prior: float = new_organ_prior()


class Mib(ContinualMethod):
    """Unbiased cross entropy on the new labels, unbiased distillation from the teacher."""

    name: ClassVar[str] = "mib"
    title: ClassVar[str] = "MiB: modelling the background"
    summary: ClassVar[str] = "Distils the teacher with the background shared between old and new organs."
    paper: ClassVar[Citation] = Citation(
        authors="F. Cermelli et al.",
        title="Modeling the background for incremental learning in semantic segmentation",
        venue="CVPR",
        year=2020,
        url="https://arxiv.org/abs/2002.00718",
    )
    needs: ClassVar[Needs] = Needs(teachers="one")
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = MibConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(
            recipe=PAPER_ADAM,
            settings={"new_dice_weight": 0.0, "new_organ_prior": 0.0},
            note=COMPARED,
        ),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: MibConfig = inputs.config
        self.teacher = inputs.teachers[0]

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """unCE + weight * unKD / (1 + K), as the released code scales it."""
        old_count = self.teacher.old_count
        p_teacher = self.teacher(batch.image_BCDHW).p_BKDHW
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        weight = self.config.distillation_weight / (1 + old_count)
        terms = {
            "new_organ": unbiased_cross_entropy(batch.labels_BDHW, log_p, old_count),
            "distillation": weight * unbiased_distillation(p_teacher, log_p),
        }
        if self.config.new_dice_weight:
            p_new = fold_old_into_background(log_p, old_count).exp()
            terms["new_dice"] = self.config.new_dice_weight * soft_dice_loss(batch.labels_BDHW, p_new)
        return LossTerms(terms=terms)
