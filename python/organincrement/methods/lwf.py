"""LwF: learning without forgetting, with old channels as they are (IEEE TPAMI 2018).

    L = CE(g, p_s) + weight * mean KL(p_t || softmax of the student over background and old organs)

No folding of the background: to the new labels old organs are background, which is what MiB and BLA mend. No
temperature (the original, for classification, has 2); the soft Dice of the practical preset is ours.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from organincrement.losses.divergence import kl_divergence, mean_over
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
class LwfConfig:
    """Defaults are the practical preset."""

    distillation_weight: float = setting(10.0, "weight of the divergence from the teacher over the old channels", low=0)
    dice_weight: float = setting(1.0, "weight of a soft Dice with the new labels (ours)", low=0)
    new_organ_prior: float = new_organ_prior()


_PAPER = {"distillation_weight": 1.0, "dice_weight": 0.0, "new_organ_prior": 0.0}


class Lwf(ContinualMethod):
    """Cross entropy on the new labels, KL to the teacher over the softmax of the old channels only."""

    name: ClassVar[str] = "lwf"
    title: ClassVar[str] = "Learning without forgetting"
    summary: ClassVar[str] = "Distils the old channels as they are; old organs stay background in the new labels."
    paper: ClassVar[Citation] = Citation(
        authors="Z. Li, D. Hoiem",
        title="Learning without forgetting",
        venue="IEEE TPAMI 40",
        year=2018,
        url="https://arxiv.org/abs/1606.09282",
    )
    needs: ClassVar[Needs] = Needs(teachers="one")
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = LwfConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_TEACHER),
        "paper": Preset(recipe=PAPER_ADAM, settings=_PAPER, note=COMPARED),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: LwfConfig = inputs.config
        self.teacher = inputs.teachers[0]

    def build_student(self) -> nn.Module:
        """The teacher's weights, and a head for the new organs."""
        return student_from_teacher(self.inputs, self.config.new_organ_prior)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Labels over all channels, distillation over the old ones."""
        old_count = self.teacher.old_count
        log_p_teacher = self.teacher(batch.image_BCDHW).log_p_BKDHW
        logits = student(batch.image_BCDHW).float()
        labels = as_student_labels(batch.labels_BDHW, old_count)
        terms = labelled_terms(labels, logits.log_softmax(1), self.config.dice_weight, dice_from=1 + old_count)
        divergence = mean_over(kl_divergence(log_p_teacher, logits[:, : 1 + old_count].log_softmax(1)))
        return LossTerms(terms={**terms, "distillation": self.config.distillation_weight * divergence})
