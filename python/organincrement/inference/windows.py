"""Where the sliding windows lie, and how the overlapping ones are weighted and averaged over a box of the scan."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from organincrement.imaging.conventions import CONVENTIONS, Convention

Box = tuple[slice, slice, slice]
Predict = Callable[[Tensor, int], Tensor]

_SIGMA_SHARE = 1 / 8  # of the patch edge, as nnU-Net
_LARGEST_WEIGHT = 10  # of nnU-Net's windows: half precision then holds more of a bell's foot
_LARGEST_HALF = torch.finfo(torch.float16).max


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A regular grid of windows over an image of `shape` (≥ `patch` along each axis).

    `step`: distance between neighbours as a share of the patch, at most (but a voxel). `rules`: how they are placed,
    weighted and summed. `even`: all voxels of a window weigh the same, whatever the rules say.
    """

    shape: tuple[int, int, int]
    patch: tuple[int, int, int]
    step: float
    rules: Convention = CONVENTIONS["organincrement"]
    even: bool = False

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """First voxel of the windows along each axis."""
        starts = _STARTS[self.rules.starts]
        return tuple(starts(n, p, self.step) for n, p in zip(self.shape, self.patch, strict=True))

    def over(self, box: Box) -> Iterator[tuple[int, tuple[int, int, int]]]:
        """Number and first voxel of every window that touches the box; numbers do not depend on the box."""
        for number, start in enumerate(itertools.product(*self.starts)):
            if all(s < b.stop and s + p > b.start for s, p, b in zip(start, self.patch, box, strict=True)):
                yield number, start  # type: ignore[misc]

    def at(self, image_DHW: Tensor, start: tuple[int, int, int]) -> Tensor:
        """What the window that begins there sees, (1, 1, *patch)."""
        return image_DHW[tuple(slice(s, s + p) for s, p in zip(start, self.patch, strict=True))][None, None]

    def count(self, box: Box) -> int:
        """How many windows touch the box."""
        return math.prod(
            sum(s < b.stop and s + p > b.start for s in starts)
            for starts, p, b in zip(self.starts, self.patch, box, strict=True)
        )

    @cached_property
    def weight_DHW(self) -> Tensor:
        """Gaussian importance of a window's voxels, never 0; the largest is 1, or 10 in half precision."""
        if self.even:
            return torch.ones(self.patch, dtype=self.sums)
        if self.rules.weight == "delta":
            return _smoothed_impulse(self.patch, self.sums)
        axes = [torch.exp(-0.5 * ((torch.arange(p) - (p - 1) / 2) / (p * _SIGMA_SHARE)) ** 2) for p in self.patch]
        weight = axes[0][:, None, None] * axes[1][None, :, None] * axes[2][None, None, :]
        return weight.clamp_min(self.rules.least_weight)

    @property
    def sums(self) -> torch.dtype:
        """The type in which windows are summed."""
        return torch.float16 if self.rules.sums == "float16" else torch.float32


def _smoothed_impulse(patch: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """nnU-Net's importance: a delta at patch // 2, smoothed by scipy; in half precision as far as that tells apart."""
    impulse = np.zeros(patch)
    impulse[tuple(p // 2 for p in patch)] = 1
    bell = ndimage.gaussian_filter(impulse, [p * _SIGMA_SHARE for p in patch], 0, mode="constant", cval=0)
    weight = torch.from_numpy(bell / (bell.max() / _LARGEST_WEIGHT)).to(dtype)
    weight[weight == 0] = weight[weight > 0].min()
    return weight


def _count(size: int, patch: int, step: float) -> int:
    # nearer than a voxel, windows would only repeat each other
    return math.ceil((size - patch) / max(patch * step, 1)) + 1 if size > patch else 1


def _spread(size: int, patch: int, step: float) -> tuple[int, ...]:
    count = _count(size, patch, step)
    return tuple(round(i * (size - patch) / max(count - 1, 1)) for i in range(count))


def _stepped(size: int, patch: int, step: float) -> tuple[int, ...]:
    count = _count(size, patch, step)
    apart = (size - patch) / max(count - 1, 1)
    return tuple(round(apart * i) for i in range(count))


def _regular(size: int, patch: int, step: float) -> tuple[int, ...]:
    apart = max(int(patch * step), 1)
    count = -(-max(size - patch, 0) // apart) + 1
    return tuple(min(i * apart, size - patch) for i in range(count))


_STARTS = {"spread": _spread, "stepped": _stepped, "regular": _regular}


def average_windows(
    image_DHW: Tensor,
    windows: Windows,
    box: Box,
    predict: Predict,
    channels: int,
    device: torch.device,
    between: Callable[[], None],
) -> Tensor:
    """Weighted mean of the windows' predictions over a box.

    Args: image_DHW: normalised, of shape `windows.shape`. predict: maps (1, 1, *patch) and the window's number to
        (channels, *patch). between: called before each window; may raise to stop.
    Returns: (channels, *box) on `device`, of the type `windows.sums`; nothing of the size channels x D x H x W is made
        for the whole scan.
    """
    sums = Sums.over(box, channels, windows, device)
    for number, start in windows.over(box):
        between()
        sums.add(windows, start, predict(windows.at(image_DHW, start).to(device), number))
    return sums.averaged(0, box[0].stop - box[0].start)


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Weighted sums (channels, *box) of windows' answers over a box, and of their weights."""

    box: Box
    total_CDHW: Tensor
    weights_DHW: Tensor
    weight_DHW: Tensor

    @classmethod
    def over(cls, box: Box, channels: int, windows: Windows, device: torch.device) -> "Sums":
        """Sums of nothing yet."""
        shape = [b.stop - b.start for b in box]
        return cls(
            box=box,
            total_CDHW=torch.zeros(channels, *shape, device=device, dtype=windows.sums),
            weights_DHW=torch.zeros(shape, device=device, dtype=windows.sums),
            weight_DHW=windows.weight_DHW.to(device),
        )

    def add(self, windows: Windows, start: tuple[int, int, int], answer_CDHW: Tensor) -> None:
        """Add a window's answer."""
        in_patch, in_box = _overlap(start, windows.patch, self.box)
        part, summed = answer_CDHW[(slice(None), *in_patch)].float(), self.total_CDHW[(slice(None), *in_box)]
        if windows.sums is torch.float32:
            summed.addcmul_(part, self.weight_DHW[in_patch])
        else:
            summed.add_(part * self.weight_DHW[in_patch]).clamp_(-_LARGEST_HALF, _LARGEST_HALF)
        self.weights_DHW[in_box] += self.weight_DHW[in_patch]

    def averaged(self, first: int, stop: int) -> Tensor:
        """The mean of these planes of the box, in the place of the sums."""
        mean = self.total_CDHW[:, first:stop].div_(self.weights_DHW[first:stop])
        return mean if mean.dtype is torch.float32 else mean.clamp_(-_LARGEST_HALF, _LARGEST_HALF)


def _overlap(start: tuple[int, int, int], patch: tuple[int, int, int], box: Box) -> tuple[Box, Box]:
    in_patch, in_box = [], []
    for s, p, b in zip(start, patch, box, strict=True):
        low, high = max(s, b.start), min(s + p, b.stop)
        in_patch.append(slice(low - s, high - s))
        in_box.append(slice(low - b.start, high - b.start))
    return tuple(in_patch), tuple(in_box)  # type: ignore[return-value]


def mirror_sets(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Along which of (C, D, H, W) each copy of a window is mirrored; the first along none. Args: axes: of D, H, W."""
    sets: list[tuple[int, ...]] = [()]
    for axis in axes:
        sets += [(*chosen, axis + 1) for chosen in sets]  # of (C, D, H, W)
    return sets
