"""Which parts of a scan's output are made one after another, and what of the network's grid each of them reads."""

from collections.abc import Iterator
from dataclasses import dataclass

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


def tiles(grid: NetworkGrid, axes: tuple[AxisMap, ...], most_voxels: int) -> Iterator[Tile]:
    """The output in tiles; those without tissue are left out."""
    for output in split(grid.output_shape, grid.full_shape, most_voxels):
        read = tuple(axis.source_range(o) for axis, o in zip(axes, output, strict=True))
        inside = _tissue_part(grid, read)
        if inside is not None:
            box = tuple(slice(s.start - o, s.stop - o) for s, o in zip(inside, grid.offset, strict=True))
            yield Tile(output=output, read=read, inside=inside, box=box)  # type: ignore[arg-type]


def _tissue_part(grid: NetworkGrid, read: tuple[slice, ...]) -> Box | None:
    """The part of the voxels read that lies in the grid's box of tissue; None where none does."""
    part = [slice(max(r.start, i.start), min(r.stop, i.stop)) for r, i in zip(read, grid.inside, strict=True)]
    return tuple(part) if all(p.stop > p.start for p in part) else None  # type: ignore[return-value]
