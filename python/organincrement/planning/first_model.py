"""What a model without a teacher needs to be told: network size, patch, voxel size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.networks.sizing import LADDER, Size, largest_that_fits

Vector = tuple[float, float, float]

_SCANS_PER_PATCH = 8.0  # a patch should see at least an eighth of a scan, or it does not know where it is
_CPU_RUNG = 1  # more than this takes days on a CPU


@dataclass(frozen=True, kw_only=True)
class ScanFacts:
    """Grid of one scan in canonical axes: shape and spacing_mm in D, H, W."""

    shape: tuple[int, int, int]
    spacing_mm: Vector


def network_size(memory_bytes: int, batch: int, on_gpu: bool) -> Size:
    """The largest size that a memory target allows; on a CPU never more than a CPU trains in an hour."""
    fits = largest_that_fits(memory_bytes, batch)
    return fits if on_gpu else LADDER[min(_CPU_RUNG, LADDER.index(fits))]


def network_spacing_mm(scans: Sequence[ScanFacts], patch: tuple[int, int, int]) -> Vector:
    """Median spacing, made coarser alike along all axes until a patch covers an eighth of the median scan."""
    median_mm = np.median([scan.spacing_mm for scan in scans], axis=0)
    median_shape = np.median([np.array(s.shape) * s.spacing_mm for s in scans], axis=0) / median_mm
    ratio = float(np.prod(median_shape)) / (_SCANS_PER_PATCH * math.prod(patch))
    coarser = max(1.0, ratio) ** (1 / 3)
    return tuple(round(float(mm) * coarser, 3) for mm in median_mm)  # type: ignore[return-value]
