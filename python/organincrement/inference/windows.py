"""Where the sliding windows lie, and how the overlapping ones are weighted and averaged over a box of the scan."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Box = tuple[slice, slice, slice]
Predict = Callable[[Tensor, int], Tensor]

_SIGMA_SHARE = 1 / 8  # of the patch edge, as nnU-Net


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A regular grid of windows over an image of `shape` (≥ `patch` along each axis).

    `step`: distance between neighbours as a share of the patch, at most (but a voxel); windows are spread evenly.
    """

    shape: tuple[int, int, int]
    patch: tuple[int, int, int]
    step: float

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """First voxel of the windows along each axis."""
        return tuple(_axis_starts(n, p, self.step) for n, p in zip(self.shape, self.patch, strict=True))

    def over(self, box: Box) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """Number and first voxel of every window that touches the box; numbers do not depend on the box."""
        for number, start in enumerate(itertools.product(*self.starts)):
            if all(s < b.stop and s + p > b.start for s, p, b in zip(start, self.patch, box, strict=True)):
                yield number, start  # type: ignore[misc]

    def count(self, box: Box) -> int:
        """How many windows touch the box."""
        return math.prod(
            sum(s < b.stop and s + p > b.start for s in starts)
            for starts, p, b in zip(self.starts, self.patch, box, strict=True)
        )

    @cached_property
    def weight_DHW(self) -> Tensor:
        """Gaussian importance of a window's voxels, maximum 1, never 0."""
        axes = [torch.exp(-0.5 * ((torch.arange(p) - (p - 1) / 2) / (p * _SIGMA_SHARE)) ** 2) for p in self.patch]
        weight = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
        return weight.clamp_min(1e-4)


def _axis_starts(size: int, patch: int, step: float) -> tuple[int, ...]:
    # nearer than a voxel, windows would only repeat each other
    count = math.ceil((size - patch) / max(patch * step, 1)) + 1 if size > patch else 1
    return tuple(round(i * (size - patch) / max(count - 1, 1)) for i in range(count))


def average_windows(
    image_DHW: Tensor,
    windows: Windows,
    box: Box,
    predict: Predict,
    channels: int,
    device: torch.device,
    between: Callable[[], None],
) -> Tensor:
    """Gaussian-weighted mean of the windows' predictions over a box.

    Args: image_DHW: normalised, of shape `windows.shape`. predict: maps (1, 1, *patch) and the window's number to
        (channels, *patch). between: called before each window; may raise to stop.
    Returns: (channels, *box) float32 on `device`; nothing of the size channels x D x H x W is made for the whole scan.
    """
    shape = [b.stop - b.start for b in box]
    total = torch.zeros(channels, *shape, device=device)
    weights = torch.zeros(shape, device=device)
    weight = windows.weight_DHW.to(device)
    for number, start in windows.over(box):
        between()
        patch = image_DHW[tuple(slice(s, s + p) for s, p in zip(start, windows.patch, strict=True))]
        predicted = predict(patch[None, None].to(device), number)
        in_patch, in_box = _overlap(start, windows.patch, box)
        total[(slice(None), *in_box)].addcmul_(predicted[(slice(None), *in_patch)].float(), weight[in_patch])
        weights[in_box] += weight[in_patch]
    return total.div_(weights)


def _overlap(start: tuple[int, int, int], patch: tuple[int, int, int], box: Box) -> tuple[Box, Box]:
    in_patch, in_box = [], []
    for s, p, b in zip(start, patch, box, strict=True):
        low, high = max(s, b.start), min(s + p, b.stop)
        in_patch.append(slice(low - s, high - s))
        in_box.append(slice(low - b.start, high - b.start))
    return tuple(in_patch), tuple(in_box)  # type: ignore[return-value]
