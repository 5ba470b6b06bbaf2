"""Which parts of a scan's output are made one after another, and what of the network's grid each of them reads."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from organincrement.contract.model import Preprocessing
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.preprocessing import NetworkGrid
from organincrement.inference.boxes import AxisMap, split
from organincrement.inference.windows import Box


def axis_maps(grid: NetworkGrid, preprocessing: Preprocessing) -> tuple[AxisMap, ...]:
    """How the scan's voxels read the network's grid, along each axis."""
    nearest = preprocessing.output_resampling == "nearest"
    corners = CONVENTIONS[preprocessing.convention].alignment == "corners"
    return tuple(
        AxisMap(
            source_size=source,
            output_size=output,
            nearest=nearest or axis == grid.apart,
            corners=corners,
            step=None if grid.steps is None else grid.steps[axis],
        )
        for axis, (source, output) in enumerate(zip(grid.full_shape, grid.output_shape, strict=True))
    )


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A box of the output, the voxels of the network's grid that it reads, those with tissue, and these in the scan."""

    output: Box
    read: Box
    inside: Box
    box: Box


def tiles(grid: NetworkGrid, axes: tuple[AxisMap, ...], most_columns: int) -> Iterator[Tile]:
    """The output that reads tissue, in tiles that all go through the scan along its first axis.

    Args: most_columns: of the network's grid that a tile is wide and high, at most about.
    """
    output = tuple(_reading(axis, inside) for axis, inside in zip(axes, grid.inside, strict=True))
    if any(o.stop <= o.start for o in output):
        return
    wide, high = (o.stop - o.start for o in output[1:])
    source = tuple(max(1, i.stop - i.start) for i in grid.inside[1:])
    for _, rows, columns in split((1, wide, high), (1, *source), most_columns):
        yield _tile(grid, axes, (output[0], _shifted(rows, output[1].start), _shifted(columns, output[2].start)))


def _tile(grid: NetworkGrid, axes: tuple[AxisMap, ...], output: Box) -> Tile:
    read = tuple(axis.source_range(o) for axis, o in zip(axes, output, strict=True))
    inside = tuple(slice(max(r.start, i.start), min(r.stop, i.stop)) for r, i in zip(read, grid.inside, strict=True))
    box = tuple(_shifted(s, -o) for s, o in zip(inside, grid.offset, strict=True))
    return Tile(output=output, read=read, inside=inside, box=box)  # type: ignore[arg-type]


def _reading(axis: AxisMap, inside: slice) -> slice:
    """The output voxels along an axis that read some of the tissue; the others are background."""
    first, stop = axis.reach(slice(0, axis.output_size))
    reading = np.flatnonzero((stop > inside.start) & (first < inside.stop))
    return slice(int(reading[0]), int(reading[-1]) + 1) if len(reading) else slice(0, 0)


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)
