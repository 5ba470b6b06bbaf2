"""Several networks of the same kind that answer as one."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Networks whose answers are averaged: (B, in, D, H, W) to logits (B, C, D, H, W).

    Args: of: what is averaged: the logits (as nnU-Net does for its folds), or the probabilities, whose logarithm is
        then the answer. groups: the channels of each softmax, for probabilities; None: all channels are one.
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        of: Literal["logits", "probabilities"] = "logits",
        groups: Sequence[Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.of = of
        self.groups = None if groups is None else tuple(map(list, groups))

    @property
    def start(self) -> nn.Module:
        """The member from whose weights a student starts."""
        return self.members[0]

    def forward(self, image_BCDHW: Tensor) -> Tensor:
        """The mean of the logits, or the logarithm of the mean of the probabilities."""
        # summed as they come, so that two members' answers are in memory at most
        first, *others = self.members
        total = self._answer(first, image_BCDHW)
        for member in others:
            answer = self._answer(member, image_BCDHW)
            total = total + answer if self.of == "logits" else torch.logaddexp(total, answer)
        return total / len(self.members) if self.of == "logits" else total - math.log(len(self.members))

    def _answer(self, member: nn.Module, image_BCDHW: Tensor) -> Tensor:
        logits_BCDHW: Tensor = member(image_BCDHW)
        if self.of == "logits":
            return logits_BCDHW
        if self.groups is None:
            return logits_BCDHW.log_softmax(1)
        log_p_BCDHW = torch.empty_like(logits_BCDHW)
        for channels in self.groups:
            log_p_BCDHW[:, channels] = logits_BCDHW[:, channels].log_softmax(1)
        return log_p_BCDHW


def start_of(network: nn.Module) -> nn.Module:
    """The network whose weights a student starts from: the network itself, or an ensemble's first member."""
    return network.start if isinstance(network, Ensemble) else network
