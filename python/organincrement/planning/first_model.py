"""What a model without a teacher needs to be told: network size, patch, voxel size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.networks.sizing import LADDER, SLICE_LADDER, Size, largest_that_fits

Vector = tuple[float, float, float]

_SCANS_PER_PATCH = 8.0  # a patch should see at least an eighth of a scan, or it does not know where it is
_SCANS_PER_SLICE = 4.0  # the same of a slice: half its edge
_CPU_RUNG = 1  # more than this takes days on a CPU


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """Grid of one scan in canonical axes: shape and spacing_mm in D, H, W."""

    shape: tuple[int, int, int]
    spacing_mm: Vector


def network_size(memory_bytes: int, batch: int, on_gpu: bool, *, slices: bool = False) -> Size:
    """The largest size that a memory target allows; on a CPU never more than a CPU trains in an hour."""
    ladder = SLICE_LADDER if slices else LADDER
    fits = largest_that_fits(memory_bytes, batch, ladder)
    return fits if on_gpu else ladder[min(_CPU_RUNG, ladder.index(fits))]


def network_spacing_mm(scans: Sequence[ScanFacts], patch: tuple[int, int, int]) -> Vector:
    """Median spacing, made coarser alike along all axes until a patch covers an eighth of the median scan.

    For a patch of one slice: coarser within the slice, until a patch covers a quarter of that.
    """
    median_mm = np.median([scan.spacing_mm for scan in scans], axis=0)
    median_shape = np.median([np.array(s.shape) * s.spacing_mm for s in scans], axis=0) / median_mm
    if patch[0] == 1:
        ratio = float(np.prod(median_shape[1:])) / (_SCANS_PER_SLICE * math.prod(patch))
        coarser = np.array([1.0, *[max(1.0, ratio) ** (1 / 2)] * 2])
    else:
        ratio = float(np.prod(median_shape)) / (_SCANS_PER_PATCH * math.prod(patch))
        coarser = np.full(3, max(1.0, ratio) ** (1 / 3))
    return tuple(round(float(mm), 3) for mm in median_mm * coarser)  # type: ignore[return-value]


def slice_patch(
    scans: Sequence[ScanFacts], spacing_mm: Sequence[float], patch: tuple[int, int, int], multiple: int
) -> tuple[int, int, int]:
    """A patch of one slice, no larger than the median slice. Args: multiple: of which its edges are multiples."""
    sizes = [np.array(scan.shape) * scan.spacing_mm / spacing_mm for scan in scans]
    whole = [multiple * math.ceil(round(edge) / multiple) for edge in np.median(sizes, axis=0)]
    return 1, min(patch[1], whole[1]), min(patch[2], whole[2])
