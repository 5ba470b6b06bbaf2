"""Self-training: the teacher's labels fill the background of the new ones; then ordinary training.

On a new scan, a voxel that the new labels leave to the background takes the teacher's most probable organ. On scans of
old data, where there are any ("w all datasets" of arXiv 2103.05227), the true old labels are kept; the new organ was
not looked for there, and so a background voxel counts as -log(p_0 + p_new). The teacher fills only organs that nobody
looked for. With g so completed:

    L = CE(g, p_s) + Dice(g, p_s), the Dice over the organs that are known in each sample

Ambiguous in the paper, and chosen here:

- It does not say what old scans tell of the new organ: nothing, rather than pseudo-labels of a second specialist.
- Old and new scans come in one shuffled order, each equally often.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from organincrement.losses.divergence import UNLABELLED, cross_entropy, mean_over
from organincrement.losses.overlap import soft_dice_loss
from organincrement.losses.partial_labels import fold_unannotated, with_background
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
from organincrement.methods.student import student_from_teacher


@dataclass(frozen=True, kw_only=True)
class SelfTrainingConfig:
    """Defaults are the practical preset."""

    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)
    new_organ_prior: float = setting(
        0.02, "share of the background that a new organ has at the start; 0: as in MiB", low=0, high=0.5
    )


class SelfTraining(ContinualMethod):
    """Dice + cross entropy on the labels, completed by the teacher's most probable organ."""

    name: ClassVar[str] = "self-training"
    title: ClassVar[str] = "Self-training"
    summary: ClassVar[str] = "Takes the teacher's segmentation for truth wherever the new labels say background."
    paper: ClassVar[Citation] = Citation(
        authors="D.-H. Lee",
        title="Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks",
        venue="ICML workshop on challenges in representation learning",
        year=2013,
        url="",
    )
    needs: ClassVar[Needs] = Needs(teachers="one", old_data=True, labels="student", partial=True)
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = SelfTrainingConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(recipe=PAPER_ADAM, settings={"dice_weight": 0.0, "new_organ_prior": 0.0}, note=COMPARED),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: SelfTrainingConfig = inputs.config
        self.teacher = inputs.teachers[0]

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Cross entropy and soft Dice; the teacher counts as having looked for every old organ that nobody else did."""
        filled = self._filled(batch)
        known_BL = batch.annotated_BL.clone()
        known_BL[:, : self.teacher.old_count] = True
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        entropy = cross_entropy(filled, fold_unannotated(log_p, known_BL))
        terms = {"cross_entropy": mean_over(entropy, filled != UNLABELLED)}
        if self.config.dice_weight:
            counts = with_background(known_BL, looked_for=True)[..., None, None, None]
            terms["dice"] = self.config.dice_weight * soft_dice_loss(filled, log_p.exp() * counts)
        return LossTerms(terms=terms)

    def _filled(self, batch: Batch) -> Tensor:
        """In the background, the organ that the teacher names, unless it was looked for there."""
        said, labels = self.teacher(batch.image_BCDHW).labels_BDHW, batch.labels_BDHW
        # background and new organs are not the teacher's to fill
        looked_for = with_background(batch.annotated_BL, looked_for=True)
        open_BDHW = ~looked_for.gather(1, said.flatten(1)).view_as(said)
        return torch.where((labels == 0) & open_BDHW, said, labels)
