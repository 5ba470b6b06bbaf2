"""Background label alignment with uncertainty-aware guidance: the default method."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from organincrement.losses.alignment import fold_new_into_background, fold_old_into_background
from organincrement.losses.bla_uag import bla_uag_terms
from organincrement.losses.guidance import guidance_weight
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
)
from organincrement.methods.recipes import FROM_TEACHER, PAPER_ADAM
from organincrement.methods.student import student_from_teacher

_MODES = ("paper", "inverse", "exp", "none", "relative", "offset")


@dataclass(frozen=True, kw_only=True)
class BlaUagConfig:
    """Defaults are the practical preset; the paper's values stand in PRESETS."""

    pseudo_label_weight: float = setting(1.0, "weight of the teacher's hard labels (lambda 1)", low=0)
    distillation_weight: float = setting(20.0, "weight of the teacher's soft labels (lambda 2)", low=0)
    new_organ_weight: float = setting(10.0, "weight of the new labels (lambda 3)", low=0)
    old_dice_weight: float = setting(1.0, "weight of a soft Dice with the teacher's organs (ours)", low=0)
    new_dice_weight: float = setting(1.0, "weight of a soft Dice with the new labels (ours)", low=0)
    perturbations: int = setting(2, "perturbed copies the teacher sees per patch (Q)", low=1, high=32)
    uncertainty: str = setting("offset", "how the teacher's uncertainty weighs its terms", choices=_MODES)
    smoothing: float = setting(0.0, "share of the new labels' certainty given away", low=0, high=0.9)
    new_organ_prior: float = setting(
        0.02, "share of the background that a new organ has at the start; 0: as in MiB", low=0, high=0.5
    )
    direction: str = setting("forward", "direction of the new labels' divergence", choices=("reverse", "forward"))


_PAPER_SETTINGS = {
    "pseudo_label_weight": 1.0,
    "distillation_weight": 20.0,
    "new_organ_weight": 20.0,
    "old_dice_weight": 0.0,
    "new_dice_weight": 0.0,
    "perturbations": 6,
    "uncertainty": "paper",
    "smoothing": 0.3,
    "direction": "reverse",
    "new_organ_prior": 0.0,
}


class BlaUag(ContinualMethod):
    """Old organs from the teacher, weighted by its uncertainty; new organs from the labels.

    To each of the two the other's organs are background.
    """

    name: ClassVar[str] = "bla-uag"
    title: ClassVar[str] = "BLA + uncertainty-aware guidance"
    summary: ClassVar[str] = (
        "Keeps the old organs by asking the teacher, most where it wavers; learns the new one from its labels."
    )
    paper: ClassVar[Citation] = Citation(
        authors="Y. Zhou et al.",
        title="Uncertainty-aware incremental learning for multi-organ segmentation",
        venue="arXiv 2103.05227",
        year=2021,
        url="https://arxiv.org/abs/2103.05227",
    )
    needs: ClassVar[Needs] = Needs(teachers="one")
    Config: ClassVar[type] = BlaUagConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(
            recipe=PAPER_ADAM, settings=_PAPER_SETTINGS, note="to the letter; needs far more steps than a CPU gives"
        ),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: BlaUagConfig = inputs.config
        self.teacher = inputs.teachers[0]
        if self.config.direction == "reverse" and self.config.smoothing == 0:
            raise MethodError(
                "setting 'smoothing' is 0, but the reverse direction is infinite without: choose forward, or smooth"
            )

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Eq. 8, and two soft Dice terms where their weights are not 0."""
        c, old_count = self.config, self.teacher.old_count
        view = self.teacher(batch.image_BCDHW)
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        terms = bla_uag_terms(
            log_p,
            view.log_p_BKDHW,
            self._guidance(batch),
            batch.labels_BDHW,
            smoothing=c.smoothing,
            direction=c.direction,  # type: ignore[arg-type]
        )
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
        mode = self.config.uncertainty
        if mode == "none":
            return torch.ones_like(batch.labels_BDHW, dtype=torch.float32)
        u_BDHW = self.teacher.uncertainty(batch.image_BCDHW, self.config.perturbations, batch.generator)
        return guidance_weight(u_BDHW, 1 + self.teacher.old_count, mode)  # type: ignore[arg-type]
