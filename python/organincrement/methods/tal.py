"""TAL: one softmax over the organs of all data sets, with a target adaptive loss where some were not looked for.

In each sample the organs that were not looked for count as background, p'(0) = p(0) + sum of their p, and

    L = CE(g, p') + Dice(g, p')      Dice over the organs that were looked for in some sample of the batch

Reference: X. Fang and P. Yan, "Multi-organ segmentation over partially labeled datasets with multi-scale feature
abstraction", IEEE Transactions on Medical Imaging 39, 2020, as compared in section 4.3 of DoDNet (arXiv 2011.10217).

Ambiguous in the paper, and chosen here:

- The network is DoDNet's encoder and decoder, without the multi-scale inputs and outputs of TAL's own.
- The soft Dice beside the cross entropy is ours, as DoDNet's comparison trains all its networks with it.
- An anomaly that was not looked for counts as background, also inside an organ that was.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from organincrement.losses.partial_labels import as_looked_for
from organincrement.methods.first_model import GENERAL_NETWORKS
from organincrement.methods.partly_labelled import partly_labelled_terms
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
from organincrement.methods.student import fresh_student
from organincrement.methods.task_method import PRESETS, PartialConfig


@dataclass(frozen=True, kw_only=True)
class TalConfig(PartialConfig):
    """Defaults are the practical preset."""

    network: str = setting("PreActUNet", "network class", choices=GENERAL_NETWORKS)
    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)


class Tal(ContinualMethod):
    """Cross entropy and soft Dice, the organs that were not looked for counting as background."""

    name: ClassVar[str] = "tal"
    title: ClassVar[str] = "TAL: target adaptive loss"
    summary: ClassVar[str] = "One softmax for several data sets; what was not looked for in a scan is its background."
    paper: ClassVar[Citation] = Citation(
        authors="X. Fang, P. Yan",
        title="Multi-organ segmentation over partially labeled datasets with multi-scale feature abstraction",
        venue="IEEE Transactions on Medical Imaging 39",
        year=2020,
        url="https://arxiv.org/abs/2001.00208",
    )
    needs: ClassVar[Needs] = Needs(teachers="none", partial=True)
    baseline: ClassVar[bool] = True
    Config: ClassVar[type] = TalConfig
    presets: ClassVar[dict[str, Preset]] = PRESETS

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: TalConfig = inputs.config

    def build_student(self) -> nn.Module:
        """A fresh network of the planned size."""
        return fresh_student(self.inputs)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Of each sample's own organs and background."""
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        labels = as_looked_for(batch.labels_BDHW, batch.annotated_BL)
        return LossTerms(terms=partly_labelled_terms(labels, log_p, batch.annotated_BL, self.config.dice_weight))
