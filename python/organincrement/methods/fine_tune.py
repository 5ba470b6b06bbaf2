"""Fine-tuning: the teacher's weights trained on the new labels alone; the baseline that forgets.

    L = CE(g, p_s) + Dice(g, p_s)

Every voxel that the new labels call background is background, old organs too.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from organincrement.methods.labelled import as_student_labels, labelled_terms
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
class FineTuneConfig:
    """Defaults are the practical preset."""

    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)
    new_organ_prior: float = new_organ_prior()


class FineTune(ContinualMethod):
    """Dice + cross entropy on the new labels; old organs are background there, and so they are forgotten."""

    name: ClassVar[str] = "fine-tune"
    title: ClassVar[str] = "Fine-tuning"
    summary: ClassVar[str] = "Trains the teacher on the new labels alone; shows what forgetting costs."
    paper: ClassVar[Citation] = Citation(
        authors="M. McCloskey, N. J. Cohen",
        title="Catastrophic interference in connectionist networks: the sequential learning problem",
        venue="Psychology of Learning and Motivation 24",
        year=1989,
        url="https://doi.org/10.1016/S0079-7421(08)60536-8",
    )
    needs: ClassVar[Needs] = Needs(teachers="one", asked=False)
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = FineTuneConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(recipe=PAPER_ADAM, settings={"dice_weight": 0.0, "new_organ_prior": 0.0}, note=COMPARED),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: FineTuneConfig = inputs.config
        self.old_count = inputs.transition.old_count

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Every voxel that the new labels call background is background, old organs too."""
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        labels = as_student_labels(batch.labels_BDHW, self.old_count)
        return LossTerms(terms=labelled_terms(labels, log_p, self.config.dice_weight, dice_from=1 + self.old_count))
