"""Labels of output voxels whose neighbours on the network's grid agree: they need no interpolation, and are the same.

Between voxels the averages are a mean of the neighbours' with weights from 0 to 1. A class that is ahead of all others
at every neighbour is so between them, and its odds against the others are at most the worst neighbour's: softmax odds
are convex in the logits, linear in probabilities. Of most of a scan label and "certain" are therefore known from the
network's own grid; the rest is interpolated voxel by voxel. Near ties count as no agreement, so that rounding decides
nothing.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from organincrement.inference.boxes import AxisMap
from organincrement.inference.windows import Box

UNSURE = -1
# by how much a class must be ahead, of the largest number around: some roundings of what is interpolated
_SLACK = {torch.float32: 2.0**-17, torch.float16: 2.0**-8}
_CERTAIN_SHARE = 0.004  # of the largest entropy, which is shown as 0 per cent


def leaders(values_SC: Tensor, of: torch.dtype) -> Tensor:
    """(S,) the class that is ahead of all others, or UNSURE. Args: of: the type in which the values were kept."""
    most, leader = values_SC.max(1)
    others = values_SC.scatter(1, leader[:, None], -math.inf).amax(1)
    slack = _SLACK[of] * float(values_SC.abs().max())
    return leader.to(torch.int16).masked_fill_(most - others <= slack, UNSURE)


def odds_against(logits_SC: Tensor, temperature: float) -> Tensor:
    """(S,) all other classes' probability over that of the most probable one."""
    scaled = logits_SC / temperature
    return (scaled.logsumexp(1) - scaled.amax(1)).expm1_()


def largest_certain_odds(classes: int) -> float:
    """Odds against a class below which the entropy is shown as 0 per cent, however the others share them."""
    low, high = 0.0, 1.0
    for _ in range(50):
        odds = (low + high) / 2
        share = odds / (1 + odds)
        entropy = math.log1p(odds) + share * (math.log(max(classes - 1, 1)) - math.log(odds))
        low, high = (odds, high) if entropy < _CERTAIN_SHARE * math.log(classes) else (low, odds)
    return low


def agreed(codes_DHW: Tensor, axes: Sequence[AxisMap], part: Box, read: Box) -> Tensor:
    """Of each output voxel the code that all its neighbours have, or UNSURE. Args: codes_DHW: of the voxels `read`."""
    for number, (axis, output, source) in enumerate(zip(axes, part, read, strict=True)):
        low, high, _ = axis.taps(output)
        near = codes_DHW.index_select(number, (low - source.start).to(codes_DHW.device))
        if high is not None:
            far = codes_DHW.index_select(number, (high - source.start).to(codes_DHW.device))
            near.masked_fill_(near != far, UNSURE)
        codes_DHW = near
    return codes_DHW


def at_points(values_SC: Tensor, points: Sequence[Tensor], axes: Sequence[AxisMap], part: Box, read: Box) -> Tensor:
    """Interpolated values (n, C) at some voxels of a part of the output, one axis after the other as for whole boxes.

    Args: values_SC: of the voxels `read`, C last. points: of each axis the voxels' places in the part, (n,).
    """
    strides = (
        (read[1].stop - read[1].start) * (read[2].stop - read[2].start),
        read[2].stop - read[2].start,
        1,
    )
    taps = [
        [tap if tap is None else tap.to(values_SC.device)[at] for tap in axis.taps(output)]
        for axis, output, at in zip(axes, part, points, strict=True)
    ]

    def mixed(axis: int, offset: Tensor | int) -> Tensor:
        if axis < 0:
            return values_SC[offset]
        low, high, share = taps[axis]
        near = mixed(axis - 1, offset + (low - read[axis].start) * strides[axis])  # type: ignore[operator]
        if high is None or share is None:
            return near
        far = mixed(axis - 1, offset + (high - read[axis].start) * strides[axis])
        return torch.lerp(near, far, share[:, None])

    return mixed(2, 0)
