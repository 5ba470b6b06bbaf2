"""Where along the body an organ can lie: the range of its slices in training, and the veto outside of it.

Source: the body-part maps of Continual Segment's later version (arXiv 2302.00162); the formula is ours. Positions are
in mm from an origin that all scans share.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from organincrement.contract.channels import ChannelGroup, Range

ChannelOf = Callable[[int], Tensor]

_PERCENTILES = (0.5, 99.5)
_MARGIN = 0.25  # of the organ's mean length
_IMPOSSIBLE = -1e4  # below the background, as a logit; an infinite one would make the entropy nan


def body_range(positions_mm: Sequence[np.ndarray], thickness_mm: Sequence[float]) -> Range | None:
    """[p0.5 - L/4, p99.5 + L/4] of all slices that hold the organ, L its mean length; None where no case has it.

    Args: positions_mm: of the slices with the organ, one array a case, empty without it. thickness_mm: of its slices.
    """
    cases = [(z, t) for z, t in zip(positions_mm, thickness_mm, strict=True) if len(z)]
    if not cases:
        return None
    length_mm = float(np.mean([z.max() - z.min() + t for z, t in cases]))
    low, high = np.percentile(np.concatenate([z for z, _ in cases]), _PERCENTILES)
    return float(low) - _MARGIN * length_mm, float(high) + _MARGIN * length_mm


def vetoed_logits(
    group: ChannelGroup, logits_of: ChannelOf, temperature: float, along_body_mm: Tensor | None
) -> ChannelOf:
    """The group's logits with the probability of organs outside their range moved to their background.

    Args: along_body_mm: of every voxel, broadcast to a channel. A group without ranges or a background channel, and one
        of which no position is known, stays as it is.
    """
    spans, background = _spans(group), group.background
    if along_body_mm is None or not spans or background is None:
        return logits_of

    def vetoed(channel: int) -> Tensor:
        logits = logits_of(channel)
        if channel in spans:
            outside = logits_of(background) + _IMPOSSIBLE * temperature
            return logits.where(_inside(spans[channel], along_body_mm), outside)
        if channel == background:
            for organ, span in spans.items():
                moved = temperature * torch.logaddexp(logits / temperature, logits_of(organ) / temperature)
                logits = logits.where(_inside(span, along_body_mm), moved)
        return logits

    return vetoed


def vetoed_probabilities(group: ChannelGroup, p_of: ChannelOf, along_body_mm: Tensor | None) -> ChannelOf:
    """The same of probabilities."""
    spans = _spans(group)
    if along_body_mm is None or not spans or group.background is None:
        return p_of

    def vetoed(channel: int) -> Tensor:
        p = p_of(channel)
        if channel in spans:
            return p.where(_inside(spans[channel], along_body_mm), 0.0)
        if channel == group.background:
            for organ, span in spans.items():
                p = p + p_of(organ).where(~_inside(span, along_body_mm), 0.0)
        return p

    return vetoed


def _spans(group: ChannelGroup) -> dict[int, Range]:
    named = zip(group.channels, group.ranges_mm, strict=True)
    return {channel: span for channel, span in named if span is not None}


def _inside(span: Range, along_body_mm: Tensor) -> Tensor:
    low, high = span
    return (along_body_mm >= low) & (along_body_mm <= high)
