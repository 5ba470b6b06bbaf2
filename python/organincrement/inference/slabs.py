"""Averaging the windows of a tile slab by slab along its first axis, so that none is computed twice for it.

Windows come in the order of their first voxel along that axis: what the next ones no longer touch is finished, is
handed on with the output that reads it, and gives its place to what comes next.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from organincrement.inference.boxes import AxisMap
from organincrement.inference.tiles import Tile
from organincrement.inference.windows import Box, Predict, Sums, Windows


@dataclass(frozen=True, kw_only=True)
class Slab:
    """A part of a tile's output, the voxels that it reads, those with tissue, and their averages (C, *inside)."""

    output: Box
    read: Box
    inside: Box
    mean_CDHW: Tensor


@dataclass(frozen=True, kw_only=True)
class _Step:
    """Windows that begin at one plane; up to where planes are finished then, the output that becomes ready, and the
    first plane that is needed afterwards; planes of the windows' image.
    """

    begin: int
    until: int
    output: slice
    needed: int


def planes_held(windows: Windows, axis: AxisMap) -> int:
    """About how many planes of a tile are held at once."""
    apart = max(1, -(-axis.source_size // max(axis.output_size, 1)))
    return min(windows.shape[0], windows.patch[0] + 2 * apart)


def averaged_slabs(
    image_DHW: Tensor,
    windows: Windows,
    tile: Tile,
    axis: AxisMap,
    predict: Predict,
    channels: int,
    device: torch.device,
    between: Callable[[], None],
    finish: Callable[[Tensor], None] = lambda mean_CDHW: None,
) -> Iterator[Slab]:
    """The tile in slabs, each as soon as all windows over it have been averaged; see `average_windows`.

    Args: axis: how the output reads the first axis. finish: changes averages in place, once.
    Yields: slabs whose averages hold until the next one is asked for.
    """
    offset, steps = tile.inside[0].start - tile.box[0].start, _steps(windows, tile, axis)
    sums = Sums.over((_held(windows, tile, steps), *tile.box[1:]), channels, windows, device)
    numbered: dict[int, list[tuple[int, tuple[int, int, int]]]] = {}
    for number, start in windows.over(tile.box):
        numbered.setdefault(start[0], []).append((number, start))
    finished = tile.box[0].start
    for step in steps:
        for number, start in numbered[step.begin]:
            between()
            sums.add(windows, start, predict(windows.at(image_DHW, start).to(device), number))
        first = sums.box[0].start
        if step.until > finished:
            finish(sums.averaged(finished - first, step.until - first))
            finished = step.until
        if step.output.stop > step.output.start:
            read = axis.source_range(step.output)
            inside = slice(max(read.start, tile.inside[0].start), min(read.stop, tile.inside[0].stop))
            mean_CDHW = sums.total_CDHW[:, inside.start - offset - first : inside.stop - offset - first]
            yield Slab(
                output=(step.output, *tile.output[1:]), read=(read, *tile.read[1:]), inside=(inside, *tile.inside[1:]),
                mean_CDHW=mean_CDHW,
            )  # fmt: skip
        sums = _moved_on(sums, step.needed)


def _steps(windows: Windows, tile: Tile, axis: AxisMap) -> list[_Step]:
    box, offset = tile.box[0], tile.inside[0].start - tile.box[0].start
    begins = [s for s in windows.starts[0] if s < box.stop and s + windows.patch[0] > box.start]
    reads_from, reads_to = (np.clip(ends - offset, box.start, box.stop) for ends in axis.reach(tile.output[0]))
    steps, ready = [], 0
    for begin, following in zip(begins, [*begins[1:], box.stop], strict=True):
        until = max(box.start, min(following, box.stop))
        done = int(np.searchsorted(reads_to, until, side="right"))
        output = slice(tile.output[0].start + ready, tile.output[0].start + done)
        needed = min(until, int(reads_from[done])) if done < len(reads_from) else until
        steps.append(_Step(begin=begin, until=until, output=output, needed=needed))
        ready = done
    return steps


def _held(windows: Windows, tile: Tile, steps: list[_Step]) -> slice:
    """The first planes, as many as have to be held at once."""
    box, first, most = tile.box[0], tile.box[0].start, 0
    for step in steps:
        most = max(most, min(box.stop, step.begin + windows.patch[0]) - first)
        first = step.needed
    return slice(box.start, box.start + most)


def _moved_on(sums: Sums, first: int) -> Sums:
    """The same sums from a later plane on; planes that are new are 0."""
    held, by = sums.box[0], first - sums.box[0].start
    if by == 0:
        return sums
    planes = held.stop - held.start
    for plane in range(planes - by):  # one after another: they move within one memory
        sums.total_CDHW[:, plane] = sums.total_CDHW[:, plane + by]
        sums.weights_DHW[plane] = sums.weights_DHW[plane + by]
    sums.total_CDHW[:, max(0, planes - by) :] = 0
    sums.weights_DHW[max(0, planes - by) :] = 0
    return replace(sums, box=(slice(first, first + planes), *sums.box[1:]))
