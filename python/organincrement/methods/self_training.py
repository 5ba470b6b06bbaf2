"""Self-training: the teacher's labels fill the background of the new ones; then ordinary training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from organincrement.methods.labelled import as_student_labels, labelled_terms
from organincrement.methods.protocol import Batch, Citation, LossTerms, MethodInputs, Needs, Phase, Preset, setting
from organincrement.methods.recipes import COMPARED, FROM_TEACHER, PAPER_ADAM
from organincrement.methods.student import student_from_teacher


@dataclass(frozen=True, kw_only=True)
class SelfTrainingConfig:
    """Defaults are the practical preset."""

    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)
    new_organ_prior: float = setting(
        0.02, "share of the background that a new organ has at the start; 0: as in MiB", low=0, high=0.5
    )


class SelfTraining:
    """Dice + cross entropy on the new labels, completed by the teacher's most probable organ."""

    name: ClassVar[str] = "self-training"
    summary: ClassVar[str] = "Takes the teacher's segmentation for truth wherever the new labels say background."
    paper: ClassVar[Citation] = Citation(
        authors="D.-H. Lee",
        title="Pseudo-label: the simple and efficient semi-supervised learning method for deep neural networks",
        venue="ICML workshop on challenges in representation learning",
        year=2013,
        url="",
    )
    needs: ClassVar[Needs] = Needs(teachers="one")
    Config: ClassVar[type] = SelfTrainingConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(recipe=PAPER_ADAM, settings={"dice_weight": 0.0, "new_organ_prior": 0.0}, note=COMPARED),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        self.inputs = inputs
        self.config: SelfTrainingConfig = inputs.config
        self.teacher = inputs.teachers[0]

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """An unlabelled voxel takes the teacher's organ where it names one, and stays unlabelled otherwise."""
        view = self.teacher(batch.image_BCDHW)
        labels = as_student_labels(batch.labels_BDHW, self.teacher.old_count)
        filled = torch.where((labels <= 0) & (view.labels_BDHW > 0), view.labels_BDHW, labels)
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        return LossTerms(terms=labelled_terms(filled, log_p, self.config.dice_weight))

    def phases(self) -> Sequence[Phase]:
        """One."""
        return (Phase(name="increment"),)
