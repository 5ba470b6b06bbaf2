"""What LwfSeg, AeiSeg and CoRiSeg share: one more head for the new organs, and the loss on all heads."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from organincrement.contract.channels import ChannelGroup, channel_groups
from organincrement.contract.labels import LabelTransition
from organincrement.contract.model import Head, ModelManifest, MultiHead, OrganHead, SoftmaxHead
from organincrement.losses.alignment import group_channels
from organincrement.losses.heads import head_terms
from organincrement.losses.overlap import soft_dice_loss, soft_dice_of
from organincrement.methods.head_advice import advice_on
from organincrement.methods.protocol import (
    Batch,
    Citation,
    ContinualMethod,
    LossTerms,
    MethodError,
    MethodInputs,
    Preset,
    Recipe,
    setting,
)
from organincrement.methods.recipes import FROM_TEACHER
from organincrement.methods.student import new_organ_prior
from organincrement.networks.build import NO_START, PROGRAM
from organincrement.networks.head import append, output_layer
from organincrement.networks.sizing import NetworkSpec

OZDEMIR = Citation(
    authors="F. Ozdemir, P. Fuernstahl, O. Goksel",
    title="Learn the new, keep the old: extending pretrained models with new anatomy and images",
    venue="MICCAI",
    year=2018,
    url="https://arxiv.org/abs/1806.00265",
)

# Batch size as in the paper; optimiser and rate are ours, and so are the steps: 1000 epochs of 6 volumes of 64 slices
PAPER_HEADS = Recipe(
    steps=48_000, batch=8,
    optimizer={"name": "adam", "lr": 1e-4, "weight_decay": 0.0},
    schedule={"name": "constant", "warmup_steps": 0},
)  # fmt: skip
HEADS_PRESETS = {
    "practical": Preset(recipe=FROM_TEACHER),
    "paper": Preset(
        recipe=PAPER_HEADS,
        settings={"new_dice_weight": 0.0, "old_dice_weight": 0.0, "new_organ_prior": 0.0},
        note="the paper's loss, batch and epochs; optimiser and rate, which it does not give, are ours",
    ),
}


@dataclass(frozen=True, kw_only=True)
class HeadsConfig:
    """Defaults are the practical preset."""

    alpha: float = setting(0.5, "weight of the new organs' cross entropy; the distillation has the rest", low=0, high=1)
    new_dice_weight: float = setting(1.0, "weight of a soft Dice of the new organs (ours)", low=0)
    old_dice_weight: float = setting(1.0, "weight of a soft Dice with the teacher's organs (ours)", low=0)
    new_organ_prior: float = new_organ_prior()


class IncrementalHeads(ContinualMethod):
    """The teacher's heads go on under its own posteriors; a new head learns from the labels; all share the trunk."""

    Config: ClassVar[type] = HeadsConfig

    def __init__(self, inputs: MethodInputs) -> None:
        super().__init__(inputs)
        self.config: HeadsConfig = inputs.config
        self.teacher = inputs.teachers[0]
        kept_as = inputs.transition.teacher_to_student
        # a head whose organs are all learned anew has nothing left to teach
        self.taught_by = [group for group in self.teacher.readout.groups if any(kept_as[n] for n in group.labels)]
        groups = channel_groups(inputs.head, inputs.organs)
        self.old_groups, self.new_group = groups[:-1], groups[-1]

    @classmethod
    def plan_head(cls, transition: LabelTransition, teachers: Sequence[ModelManifest]) -> Head:
        """The teacher's heads without what is merged away, then one of the new organs."""
        _check_can_be_built(cls.name, teachers[0])
        parts = _old_heads(cls.name, teachers[0])
        layer = output_layer(NetworkSpec.of(teachers[0].network))
        for source, target in transition.merges.items():
            if target not in transition.new.ids and not any({source, target} <= set(part) for part in parts):
                raise MethodError(
                    f"'{source}' cannot count as '{target}': they are of different heads of the teacher, which method "
                    f"'{cls.name}' teaches one by one; leave that merge out"
                )
        kept = [tuple(organ for organ in part if organ not in transition.merges) for part in parts]
        kept = [*filter(None, kept), transition.new.ids]
        return MultiHead(heads=tuple(OrganHead(organs=organs, prefix=layer) for organs in kept))

    @classmethod
    def plan_network(
        cls, config: Any, transition: LabelTransition, teachers: Sequence[ModelManifest], channels: int
    ) -> NetworkSpec:
        """The teacher's network with more rows in its output layer."""
        return NetworkSpec.of(teachers[0].network).with_outputs(channels)

    def build_student(self) -> nn.Module:
        """All of the teacher's weights; the new head's rows are fresh, its background as probable as the prior says."""
        transition = self.inputs.transition
        kept = [
            channel
            for group in self.taught_by
            for channel, label in zip(group.all_channels, (0, *group.labels), strict=True)
            if label == 0 or transition.old.ids[label - 1] not in transition.merges
        ]
        state = {name: weight.detach().cpu() for name, weight in self.teacher.start.state_dict().items()}
        new_channels = len(self.new_group.all_channels)
        student = append(self.teacher.spec, state, kept, new_channels)
        if prior := self.config.new_organ_prior:
            bias = student.get_submodule(output_layer(self.teacher.spec)).get_parameter("bias")
            bias.data[self.new_group.background] += math.log((1.0 - prior) / prior)
        return student.to(self.inputs.device)

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """Eq. 1, and soft Dice terms where their weights are not 0; of exemplars what concerns the old heads alone."""
        z_teacher, z = self.teacher.logits(batch.image_BCDHW), student(batch.image_BCDHW).float()
        p, log_y, log_y_new = self._posteriors(z_teacher), [_of(g, z) for g in self.old_groups], _of(self.new_group, z)
        terms = head_terms(
            p, log_y, log_y_new, batch.labels_BDHW, alpha=self.config.alpha, exemplar=batch.exemplar
        )  # fmt: skip
        named = {"distillation": terms.distillation}
        if self.config.old_dice_weight:
            pairs = zip(p, log_y, strict=True)
            dice = torch.stack([soft_dice_of(theirs[:, 1:], ours.exp()[:, 1:]) for theirs, ours in pairs]).mean()
            named["old_dice"] = self.config.old_dice_weight * dice
        if terms.classification is not None:
            named["new_organ"] = terms.classification
            if self.config.new_dice_weight:
                dice = soft_dice_loss(batch.labels_BDHW, log_y_new.exp())
                named["new_dice"] = self.config.new_dice_weight * dice
        return LossTerms(terms=named)

    def _posteriors(self, z_BCDHW: Tensor) -> list[Tensor]:
        """The teacher's probabilities in each of its heads, merged organs summed, those learned anew as background."""
        to_student, found = self.inputs.transition.teacher_to_student, []
        for theirs, ours in zip(self.taught_by, self.old_groups, strict=True):
            place = {0: 0} | {label: n for n, label in enumerate(ours.labels, start=1)}
            place_of = (0, *(place[to_student[label]] for label in theirs.labels))
            found.append(group_channels(_of(theirs, z_BCDHW), place_of, len(ours.all_channels)).exp())
        return found


def _check_can_be_built(method: str, teacher: ModelManifest) -> None:
    kind = teacher.network.kind
    if kind in NO_START:
        what = "program (a head of kind 'torchscript')" if kind == PROGRAM else kind
        raise MethodError(
            f"method '{method}' adds to its teacher's last layer; '{teacher.name}' is a {what}, to which nothing can "
            f"be added: {advice_on(teacher.head)}"
        )


def _old_heads(method: str, teacher: ModelManifest) -> tuple[tuple[str, ...], ...]:
    match teacher.head:
        case SoftmaxHead():
            return (teacher.label_space.ids,)
        case MultiHead(heads=heads):
            if {part.prefix for part in heads} == {output_layer(NetworkSpec.of(teacher.network))}:
                return tuple(part.organs for part in heads)
    raise MethodError(
        f"method '{method}' goes on from a teacher whose one output layer holds a softmax or several; '{teacher.name}' "
        f"has a head of kind '{teacher.head.kind}' that is built otherwise: {advice_on(teacher.head)}"
    )


def _of(group: ChannelGroup, z_BCDHW: Tensor) -> Tensor:
    """Log-probabilities in one head."""
    return z_BCDHW[:, list(group.all_channels)].log_softmax(1)
