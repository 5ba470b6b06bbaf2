"""What DoDNet and the networks it is compared with share: settings, presets, and the loss of partly labelled tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

from torch import Tensor, nn

from organincrement.contract.channels import task_list
from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import DynamicHead, Head, ModelManifest
from organincrement.losses.dodnet import mean_over_labelled, partial_dice_and_cross_entropy
from organincrement.methods.first_model import FirstModelConfig
from organincrement.methods.partial_tasks import PartialTasks
from organincrement.methods.protocol import (
    Batch,
    Citation,
    ContinualMethod,
    LossTerms,
    MethodInputs,
    Needs,
    Preset,
    Recipe,
    setting,
)
from organincrement.methods.recipes import FROM_SCRATCH
from organincrement.methods.student import fresh_student
from organincrement.networks.sizing import NetworkSpec

HEAD_WIDTH, HEAD_DEPTH = 8, 3

# 1000 epochs of MOTS' 920 scans in pairs; weight decay is not given
PAPER_DODNET = Recipe(
    steps=460_000, batch=2,
    optimizer={"name": "sgd", "lr": 0.01, "momentum": 0.99, "nesterov": True, "weight_decay": 0.0},
    schedule={"name": "poly", "power": 0.9, "warmup_steps": 0}, patch=(64, 192, 192),
)  # fmt: skip
PAPER_SETTINGS: Mapping[str, Any] = {
    "features": (32, 64, 128, 256, 256),
    "blocks": (1, 2, 2, 2, 2),
    "spacing_mm": (1.5, 0.8, 0.8),
}
PRESETS = {
    "practical": Preset(recipe=FROM_SCRATCH),
    "paper": Preset(
        recipe=PAPER_DODNET,
        settings=PAPER_SETTINGS,
        note="size, patch, grid and schedule of arXiv 2011.10217",
    ),
}
DODNET = Citation(
    authors="J. Zhang et al.",
    title="DoDNet: learning to segment multi-organ and tumors from multiple partially labeled datasets",
    venue="CVPR",
    year=2021,
    url="https://arxiv.org/abs/2011.10217",
)


@dataclass(frozen=True, kw_only=True)
class PartialConfig(FirstModelConfig):
    """Clips as the paper does, to -325 … 325 HU, which become -1 … 1."""

    network: str = setting("DoDNet", "network class", choices=("DoDNet",))
    clip_hu: tuple[float, ...] = setting((-325.0, 325.0), "CT intensities are clipped to this range", unit="HU")
    mean_hu: float = setting(0.0, "subtracted after clipping", unit="HU")
    std_hu: float = setting(325.0, "divided by after that", unit="HU", low=1)


class TaskNetwork(Protocol):
    """A network that can be asked for some tasks only."""

    def for_tasks(self, x_BCDHW: Tensor, sample_P: Tensor, task_P: Tensor) -> Tensor:
        """(P, 2, D, H, W)."""


class TaskMethod(ContinualMethod):
    """Two maps for each task, Dice and binary cross entropy of those that are labelled in a sample."""

    paper: ClassVar[Citation] = DODNET
    needs: ClassVar[Needs] = Needs(teachers="none", partial=True)
    Config: ClassVar[type] = PartialConfig
    presets: ClassVar[dict[str, Preset]] = PRESETS
    network_args: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.tasks = PartialTasks.of(cast(DynamicHead, inputs.head), inputs.organs)

    @classmethod
    def plan_head(cls, transition: LabelTransition, teachers: Sequence[ModelManifest]) -> Head:
        """A task for each organ with its anomaly."""
        return DynamicHead(tasks=task_list(transition.student), width=HEAD_WIDTH, depth=HEAD_DEPTH)

    @classmethod
    def plan_network(
        cls, config: Any, transition: LabelTransition, teachers: Sequence[ModelManifest], channels: int
    ) -> NetworkSpec:
        """The class's own kind of network, of the size that the settings say."""
        sizes = {"features": list(config.features), "blocks": list(config.blocks)}
        args = {"in_channels": 1, "out_channels": channels, **sizes, **cls.network_args}
        return NetworkSpec(kind=config.network, args=args)

    def build_student(self) -> nn.Module:
        """A fresh network of the planned size."""
        return fresh_student(self.inputs)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Eq. 8 of DoDNet over the pairs of a sample and a map that are labelled."""
        sample_P, task_P = self.tasks.labelled_pairs(batch.annotated_BL)
        maps = cast(TaskNetwork, student).for_tasks(batch.image_BCDHW, sample_P, task_P).float()
        target = self.tasks.targets(batch.labels_BDHW, batch.annotated_BL, sample_P, task_P)
        dice, entropy, labelled = partial_dice_and_cross_entropy(maps, target)
        terms = {"dice": mean_over_labelled(dice, labelled), "cross_entropy": mean_over_labelled(entropy, labelled)}
        return LossTerms(terms=terms)
