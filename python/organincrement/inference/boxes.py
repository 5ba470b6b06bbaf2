"""Cutting the output into boxes that fit a memory budget, and interpolating a box of logits onto its output voxels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from organincrement.imaging.first_voxel import nearest_from_first, places_from_first
from organincrement.imaging.resampling import corner_slices, nearest_slices
from organincrement.inference.windows import Box


@dataclass(frozen=True, kw_only=True)
class AxisMap:
    """How output voxels along one axis read a source of `source_size` voxels.

    Linearly, or each the nearest one; the edges of the two grids are aligned, or the centres of their outermost voxels
    (corners), or where there is a `step` their first voxels, the output's being so many of the source's apart. Beyond
    its edge the source goes on as it ends.
    """

    source_size: int
    output_size: int
    nearest: bool = False
    corners: bool = False
    step: float | None = None

    @property
    def _same(self) -> bool:
        return self.source_size == self.output_size and self.step in (None, 1)

    def source_range(self, output: slice) -> slice:
        """The source voxels that these output voxels read."""
        if self._same:
            return output
        if self.nearest:
            taken = self._taken(output)
            return slice(int(taken[0]), int(taken[-1]) + 1)
        low, _, _ = self._taps(output)
        return slice(int(low[0]), min(int(low[-1]) + 2, self.source_size))

    def reach(self, output: slice) -> tuple[np.ndarray, np.ndarray]:
        """Of each of these output voxels the first source voxel that it reads, and the one past the last."""
        low, high, _ = self.taps(output)
        return low.numpy(), (low if high is None else high).numpy() + 1

    def taps(self, output: slice) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The two source voxels that each output voxel lies between, and how far towards the second; None, None where
        it takes the first."""
        if self._same:
            return torch.arange(output.start, output.stop), None, None
        return (self._taken(output), None, None) if self.nearest else self._taps(output)

    def interpolate(self, values: Tensor, axis: int, output: slice, first: int) -> Tensor:
        """Read `output` voxels from values that hold the source from voxel `first` on along `axis`."""
        if self._same:
            return values.narrow(axis, output.start - first, output.stop - output.start)
        if self.nearest:
            return values.index_select(axis, (self._taken(output) - first).to(values.device))
        low, high, share = self._taps(output)
        weight_shape = [1] * values.ndim
        weight_shape[axis] = len(share)
        near, far = (values.index_select(axis, (index - first).to(values.device)) for index in (low, high))
        return torch.lerp(near, far, share.to(values).reshape(weight_shape))

    def _taken(self, output: slice) -> Tensor:
        if self.step is not None:
            return torch.from_numpy(nearest_from_first(self.source_size, self.output_size, self.step)[output])
        taken = corner_slices if self.corners else nearest_slices
        return torch.from_numpy(taken(self.source_size, self.output_size)[output])

    def _taps(self, output: slice) -> tuple[Tensor, Tensor, Tensor]:
        position = torch.arange(output.start, output.stop, dtype=torch.float64)
        if self.step is not None:
            position = torch.from_numpy(places_from_first(self.source_size, self.output_size, self.step)[output])
        elif self.corners:
            position = position * (self.source_size - 1) / max(self.output_size - 1, 1)
        else:
            position = (position + 0.5) * self.source_size / self.output_size - 0.5
        position = position.clamp(0, self.source_size - 1)
        low = position.floor().long()
        return low, (low + 1).clamp_max(self.source_size - 1), (position - low).float()


def parts(box: Box, most_voxels: int) -> Iterator[Box]:
    """Boxes of at most about `most_voxels` that tile a box."""
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    for part in split(shape, shape, most_voxels):
        yield tuple(slice(b.start + p.start, b.start + p.stop) for b, p in zip(box, part, strict=True))  # type: ignore[misc]


def split(shape: tuple[int, int, int], source_shape: tuple[int, int, int], most_source_voxels: int) -> Iterator[Box]:
    """Boxes that tile the output; each reads at most about `most_source_voxels` source voxels."""
    pending: list[list[tuple[int, int]]] = [[(0, n) for n in shape]]
    while pending:
        box = pending.pop()
        edges = [(high - low) * source / n for (low, high), source, n in zip(box, source_shape, shape, strict=True)]
        divisible = [axis for axis, (low, high) in enumerate(box) if high - low > 1]
        if edges[0] * edges[1] * edges[2] <= most_source_voxels or not divisible:
            yield tuple(slice(a, b) for a, b in box)  # type: ignore[misc]
            continue
        longest = max(divisible, key=lambda axis: edges[axis])
        low, high = box[longest]
        middle = (low + high) // 2
        for part in ((middle, high), (low, middle)):
            pending.append([part if axis == longest else edge for axis, edge in enumerate(box)])
