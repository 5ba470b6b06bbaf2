"""How many processes of this computer pay for a piece of work: as memory, threads and the number of items allow."""

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import psutil

from organincrement.imaging.errors import ImageError
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


def sized(crew: Crew, scans: Collection[Path], *, classes: int | None, device: str = "cpu") -> Crew:
    """The crew with its number of processes, where that was left open.

    Args: scans: image files. classes: of the model that segments them, None where they are only read.
    """
    if crew.scheduler is not None or crew.processes is not None:
        return crew
    at_most = min(threads_here(), len(scans) // _ITEMS_EACH)
    if at_most < 2 or _on_gpu(device):
        return replace(crew, processes=1)
    voxels = _largest_voxels(scans)
    sums_bytes = min((classes or 0) * _VOXEL_BYTES_A_CLASS * voxels, _MOST_SUMS_BYTES)
    each = _PROCESS_BYTES + voxels * _VOXEL_BYTES + sums_bytes
    fit = int(_MEMORY_SHARE * psutil.virtual_memory().available // each)
    return replace(crew, processes=max(1, min(at_most, fit)))


def _on_gpu(device: str) -> bool:
    """A GPU works for one process: two would share its memory."""
    if device == "cpu":
        return False
    import torch

    return device == "cuda" or torch.cuda.is_available()


def _largest_voxels(scans: Iterable[Path]) -> int:
    """Of the scan with the most voxels, as far as the headers of the largest files tell."""
    largest = sorted(scans, key=_stored_bytes, reverse=True)[:_LOOKED_AT]
    voxels = 0
    for scan in largest:
        try:
            d, h, w = open_source(scan).header.shape_DHW
        except (ImageError, OSError):
            continue  # it is refused when its turn comes
        voxels = max(voxels, d * h * w)
    return voxels


def _stored_bytes(path: Path) -> int:
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path))
        return path.stat().st_size
    except OSError:
        return 0
