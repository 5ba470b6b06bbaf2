"""From channels to a label and an uncertainty, one channel at a time, so that memory does not grow with the organs."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def label_and_entropy(logits_of_channels: Iterable[Tensor], temperature: float) -> tuple[Tensor, Tensor]:
    """Most probable channel, and entropy of softmax(logits / temperature), from a stream of channels.

    Args: logits_of_channels: (D, H, W) each, background first.
    Returns: labels (int16) and entropy in nat. A running maximum keeps the sums in range.
    """
    best = labels = top = mass = moment = None
    for channel, logits in enumerate(logits_of_channels):
        scaled = logits / temperature
        if best is None:
            best, labels = logits.clone(), torch.zeros_like(logits, dtype=torch.int16)
            top, mass, moment = scaled.clone(), torch.ones_like(scaled), scaled.clone()
            continue
        labels[logits > best] = channel
        torch.maximum(best, logits, out=best)
        new_top = torch.maximum(top, scaled)
        shrink, share = (top - new_top).exp_(), (scaled - new_top).exp_()
        mass = mass * shrink + share
        moment = moment * shrink + share * scaled
        top = new_top
    if best is None:
        raise ValueError("no channel to choose from")
    return labels, (top + mass.log() - moment / mass).clamp_min_(0)


def entropy_of_channels(p_of_channels: Iterable[Tensor]) -> Tensor:
    """-sum of p log p over a stream of probability maps, in nat."""
    total: Tensor | None = None
    for p in p_of_channels:
        term = torch.special.entr(p.clamp_min(0))
        total = term if total is None else total.add_(term)
    if total is None:
        raise ValueError("no channel to sum over")
    return total


def as_percent(entropy_DHW: Tensor, class_count: int) -> Tensor:
    """Entropy as per cent of log C, uint8: 0 certain, 100 uniform."""
    return (entropy_DHW * (100 / math.log(class_count))).round().clamp(0, 100).to(torch.uint8)
