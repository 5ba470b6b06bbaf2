"""From a network's output channels to organs, whatever its head: one softmax, several, or a sigmoid for each organ."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from organincrement.contract.channels import ChannelGroup, channel_count, channel_groups
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import Head, MultiHead
from organincrement.inference.body_range import ChannelOf, vetoed_logits, vetoed_probabilities
from organincrement.inference.merging import Claim, Merger
from organincrement.inference.reduce import entropy_of_channels, label_and_entropy

_CERTAIN = 30.0  # as a logit: to 1e-13
_LEAST_P = 1e-13


@dataclass(frozen=True, kw_only=True)
class Readout:
    """How channels become labels. channels: of the network. classes: background and organs.

    rule: of several groups, whether the more probable claim holds or the last one.
    """

    groups: tuple[ChannelGroup, ...]
    channels: int
    classes: int
    rule: Literal["confidence", "last"] = "confidence"

    @classmethod
    def of(cls, head: Head, organs: LabelSpace) -> "Readout":
        """Raises: ContractError for a head that says nothing of its channels."""
        return cls(
            groups=channel_groups(head, organs), channels=channel_count(head, organs), classes=1 + len(organs),
            rule=head.rule if isinstance(head, MultiHead) else "confidence",
        )  # fmt: skip

    @classmethod
    def softmax(cls, classes: int) -> "Readout":
        """One softmax over background and `classes` - 1 organs."""
        organs = tuple(range(1, classes))
        group = ChannelGroup(
            background=0, channels=organs, labels=organs, hosts=(0,) * len(organs), ranges_mm=(None,) * len(organs)
        )
        return cls(groups=(group,), channels=classes, classes=classes)

    @cached_property
    def is_softmax(self) -> bool:
        """Whether the channels are background and the organs, in their order."""
        return self.groups == Readout.softmax(self.classes).groups

    def joint_log_p(self, logits_BCDHW: Tensor) -> Tensor:
        """One distribution over background and all organs, (B, classes, D, H, W), log domain.

        Of several groups: as if exactly one organ or none were there, each with its own group's odds; where the last
        claim holds, as if each group drew a claim and the later ones painted over the earlier.
        """
        if self.is_softmax:
            return logits_BCDHW.log_softmax(1)
        if self.rule == "last":
            return self._painted_log_p(logits_BCDHW)
        odds = torch.zeros_like(logits_BCDHW[:, :1]).repeat(1, self.classes, *[1] * (logits_BCDHW.ndim - 2))
        odds[:, 1:] = -math.inf
        for group in self.groups:
            for channel, label in zip(group.channels, group.labels, strict=True):
                of_one = (logits_BCDHW[:, channel] - _background(group, logits_BCDHW)) / group.temperature
                # a frozen decoder keeps the channels of organs that have been merged since
                odds[:, label] = torch.logaddexp(odds[:, label], of_one)
        return _shared_with_anomalies(odds, self.groups).log_softmax(1)

    def _painted_log_p(self, logits_BCDHW: Tensor) -> Tensor:
        log_p = torch.full_like(logits_BCDHW[:, :1], -math.inf).repeat(1, self.classes, *[1] * (logits_BCDHW.ndim - 2))
        nothing_later = torch.zeros_like(logits_BCDHW[:, 0])
        for group in reversed(self.groups):
            own = (logits_BCDHW[:, list(group.all_channels)] / group.temperature).log_softmax(1)
            for place, label in enumerate(group.labels, start=1):
                log_p[:, label] = torch.logaddexp(log_p[:, label], own[:, place] + nothing_later)
            nothing_later = nothing_later + own[:, 0]
        log_p[:, 0] = nothing_later
        return log_p

    def probabilities(self, logits_CDHW: Tensor, temperature: float) -> Tensor:
        """Each channel's probability in its own group; a sigmoid's where the group has no background channel."""
        p = torch.empty_like(logits_CDHW)
        for group in self.groups:
            scaled = logits_CDHW[list(group.all_channels)] / (temperature * group.temperature)
            if group.background is None:
                scaled = torch.cat([torch.zeros_like(scaled[:1]), scaled])
                p[list(group.channels)] = scaled.softmax(0)[1:]
            else:
                p[list(group.all_channels)] = scaled.softmax(0)
        return p

    def as_logits(self, p_DHW: Tensor, channel: int) -> Tensor:
        """Logits that give a channel's mean probability back: its logarithm, or a sigmoid's inverse."""
        p = p_DHW.clamp(_LEAST_P, 1)
        lone = any(group.background is None and channel in group.channels for group in self.groups)
        return p.log() - (1 - p).clamp_min(_LEAST_P).log() if lone else p.log()

    def all_as_logits(self, p_CDHW: Tensor) -> Tensor:
        """The same of all channels at once."""
        return torch.stack([self.as_logits(p_DHW, channel) for channel, p_DHW in enumerate(p_CDHW)])

    def labels(self, logits_CDHW: Tensor, temperature: float = 1.0) -> Tensor:
        """The label of each voxel, int16, from all channels at once."""
        if self.is_softmax:
            return logits_CDHW.argmax(0).to(torch.int16)
        return self.reduce(lambda channel: logits_CDHW[channel], None, temperature).labels

    @property
    def has_ranges(self) -> bool:
        """Whether it matters where along the body a voxel lies."""
        return any(span is not None for group in self.groups for span in group.ranges_mm)

    def reduce(
        self,
        logits_of: ChannelOf,
        p_of: ChannelOf | None,
        temperature: float,
        along_body_mm: Tensor | None = None,
    ) -> Claim:
        """Labels, probability and doubt from channels that are asked for one at a time, so that memory stays flat.

        Args: p_of: mean probabilities under perturbation, whose entropy is the doubt; None: entropy of the logits.
            along_body_mm: where each voxel lies, broadcast to a channel; outside an organ's range its probability is
            its background's. None: nothing is known of that.
        """
        claims = (
            _claim(
                group, vetoed_logits(group, logits_of, temperature * group.temperature, along_body_mm),
                p_of and vetoed_probabilities(group, p_of, along_body_mm), temperature,
            )
            for group in self.groups
        )  # fmt: skip
        if len(self.groups) == 1:
            return next(claims)
        merger = Merger(self.rule)
        for claim in claims:
            merger.add(claim)
        return merger.merged()

    def background_logits(self) -> Tensor:
        """(channels,) logits of a voxel that is certainly background."""
        logits = torch.zeros(self.channels)
        for group in self.groups:
            if group.background is None:
                logits[list(group.channels)] = -_CERTAIN
            else:
                logits[group.background] = _CERTAIN
        return logits

    def background_probabilities(self) -> Tensor:
        """(channels,) probabilities of the same, as `probabilities` gives them."""
        p = torch.zeros(self.channels)
        p[[group.background for group in self.groups if group.background is not None]] = 1.0
        return p


def _background(group: ChannelGroup, logits_BCDHW: Tensor) -> Tensor | float:
    return 0.0 if group.background is None else logits_BCDHW[:, group.background]


def _shared_with_anomalies(odds_BCDHW: Tensor, groups: tuple[ChannelGroup, ...]) -> Tensor:
    """An organ's map may hold the anomaly that another group sees in it: the two share the organ's odds."""
    for group in groups:
        for label, host in zip(group.labels, group.hosts, strict=True):
            if host and host not in group.labels:  # in one softmax they exclude each other already
                own, whole = odds_BCDHW[:, label].clone(), odds_BCDHW[:, host].clone()
                odds_BCDHW[:, label] = torch.maximum(own, whole + functional.logsigmoid(own))
                odds_BCDHW[:, host] = whole + functional.logsigmoid(-own)
    return odds_BCDHW


def _claim(group: ChannelGroup, logits_of: ChannelOf, p_of: ChannelOf | None, temperature: float) -> Claim:
    parts, scale = _parts(group), temperature * group.temperature
    found = label_and_entropy(_with_background(group, parts, logits_of, scale), scale)
    entropy = found.entropy if p_of is None else entropy_of_channels(_p_with_background(group, parts, p_of))
    host_of = dict(zip(group.labels, group.hosts, strict=True))
    labels = torch.tensor((0, *parts), dtype=torch.int16, device=found.labels.device)[found.labels.long()]
    hosts = None
    if any(group.hosts):
        of_parts = (0, *(host_of[label] for label in parts))
        hosts = torch.tensor(of_parts, dtype=torch.int16, device=labels.device)[found.labels.long()]
    return Claim(
        labels=labels,
        hosts=hosts,
        confidence=found.confidence.masked_fill(labels == 0, 0.0),
        doubt=entropy / math.log(1 + len(parts)),
    )


def _parts(group: ChannelGroup) -> dict[int, list[int]]:
    """The channels of each label: several where organs of a frozen decoder have been merged since."""
    parts: dict[int, list[int]] = {}
    for channel, label in zip(group.channels, group.labels, strict=True):
        parts.setdefault(label, []).append(channel)
    return parts


def _with_background(
    group: ChannelGroup, parts: dict[int, list[int]], logits_of: ChannelOf, scale: float
) -> Iterator[Tensor]:
    yield torch.zeros_like(logits_of(group.channels[0])) if group.background is None else logits_of(group.background)
    for channels in parts.values():
        if len(channels) == 1:
            yield logits_of(channels[0])
        else:
            yield torch.stack([logits_of(channel) / scale for channel in channels]).logsumexp(0) * scale


def _p_with_background(group: ChannelGroup, parts: dict[int, list[int]], p_of: ChannelOf) -> Iterator[Tensor]:
    yield 1.0 - p_of(group.channels[0]) if group.background is None else p_of(group.background)
    for channels in parts.values():
        yield p_of(channels[0]) if len(channels) == 1 else torch.stack([p_of(c) for c in channels]).sum(0)
