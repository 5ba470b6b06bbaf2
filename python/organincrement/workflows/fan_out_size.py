"""How many processes of this computer pay for a piece of work: as memory, threads and the number of items allow."""

import math
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import psutil

from organincrement.contract.model import ModelManifest
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header
from organincrement.imaging.sources import open_source
from organincrement.workflows.fan_out import Crew
from organincrement.workflows.fan_out_pool import threads_here

_ITEMS_EACH = 4  # a process takes seconds to start and to open its model
_MEMORY_SHARE = 0.6  # of what is free, for others need some
_LOOKED_AT = 8  # headers are read of so many of the largest files
# `python -m benchmarks.speed --only segmenting` finds 600 MiB of its own and 13 bytes a voxel; all here is rounded up
_PROCESS_BYTES, _VOXEL_BYTES = 700 * 2**20, 16.0
# the sums of all windows, and labels made of them, within `roomy_budget_bytes` each
_VOXEL_BYTES_A_CLASS, _MOST_SUMS_BYTES = 1.5, 2 * 2**30
_GRID_VOXEL_BYTES = 8.0  # of the network's grid, which may be much finer than the scan's


def sized(crew: Crew, scans: Collection[Path], *, model: ModelManifest | None, device: str = "cpu") -> Crew:
    """The crew with its number of processes, where that was left open.

    Args: scans: image files. model: that segments them, None where they are only read.
    """
    if crew.scheduler is not None or crew.processes is not None:
        return crew
    at_most = min(threads_here(), len(scans) // _ITEMS_EACH)
    if at_most < 2 or _on_gpu(device):
        return replace(crew, processes=1)
    each_bytes = _PROCESS_BYTES + _largest_bytes(scans, model)
    fit = int(_MEMORY_SHARE * psutil.virtual_memory().available // each_bytes)
    return replace(crew, processes=max(1, min(at_most, fit)))


def _on_gpu(device: str) -> bool:
    """A GPU works for one process: two would share its memory."""
    if device == "cpu":
        return False
    import torch

    return device == "cuda" or torch.cuda.is_available()


def _largest_bytes(scans: Collection[Path], model: ModelManifest | None) -> float:
    """For the scan that needs the most, as far as the headers of the largest files tell."""
    most_bytes = 0.0
    for scan in sorted(scans, key=_stored_bytes, reverse=True)[:_LOOKED_AT]:
        try:
            header = open_source(scan).header
        except (ImageError, OSError):
            continue  # it is refused when its turn comes
        most_bytes = max(most_bytes, _bytes_for(header, model))
    return most_bytes


def _bytes_for(header: Header, model: ModelManifest | None) -> float:
    voxels = math.prod(header.shape_DHW)
    if model is None:
        return voxels * _VOXEL_BYTES
    # imports torch, which a check of files does without
    from organincrement.imaging.preprocessing import canonical_grid, grid_shape

    shape, spacing_mm = canonical_grid(header, model.preprocessing.orientation)
    on_grid = math.prod(grid_shape(shape, spacing_mm, model.preprocessing))
    sums_bytes = min(len(model.organs) * _VOXEL_BYTES_A_CLASS * voxels, _MOST_SUMS_BYTES)
    return voxels * _VOXEL_BYTES + on_grid * _GRID_VOXEL_BYTES + sums_bytes


def _stored_bytes(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path))
        return path.stat().st_size
    except OSError:
        return 0
