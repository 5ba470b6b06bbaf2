"""BLA + UAG: background label alignment with uncertainty-aware guidance; the default method (arXiv 2103.05227).

To the teacher new organs are background, p_old(0) = p_s(0) + sum_j p_s(K+j) (eq. 3); to the new labels old organs are,
p_new(0) = sum_i p_s(i) (eq. 5). With u the entropy of the teacher's mean over Q perturbed copies (eq. 7):

    L = l1 mean[w H(argmax p_t, p_old)] + l2 mean[w KL(p_t || p_old)] + l3 mean[KL(p_new || g_s)]        (eq. 8, w = u)

Ambiguous in the paper, and chosen here:

- It weighs by u itself, which is 0 where the teacher is sure. The practical preset takes w = 1 + u / log(1+K), so that
  every voxel is heeded and the doubtful ones more; u, 1 - u, exp(-u) and 1 are settings.
- Eq. 6 has the prediction first (reverse KL), infinite without smoothing. The practical preset turns it round,
  unsmoothed, and adds soft Dice: in 400 steps the printed terms find no small organ (docs/benchmarks/headneck.md).
- The weight is per voxel, then the mean of all; p_t is of the clean scan; N > 1 new organs share the smoothed 0.3.
  Start, schedule and perturbations are ours: blur gives most of u, brightness nothing (docs/benchmarks/speed.md).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from organincrement.losses.alignment import fold_new_into_background, fold_old_into_background
from organincrement.losses.bla_uag import bla_uag_terms
from organincrement.losses.guidance import MODES, guidance_weight
from organincrement.losses.overlap import soft_dice_loss, soft_dice_of
from organincrement.methods.protocol import (
    Batch,
    Citation,
    ContinualMethod,
    LossTerms,
    MethodError,
    MethodInputs,
    Needs,
    Preset,
    setting,
)  # fmt: skip
from organincrement.methods.recipes import FROM_TEACHER, PAPER_ADAM
from organincrement.methods.student import new_organ_prior, student_from_teacher


@dataclass(frozen=True, kw_only=True)
class BlaUagConfig:
    """Defaults are the practical preset; the paper's values stand in PRESETS."""

    pseudo_label_weight: float = setting(1.0, "weight of the teacher's hard labels (lambda 1)", low=0)
    distillation_weight: float = setting(20.0, "weight of the teacher's soft labels (lambda 2)", low=0)
    new_organ_weight: float = setting(10.0, "weight of the new labels (lambda 3)", low=0)
    old_dice_weight: float = setting(1.0, "weight of a soft Dice with the teacher's organs (ours)", low=0)
    new_dice_weight: float = setting(1.0, "weight of a soft Dice with the new labels (ours)", low=0)
    perturbations: int = setting(2, "perturbed copies the teacher sees per patch (Q)", low=1, high=32)
    uncertainty: str = setting("offset", "how the teacher's uncertainty weighs its terms", choices=MODES)
    smoothing: float = setting(0.0, "share of the new labels' certainty given away", low=0, high=0.9)
    new_organ_prior: float = new_organ_prior()
    direction: str = setting("forward", "direction of the new labels' divergence", choices=("reverse", "forward"))
    patch_plan: int = setting(0, "so many mini-batches in turn, each shown to the teacher once; 0: new ones", low=0)


_PAPER_SETTINGS = {  # lambda 1 and 2 are the defaults
    "new_organ_weight": 20.0, "old_dice_weight": 0.0, "new_dice_weight": 0.0, "new_organ_prior": 0.0,
    "perturbations": 6, "uncertainty": "paper", "smoothing": 0.3, "direction": "reverse",
}  # fmt: skip


class BlaUag(ContinualMethod):
    """Old organs from the teacher, weighted by its uncertainty; new organs from the labels."""

    name: ClassVar[str] = "bla-uag"
    title: ClassVar[str] = "BLA + uncertainty-aware guidance"
    summary: ClassVar[str] = "Keeps the old organs by asking the teacher; learns the new one from its labels."
    paper: ClassVar[Citation] = Citation(
        authors="Y. Zhou et al.", title="Uncertainty-aware incremental learning for multi-organ segmentation",
        venue="arXiv 2103.05227", year=2021, url="https://arxiv.org/abs/2103.05227",
    )  # fmt: skip
    needs: ClassVar[Needs] = Needs(teachers="one")
    Config: ClassVar[type] = BlaUagConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(recipe=PAPER_ADAM, settings=_PAPER_SETTINGS, note="to the letter; takes days on a CPU"),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: BlaUagConfig = inputs.config
        self.teacher = inputs.teachers[0]
        if self.config.direction == "reverse" and self.config.smoothing == 0:
            raise MethodError("setting 'smoothing' is 0, but reverse is infinite without: choose forward, or smooth")

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Eq. 8, and two soft Dice terms where their weights are not 0."""
        c, old_count = self.config, self.teacher.old_count
        view = self.teacher(batch.image_BCDHW)
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        terms = bla_uag_terms(
            log_p, view.log_p_BKDHW, self._guidance(batch), batch.labels_BDHW,
            smoothing=c.smoothing, direction=c.direction,  # type: ignore[arg-type]
        )  # fmt: skip
        weighted = {
            "pseudo_label": c.pseudo_label_weight * terms.pseudo_label,
            "distillation": c.distillation_weight * terms.distillation,
            "new_organ": c.new_organ_weight * terms.new_organ,
        }
        if c.old_dice_weight:
            p_old = fold_new_into_background(log_p, old_count).exp()
            weighted["old_dice"] = c.old_dice_weight * soft_dice_of(view.p_BKDHW[:, 1:], p_old[:, 1:])
        if c.new_dice_weight:
            p_new = fold_old_into_background(log_p, old_count).exp()
            weighted["new_dice"] = c.new_dice_weight * soft_dice_loss(batch.labels_BDHW, p_new)
        return LossTerms(terms=weighted)

    def _guidance(self, batch: Batch) -> Tensor:
        if self.config.uncertainty == "none":
            return torch.ones_like(batch.labels_BDHW, dtype=torch.float32)
        u_BDHW = self.teacher.uncertainty(batch.image_BCDHW, self.config.perturbations, batch.generator)
        return guidance_weight(u_BDHW, 1 + self.teacher.old_count, self.config.uncertainty)  # type: ignore[arg-type]
