"""Steps for the rehearsal of a job, by the job's own trainer and data workers."""

import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from organincrement.contract.events import EventWriter
from organincrement.contract.job import JobFolder
from organincrement.contract.plan import Plan
from organincrement.imaging.patches import PatchSampler
from organincrement.planning.high_water import resident_bytes
from organincrement.training.batches import BatchSource
from organincrement.training.device import Hardware, ram_bytes
from organincrement.training.loop import Trainer
from organincrement.training.phases import phases_of
from organincrement.training.reporting import Reporter
from organincrement.training.signals import Diverged
from organincrement.training.validation import ValidationResult
from organincrement.workflows.rehearsed_cases import Rehearsed
from organincrement.workflows.setup import Setup

_BUDGET_S = 2.5  # beyond the first step, for each phase
_FEWEST, _MOST = 8, 40
_SURE = 0.04  # standard error of the mean
_STEPS_OF_A_PHASE = 6
_WORKERS_AT = 3  # a worker has made its first batches by then


class _Enough(Exception):  # noqa: N818
    """The rehearsal knows what a step takes."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The trainer that took them. first_s: until the first step, and what first steps of a phase took more than later
    ones. step_s: of each phase; fewer where the method wanted no further one. worker_bytes: of all data workers.
    """

    trainer: Trainer
    first_s: float
    step_s: tuple[float, ...]
    worker_bytes: int


@dataclass(kw_only=True)
class _Pace:
    """Called before every step: how long the last one took, and whether that is enough."""

    clock: Callable[[], float]
    phases: int
    workers: int
    trainer: Trainer | None = None
    took: list[tuple[int, float]] = field(default_factory=list)  # phase and seconds of each step
    worker_bytes: int = 0
    since: float = 0.0
    began: float = 0.0

    def __call__(self) -> None:
        assert self.trainer is not None
        step, now = self.trainer.progress.step, self.clock()
        if step == 0 and not self.took:
            self.began = self.since = now
        if step != len(self.took) + 1:
            return  # waiting for a batch, or gone back
        self.note(now)
        if self._enough():
            raise _Enough
        self.since = self.clock()

    def note(self, now: float) -> None:
        """The step that ended now."""
        assert self.trainer is not None
        self.took.append((self.trainer.progress.phase, now - self.since))
        if self.workers and len(self.took) >= _WORKERS_AT and not self.worker_bytes:
            self.worker_bytes = max(0, ram_bytes() - resident_bytes())
        self.since = self.clock()

    def _enough(self) -> bool:
        later = [seconds for _, seconds in self.took[1:]]
        if not later:
            return False
        if sum(later) > _BUDGET_S * self.phases:
            return True
        if self.phases > 1 or len(later) < _FEWEST:
            return False
        error = statistics.stdev(later) / len(later) ** 0.5
        return len(later) >= _MOST or error < _SURE * statistics.mean(later)


def rehearsed_steps(
    setup: Setup, plan: Plan, hardware: Hardware, cases: Rehearsed, job: JobFolder, clock: Callable[[], float]
) -> Steps:
    """Take steps until their time is known, in every phase of the method where that does not take long.

    Raises: MemoryError, or torch's error for the GPU, where the micro-batch does not fit; Diverged where the very first
    loss is no number.
    """
    started = clock()
    hardware.keep_memory()  # as the job does
    method = setup.method(hardware.device)
    names = [phase.name for phase in phases_of(method, plan)]
    short = _shortened(plan, len(names))
    pace = _Pace(clock=clock, phases=len(names), workers=plan.training.workers)
    reporter = Reporter(
        EventWriter(job.events_path), phase=names[0], total_steps=short.training.steps, epoch_steps=1.0,
        device=hardware.device,
    )  # fmt: skip
    trainer = Trainer(
        plan=short, method=method, source=_source(plan, cases), validate=_perfect if plan.validation.cases else None,
        annotated=cases.annotated, exemplars=frozenset(case.id for case in cases.exemplars),
        checkpoints=job.checkpoint_path, reporter=reporter, hardware=hardware, check_flags=pace,
    )  # fmt: skip
    pace.trainer, fits = trainer, trainer.progress.micro_batch
    with suppress(_Enough):
        _run(trainer, pace)
    if trainer.progress.micro_batch < fits:
        raise torch.OutOfMemoryError if hardware.device.type == "cuda" else MemoryError
    return _measured(pace, trainer, pace.began - started)


def _run(trainer: Trainer, pace: _Pace) -> None:
    try:
        trainer.run()
    except Diverged:  # with other steps the job may not
        if not pace.took:
            raise
    else:
        if len(pace.took) < trainer.progress.step:
            pace.note(pace.clock())


def _measured(pace: _Pace, trainer: Trainer, first_s: float) -> Steps:
    means: list[float] = []
    for phase in range(trainer.progress.phase + 1):
        took = [seconds for of, seconds in pace.took if of == phase]
        if not took:
            break
        later = took[1:] or took
        means.append(statistics.fmean(later))
        first_s += max(0.0, took[0] - means[-1])
    if not trainer.progress.ended:  # phases that were too long to come to cost as the last one
        means += [means[-1]] * (pace.phases - len(means))
    return Steps(trainer=trainer, first_s=first_s, step_s=tuple(means), worker_bytes=pace.worker_bytes)


def _shortened(plan: Plan, phases: int) -> Plan:
    """The same steps, without validations between; of several phases some steps each."""
    steps = plan.training.steps if phases == 1 else min(plan.training.steps, _STEPS_OF_A_PHASE * phases)
    return replace(
        plan,
        training=replace(plan.training, steps=steps),
        validation=replace(plan.validation, every_steps=plan.training.steps + 1),
    )


def _source(plan: Plan, cases: Rehearsed) -> BatchSource:
    training = plan.training
    sampler = PatchSampler(
        cases=cases.training, patch=training.patch, batch=training.batch, foreground=max(1, training.batch // 2),  # type: ignore[arg-type]
        seed=plan.seed, fill=cases.fill, exemplars=cases.exemplars,
    )  # fmt: skip
    return BatchSource(sampler=sampler, mirror_left_right=True)


def _perfect(network: nn.Module) -> ValidationResult:
    """A method that goes on while its scores are good goes through all its phases."""
    return ValidationResult(dice={"any": [1.0]}, agreement={})
