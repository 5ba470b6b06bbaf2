"""Supervised training: how a teacher, a specialist or an upper bound is made (nnU-Net, Nature Methods 2021).

    L = CE(g, p_s) + Dice(g, p_s), over voxels that somebody looked at

Networks are nnU-Net's and MONAI's; size, patch and voxel spacing are planned from the data and the memory. No deep
supervision; intensities are clipped to a fixed window instead of the data's percentiles (ours).

With `dimensions` 2 the network sees axial slices one by one (kernels 1x3x3, patches of one slice at the scans' own
distance), and every method that goes on from such a teacher is 2-D as well. The preset `slices` is the 2-D U-Net of
LwfSeg and MS-KD: 64 filters, doubled at each of 4 levels, batch normalisation, ReLU, dropout 0.5 at the coarsest.
Theirs pools by maximum, this one by strided convolutions (ours). The preset `encoder` is the first model of Continual
Segment, whose encoder is frozen then: its intensities, patch, rate and moving average.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from organincrement.methods.first_model import SLICES, WIDE_WINDOW, UNetConfig
from organincrement.methods.labelled import labelled_terms
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
from organincrement.methods.recipes import FROM_SCRATCH, PAPER_ENCODER, PAPER_MSKD, PAPER_MSKD_NOTE, PAPER_NNUNET
from organincrement.methods.student import fresh_student


@dataclass(frozen=True, kw_only=True)
class SupervisedConfig(UNetConfig):
    """Dice and cross entropy, as nnU-Net trains. What is empty here, the plan fills in from the data and the memory."""

    dice_weight: float = setting(1.0, "weight of the soft Dice beside the cross entropy", low=0)


class Supervised(ContinualMethod):
    """Dice + cross entropy on the labels, from a fresh network."""

    name: ClassVar[str] = "supervised"
    title: ClassVar[str] = "Supervised: a first model"
    summary: ClassVar[str] = "Trains a first model from labels alone; no teacher."
    paper: ClassVar[Citation] = Citation(
        authors="F. Isensee et al.",
        title="nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
        venue="Nature Methods 18",
        year=2021,
        url="https://doi.org/10.1038/s41592-020-01008-z",
    )
    needs: ClassVar[Needs] = Needs(teachers="none")
    Config: ClassVar[type] = SupervisedConfig
    presets: ClassVar[dict[str, Preset]] = {
        "practical": Preset(recipe=FROM_SCRATCH),
        "paper": Preset(recipe=PAPER_NNUNET, note="nnU-Net's own schedule"),
        "slices": Preset(
            recipe=PAPER_MSKD, settings=SLICES, note=f"the 2-D U-Net of LwfSeg and MS-KD; {PAPER_MSKD_NOTE}"
        ),
        "encoder": Preset(recipe=PAPER_ENCODER, settings=WIDE_WINDOW, note="the first model of Continual Segment"),
    }

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: SupervisedConfig = inputs.config

    def build_student(self) -> nn.Module:
        """A fresh network of the planned size."""
        return fresh_student(self.inputs)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Cross entropy and soft Dice over labelled voxels."""
        log_p = student(batch.image_BCDHW).float().log_softmax(1)
        return LossTerms(terms=labelled_terms(batch.labels_BDHW, log_p, self.config.dice_weight))
