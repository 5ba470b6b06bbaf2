"""From channels to a label and an uncertainty, one channel at a time, so that memory does not grow with the organs."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Reduced(NamedTuple):
    """(D, H, W) each: the most probable channel (int16), the entropy in nat, and that channel's probability."""

    labels: Tensor
    entropy: Tensor
    confidence: Tensor


def label_and_entropy(logits_of_channels: Iterable[Tensor], temperature: float) -> Reduced:
    """Most probable channel, and entropy of softmax(logits / temperature), from a stream of channels.

    Args: logits_of_channels: (D, H, W) each, background first. A running maximum keeps the sums in range, and what they
        sum is the distance from it: of large logits the differences alone count, and those would cancel.
    """
    best = labels = top = mass = moment = None
    for channel, logits in enumerate(logits_of_channels):
        scaled = logits / temperature
        if best is None:
            best, labels = logits.clone(), torch.zeros_like(logits, dtype=torch.int16)
            top, mass, moment = scaled, torch.ones_like(scaled), torch.zeros_like(scaled)
            continue
        labels[logits > best] = channel
        torch.maximum(best, logits, out=best)
        new_top = torch.maximum(top, scaled)
        below, own = top.sub_(new_top), scaled.sub_(new_top)
        shrink, share = below.exp(), own.exp()
        moment = moment.addcmul_(mass, below).mul_(shrink).addcmul_(share, own)
        mass = mass.mul_(shrink).add_(share)
        top = new_top
    if best is None:
        raise ValueError("no channel to choose from")
    entropy = (mass.log() - moment / mass).clamp_min_(0)
    return Reduced(labels=labels, entropy=entropy, confidence=mass.reciprocal_())


def entropy_of_channels(p_of_channels: Iterable[Tensor]) -> Tensor:
    """-sum of p log p over a stream of probability maps, in nat."""
    total: Tensor | None = None
    for p in p_of_channels:
        term = torch.special.entr(p.clamp_min(0))
        total = term if total is None else total.add_(term)
    if total is None:
        raise ValueError("no channel to sum over")
    return total


def as_percent(doubt_DHW: Tensor) -> Tensor:
    """Entropy as a share of its largest, in per cent, uint8: 0 certain, 100 uniform."""
    return (doubt_DHW * 100).round().clamp(0, 100).to(torch.uint8)
