"""A short rehearsal of a job, with what the job itself is made of, so that what its parts cost is known.

A case of each kind is prepared, some steps are taken, a window is validated, a checkpoint is written; all in a private
folder that is gone at the end.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from organincrement.contract import codec
from organincrement.contract.job import JobFolder
from organincrement.contract.plan import Plan
from organincrement.evaluation.calibration import fit_temperature
from organincrement.planning.estimate import CaseSize, UnitCosts, Workload
from organincrement.planning.high_water import high_water_bytes, reset_high_water, resident_bytes
from organincrement.training.device import Hardware
from organincrement.training.loop import Trainer
from organincrement.training.phases import PhasePlan, phases_of
from organincrement.training.validation import VALIDATION_STEP, Segmenter
from organincrement.workflows.batches_of_cases import remembered_bytes
from organincrement.workflows.rehearsed_cases import Rehearsed, rehearsed_cases
from organincrement.workflows.rehearsed_passes import Passes, rehearsed_passes
from organincrement.workflows.rehearsed_steps import Steps, rehearsed_steps
from organincrement.workflows.setup import Setup

_LONGEST_START_S = 5.0  # a process that has worked for long says nothing of how long a new one takes to start
_WITH_ITS_END = 1.3  # measured: to take a process with torch down again takes 0.64 s where its imports took 2.10
_FITTED_VOXELS = 2000
_PLACE, _LEFT_AFTER_S = "organincrement-plan-", 6 * 3600

Clock = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a job will do how often, and what each costs."""

    work: Workload
    costs: UnitCosts


@dataclass(frozen=True, kw_only=True)
class _Memory:
    """Bytes of this process: before anything was prepared, and the most while it stepped and while it validated."""

    resident: int
    step: int
    validation: int
    gpu: int | None


def rehearse(setup: Setup, plan: Plan, hardware: Hardware, sizes: Sequence[CaseSize], clock: Clock) -> Rehearsal:
    """Rehearse a plan. Args: sizes: of each case of the setup. clock: seconds.

    Raises: MemoryError, or torch's error for the GPU, where the micro-batch does not fit; what a job would raise.
    """
    started_s = _WITH_ITS_END * min(time.process_time(), _LONGEST_START_S)
    on_gpu = hardware.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(hardware.device)
    _forget_killed()
    with TemporaryDirectory(prefix=_PLACE) as place:
        job = JobFolder.create(Path(place) / "job", codec.dumps(plan).encode())
        resident = resident_bytes()
        cases = rehearsed_cases(setup, sizes, job, clock)
        reset_high_water()
        steps = rehearsed_steps(setup, plan, hardware, cases, job, clock)
        step_bytes = high_water_bytes()
        reset_high_water()
        saved = _Saved.of(steps.trainer, job, clock)
        segmenter = Segmenter(
            patch=plan.training.patch, step=VALIDATION_STEP, fill=cases.fill, device=hardware.device,  # type: ignore[arg-type]
            autocast=hardware.autocast, between=lambda: None,
        )  # fmt: skip
        passes = rehearsed_passes(setup, steps.trainer.network, cases, segmenter, clock)
        memory = _Memory(
            resident=resident, step=step_bytes, validation=high_water_bytes(),
            gpu=torch.cuda.max_memory_reserved(hardware.device) if on_gpu else None,
        )  # fmt: skip
    work = _workload(setup, plan, sizes, segmenter, steps)
    return Rehearsal(work=work, costs=_costs(started_s, cases, steps, passes, saved, memory, _fit_s(work, clock)))


def _forget_killed() -> None:
    """Delete what rehearsals have left that were killed: it holds patients' scans."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PLACE}*"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > _LEFT_AFTER_S:
                shutil.rmtree(left, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class _Saved:
    """Seconds of a checkpoint's file; bytes of the first, before the optimiser has any moments, and of later ones."""

    file_s: float
    first_bytes: int
    later_bytes: int

    @classmethod
    def of(cls, trainer: Trainer, job: JobFolder, clock: Clock) -> "_Saved":
        started = clock()
        trainer.save(best=False)
        seconds = clock() - started
        sizes = [path.stat().st_size for path in sorted(job.checkpoint_path.glob("step_*.pt"))]
        return cls(file_s=seconds, first_bytes=sizes[0], later_bytes=sizes[-1])


def _workload(setup: Setup, plan: Plan, sizes: Sequence[CaseSize], segmenter: Segmenter, steps: Steps) -> Workload:
    held = [size for one, size in zip(setup.cases, sizes, strict=True) if one.id in plan.validation.cases]
    phases = PhasePlan(phases_of(steps.trainer.method, plan), plan.training.steps)
    return Workload(
        cases=sizes, held=held, phases=[phases.within(number, 0)[1] for number in range(len(steps.step_s))],
        every_steps=plan.validation.every_steps, patch=segmenter.patch, window_step=segmenter.step,
        tile_bytes=segmenter.budget_bytes, channels=setup.readout.channels,
        teachers=[teacher.readout.channels for teacher in steps.trainer.method.inputs.teachers],
        asked_again=len(setup.teachers) == 1 and setup.readout.is_softmax,
        remembered_bytes=len(setup.teachers) * remembered_bytes(setup),
    )  # fmt: skip


def _costs(
    started_s: float, cases: Rehearsed, steps: Steps, passes: Passes, saved: _Saved, memory: _Memory, fit_s: float
) -> UnitCosts:
    return UnitCosts(
        start_s=started_s, prepare_s=cases.prepare_s, first_step_s=steps.first_s, step_s=steps.step_s,
        window_s=passes.window_s, voxel_s=passes.voxel_s, teacher_window_s=passes.teacher_window_s,
        teacher_voxel_s=passes.teacher_voxel_s, fit_s=fit_s, checkpoint_s=saved.file_s, kept=cases.kept,
        cache_bytes=cases.cache_bytes, first_checkpoint_bytes=saved.first_bytes, checkpoint_bytes=saved.later_bytes,
        resident_bytes=memory.resident, prepare_bytes=cases.prepare_bytes, step_bytes=memory.step,
        worker_bytes=steps.worker_bytes, validation_bytes=memory.validation, validated_voxels=passes.voxels,
        gpu_bytes=memory.gpu,
    )  # fmt: skip


def _fit_s(work: Workload, clock: Clock) -> float:
    """Seconds of fitting a temperature, by the voxel."""
    rng = np.random.default_rng(0)
    logits_NC = rng.standard_normal((_FITTED_VOXELS, max(2, work.channels)))
    targets_NC = rng.dirichlet(np.ones(logits_NC.shape[1]), _FITTED_VOXELS)
    started = clock()
    fit_temperature(logits_NC, targets_NC)
    return (clock() - started) / _FITTED_VOXELS
