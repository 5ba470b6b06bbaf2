"""Cases for the rehearsal of a job: one of each kind, prepared as the job prepares it; noise where none can be read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from organincrement.contract.job import CACHE, JobFolder
from organincrement.imaging.cache import CachedCase, write_case
from organincrement.inference.memory import whose_memory
from organincrement.planning.estimate import CaseSize, Shape
from organincrement.planning.high_water import high_water_bytes, reset_high_water, resident_bytes
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.exemplar_vault import exemplar_cases
from organincrement.workflows.setup import PlannedCase, Setup

_LARGE_VOXELS, _TOO_LARGE_VOXELS = 30_000_000, 60_000_000  # a second or two to prepare
_MOST_KINDS = 3
_AGAIN_BELOW_S = 0.5
# where none could be prepared: of CT on one core, per voxel read and written; float16 and int16 after compression
_PREPARE_S, _PREPARE_BYTES, _CACHE_BYTES = 60e-9, 16.0, 1.7
_NOISE_PATCHES = 2

Kind = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """Cached cases and what they cost.

    training: one for each case of the plan that is trained on, the same for all of a kind. annotated: by case id.
    prepare_s, prepare_bytes: of a voxel of the scan and of the grid. cache_bytes: of a voxel of the grid. kept: share
    of the grid, along each axis, that is left once the air is cut away.
    """

    training: Sequence[CachedCase]
    exemplars: Sequence[CachedCase]
    annotated: Mapping[str, tuple[bool, ...]]
    searched: Mapping[str, tuple[str, ...]]
    fill: float
    prepare_s: float
    prepare_bytes: float
    cache_bytes: float
    kept: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """Of the chosen cases together. kept: see Rehearsed, of the first."""

    cached: Sequence[CachedCase]
    fill: float
    prepare_s: float
    prepare_bytes: float
    cache_bytes: float
    kept: tuple[float, float, float]


def rehearsed_cases(setup: Setup, sizes: Sequence[CaseSize], job: JobFolder, clock: Callable[[], float]) -> Rehearsed:
    """Prepare a case of each kind, which is what was looked for in it. Args: sizes: of each case of the setup."""
    kinds = [setup.annotated_as(planned) for planned in setup.cases]
    chosen = _one_of_each(kinds, sizes)
    places = list(chosen.values())
    planned, size = [setup.cases[place] for place in places], [sizes[place] for place in places]
    try:
        if max(one.scan_voxels for one in size) > _TOO_LARGE_VOXELS:
            raise ValueError("all are too large to be prepared for an estimate")
        prepared = _prepared(setup, planned, size, job, clock)
    except (ValueError, OSError) as error:  # the job will say what is wrong with it
        if whose_memory(error) is not None:
            raise
        prepared = _noise(setup, planned, size, job)
    standing_in = dict(zip(chosen, prepared.cached, strict=True))
    first = prepared.cached[0]
    held = set(setup.plan.validation.cases)
    numbers = [n for n, one in enumerate(setup.cases) if one.id not in held] or list(range(len(kinds)))
    searched = {case.id: kind for kind, case in standing_in.items()}
    exemplars = _exemplars(setup, job)
    looked_for = {case_id: setup.looked_for(kind) for case_id, kind in searched.items()}
    return Rehearsed(
        training=[standing_in.get(kinds[n], first) for n in numbers], exemplars=exemplars,
        annotated={**looked_for, **{case.id: setup.looked_for(()) for case in exemplars}}, searched=searched,
        fill=prepared.fill, prepare_s=prepared.prepare_s, prepare_bytes=prepared.prepare_bytes,
        cache_bytes=prepared.cache_bytes, kept=prepared.kept,
    )  # fmt: skip


def _exemplars(setup: Setup, job: JobFolder) -> Sequence[CachedCase]:
    try:
        return exemplar_cases(setup.vault, job)
    except (ValueError, OSError):  # the job will say what is wrong with them
        return ()


def _one_of_each(kinds: Sequence[Kind], sizes: Sequence[CaseSize]) -> dict[Kind, int]:
    """Of the most frequent kinds the case of median size; where that is large, the smallest."""
    chosen = {}
    for kind in sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))[:_MOST_KINDS]:
        ordered = sorted((n for n, own in enumerate(kinds) if own == kind), key=lambda n: sizes[n].touched)
        middle = ordered[len(ordered) // 2]
        chosen[kind] = middle if sizes[middle].scan_voxels <= _LARGE_VOXELS else ordered[0]
    return chosen


def _prepared(
    setup: Setup, planned: Sequence[PlannedCase], sizes: Sequence[CaseSize], job: JobFolder, clock: Callable[[], float]
) -> _Prepared:
    few = replace(setup, cases=tuple(planned))
    touched = sum(size.touched for size in sizes)
    for attempt in ("first", "again"):  # the first loads libraries, too
        # of a job in a folder of its own, which finds nothing there that another has prepared, and leaves it something
        own = JobFolder.create(job.path / attempt / "job", job.plan_path.read_bytes())
        reset_high_water()
        before, started = resident_bytes(), clock()
        found = prepare_cases(few, own, own.path / CACHE, lambda: None)
        seconds = clock() - started
        if seconds > _AGAIN_BELOW_S:
            break
    stored = sum(path.stat().st_size for path in (own.path / CACHE).iterdir())
    cached = [found[one.id][0] for one in planned]
    return _Prepared(
        cached=cached,
        fill=min(known.fill for _, known in found.values()),
        prepare_s=seconds / touched,
        prepare_bytes=(high_water_bytes() - before) / max(size.touched for size in sizes),
        cache_bytes=stored / sum(size.grid_voxels for size in sizes),
        kept=tuple(min(1.0, n / whole) for n, whole in zip(cached[0].shape, sizes[0].grid, strict=True)),  # type: ignore[arg-type]
    )


def _noise(setup: Setup, planned: Sequence[PlannedCase], sizes: Sequence[CaseSize], job: JobFolder) -> _Prepared:
    cached = [_noise_case(setup, one, size, job.path / "noise") for one, size in zip(planned, sizes, strict=True)]
    return _Prepared(
        cached=cached, fill=0.0, prepare_s=_PREPARE_S, prepare_bytes=_PREPARE_BYTES, cache_bytes=_CACHE_BYTES,
        kept=(1.0, 1.0, 1.0),
    )  # fmt: skip


def _noise_case(setup: Setup, planned: PlannedCase, size: CaseSize, folder: Path) -> CachedCase:
    patch = setup.plan.training.patch
    shape: Shape = tuple(min(n, _NOISE_PATCHES * p) for n, p in zip(size.grid, patch, strict=True))  # type: ignore[assignment]
    rng = np.random.default_rng(0)
    looked = [value for value, known in enumerate(setup.looked_for(setup.annotated_as(planned)), start=1) if known]
    labels = rng.choice([0, *looked], shape)
    return write_case(folder, planned.id, rng.standard_normal(shape, np.float32), labels, seed=0)
