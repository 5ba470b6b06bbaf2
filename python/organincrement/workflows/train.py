"""Training: a plan in, a student out, in a job folder that outlives every process."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.events import EventWriter
from organincrement.contract.files import found_at_or_above, remove_partials
from organincrement.contract.job import JobFolder, claim_writer
from organincrement.contract.plan import Plan, moved_plan
from organincrement.contract.process import this_process
from organincrement.imaging.cache import CachedCase
from organincrement.imaging.patches import PatchSampler
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.methods.teacher import FrozenTeacher
from organincrement.training.batches import BatchSource
from organincrement.training.checkpoint import load_best, newest_step
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.loop import Trainer
from organincrement.training.reporting import Reporter
from organincrement.training.signals import CancelRequested, DiskFull, PauseRequested, is_disk_full
from organincrement.training.validation import HeldBackCase, Segmenter, ValidationResult, validate
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.exemplar_vault import exemplar_cases
from organincrement.workflows.job_endings import CACHE, fail, pause_for_room, room_needed
from organincrement.workflows.setup import Setup, input_hashes, set_up
from organincrement.workflows.student_package import PreparedCases, write_student

_VALIDATION_STEP = 0.75
_GET_ABOUT = {"dataset.json": "dataset", "model.json": "model package"}


def create_job(plan_file: Path, job_path: Path, device: str | None = None) -> JobFolder:
    """A job folder with its own copy of the plan. Args: device: replaces the plan's.

    Raises: ContractError where the folder holds a job already, or the plan is none; DeviceError where the device is not
    there.
    """
    refuse_inside(job_path)
    plan = codec.read(Plan, plan_file)
    resolve_hardware(device or plan.device, plan.training.precision)
    plan = moved_plan(replace(plan, device=device or plan.device), plan_file, job_path / "plan.json")
    return JobFolder.create(job_path, codec.dumps(plan).encode())


def refuse_inside(folder: Path) -> None:
    """Refuse to work in a dataset or a package, which get about: a job keeps copies of scans. Raises: WorkflowError."""
    if found := found_at_or_above(folder, _GET_ABOUT):
        kind = _GET_ABOUT[found.name]
        raise WorkflowError(f"{folder.name}: lies inside the {kind} {found.parent.name}; choose another place")


def run_job(job: JobFolder) -> str:
    """Run a job to its end, or go on with it where it stopped.

    Returns: finished, paused or cancelled. Raises: ContractError where another process runs it, WorkflowError where it
    is over; what made it fail, after saying so in its events.
    """
    _refuse_if_over(job)
    with ExitStack() as stack:
        try:
            stack.enter_context(claim_writer(job))
            _refuse_if_over(job)  # another process may have ended it between the two
            for folder in (job.path, job.checkpoint_path, job.path / CACHE):
                remove_partials(folder)  # of processes that were killed while they wrote
            events = EventWriter(job.events_path)
        except OSError as error:
            if is_disk_full(error):
                raise WorkflowError(f"{job.path.name}: {room_needed(job, error)}") from error
            raise
        return _run_and_say(job, events)


def _refuse_if_over(job: JobFolder) -> None:
    state = job.status().state
    if state in ("finished", "cancelled"):
        raise WorkflowError(f"{job.path.name}: the job is {state}; make a new one")


def _run_and_say(job: JobFolder, events: EventWriter) -> str:
    """Run, and make the end an event, whatever it is."""
    try:
        try:
            _run_where_it_fits(job, events)
            return "finished"
        except PauseRequested:
            events.write("paused", step=job.status().step)
            return "paused"
        except CancelRequested:
            shutil.rmtree(job.path / CACHE, ignore_errors=True)
            with suppress(OSError):  # the flag says it as well
                events.write("cancelled", step=job.status().step)
            return "cancelled"
    except Exception as error:
        if isinstance(error, DiskFull) or is_disk_full(error):
            pause_for_room(job, events, error)
            return "paused"
        fail(job, events, error)
        raise


def _run_where_it_fits(job: JobFolder, events: EventWriter) -> None:
    """Run on the plan's device, and on the CPU, from the newest checkpoint, where the GPU's memory does not suffice."""
    started_s = time.monotonic()
    plan = job.plan()
    hardware = resolve_hardware(plan.device, plan.training.precision)
    try:
        _run(job, events, hardware, started_s)
        return
    except (RuntimeError, MemoryError) as error:
        if hardware.device.type == "cpu" or whose_memory(error) != "GPU":
            raise
    # the error is gone here, and with it the tensors that it held
    free_gpu_memory()
    events.write(
        "warned",
        code="cpu",
        message="one patch does not fit into GPU memory: going on on the CPU, which takes many times as long",
    )
    precision = "auto" if plan.training.precision == "fp16" else plan.training.precision
    _run(job, events, resolve_hardware("cpu", precision), started_s)


def _run(job: JobFolder, events: EventWriter, hardware: Hardware, started_s: float) -> None:
    plan = job.plan()
    _refuse_changed_inputs(plan, job.plan_path)
    setup = set_up(plan, job.plan_path)
    check_flags = _flag_check(job)
    method = setup.method(hardware.device)
    phases = [phase.name for phase in method.phases()]
    _announce(events, plan, hardware, phases, newest_step(job.checkpoint_path))
    prepared = prepare_cases(setup, job, job.path / CACHE, check_flags)
    training = [cached for case_id, (cached, _) in prepared.items() if case_id not in plan.validation.cases]
    if not training:
        raise WorkflowError("every case is held back for validation: add cases, or hold fewer back")
    fill = min(known.fill for _, known in prepared.values())
    exemplars = exemplar_cases(setup.vault, job)
    reporter = Reporter(
        events,
        phase=phases[0],
        total_steps=plan.training.steps,
        epoch_steps=len(training) / plan.training.batch,
        device=hardware.device,
    )
    segmenter = Segmenter(
        patch=plan.training.patch,  # type: ignore[arg-type]
        step=_VALIDATION_STEP, fill=fill, device=hardware.device, autocast=hardware.autocast, between=check_flags,
        warn=reporter.warn,
    )  # fmt: skip
    held = _held_back(setup, prepared, segmenter)
    trainer = Trainer(
        plan=plan, method=method, source=_batches(setup, training, exemplars, fill),
        validate=_validator(setup, held, segmenter), annotated=_annotated(setup, prepared, exemplars),
        exemplars=frozenset(case.id for case in exemplars), checkpoints=job.checkpoint_path, reporter=reporter,
        hardware=hardware, check_flags=check_flags,
    )  # fmt: skip
    trainer.restore()
    _train(trainer)
    metrics = _package(job, setup, prepared, held, trainer, segmenter)
    shutil.rmtree(job.path / CACHE, ignore_errors=True)
    events.write(
        "finished", package=job.student_path.name, metrics=metrics, seconds=round(time.monotonic() - started_s, 1)
    )


def _train(trainer: Trainer) -> None:
    try:
        trainer.run()
    except PauseRequested:
        trainer.save(best=False)
        raise


def _refuse_changed_inputs(plan: Plan, plan_file: Path) -> None:
    for path, digest in input_hashes(plan, plan_file).items():
        if digest != next(i.sha256 for i in plan.inputs if i.path == path):
            raise WorkflowError(f"{Path(path).name}: has changed since the plan was made: make a new plan")


def _flag_check(job: JobFolder) -> Callable[[], None]:
    def check() -> None:
        if job.cancel_requested:
            raise CancelRequested
        if job.pause_requested:
            raise PauseRequested

    return check


def _annotated(setup: Setup, prepared: PreparedCases, exemplars: Sequence[CachedCase]) -> dict[str, tuple[bool, ...]]:
    """Of each case, which of the organs that can be labelled were looked for; in an exemplar none."""
    return {
        **{case_id: setup.looked_for(known.annotated) for case_id, (_, known) in prepared.items()},
        **{case.id: setup.looked_for(()) for case in exemplars},
    }


def _held_back(setup: Setup, prepared: PreparedCases, segmenter: Segmenter) -> list[HeldBackCase]:
    """The validation cases, with what the teachers say of them, in the student's labels."""
    teachers = setup.frozen_teachers(segmenter.device)
    return [
        HeldBackCase(
            case=cached, annotated=known.annotated, label_values=setup.label_values,
            teacher_labels_DHW=_labels_of(teachers, cached, segmenter),
        )
        for cached, known in (prepared[case_id] for case_id in setup.plan.validation.cases)
    ]  # fmt: skip


def _labels_of(teachers: Sequence[FrozenTeacher], case: CachedCase, segmenter: Segmenter) -> np.ndarray | None:
    """The most probable old organ of each voxel; of several teachers the first that names one. None without any."""
    merged = None
    for teacher in teachers:

        def labelled(logits_CDHW: torch.Tensor, teacher: FrozenTeacher = teacher) -> torch.Tensor:
            return teacher.old_labels(logits_CDHW)

        labels = segmenter.labels(teacher.network, case, teacher.readout.channels, labelled)
        merged = labels if merged is None else np.where(merged > 0, merged, labels)
    return merged


def _validator(
    setup: Setup, held: list[HeldBackCase], segmenter: Segmenter
) -> Callable[[nn.Module], ValidationResult] | None:
    if not held:
        return None
    return lambda network: _validated(network, setup, held, segmenter)


def _validated(network: nn.Module, setup: Setup, held: list[HeldBackCase], segmenter: Segmenter) -> ValidationResult:
    return validate(network, held, setup.organs, setup.transition.old_count, setup.readout, segmenter)


def _batches(setup: Setup, training: Sequence[CachedCase], exemplars: Sequence[CachedCase], fill: float) -> BatchSource:
    plan = setup.plan
    sampler = PatchSampler(
        cases=training,
        patch=plan.training.patch,  # type: ignore[arg-type]
        batch=plan.training.batch,
        foreground=max(1, plan.training.batch // 2),
        seed=plan.seed,
        fill=fill,
        exemplars=exemplars,
    )
    # the augmentation mirrors the last axis, which runs from right to left unless the model turns its axes
    turned = tuple(setup.preprocessing.axis_order) != (0, 1, 2)
    return BatchSource(sampler=sampler, mirror_left_right=not (turned or setup.organs.has_laterality))


def _announce(events: EventWriter, plan: Plan, hardware: Hardware, phases: list[str], resumed_from: int | None) -> None:
    process = this_process()
    events.write(
        "started",
        pid=process.pid,
        host=process.host,
        device=hardware.description,
        precision=hardware.precision,
        batch=plan.training.batch,
        versions={"organincrement": __version__, "torch": torch.__version__},
        total_steps=plan.training.steps,
        phases=phases,
        resumed_from=resumed_from,
    )


def _package(
    job: JobFolder, setup: Setup, prepared: PreparedCases, held: list[HeldBackCase], trainer: Trainer,
    segmenter: Segmenter,
) -> dict[str, Any]:  # fmt: skip
    """The student, with its best weights, in the job folder. Returns: the metrics of the `finished` event."""
    network = _best_network(trainer, held)
    trainer.method.settle(network, tuple(trainer.progress.scores[trainer.progress.scored_before :]))
    product = trainer.method.product(network)
    product.network.eval()
    result = _validated(product.network, setup, held, segmenter)
    return write_student(job, setup, product, prepared, held, result, segmenter)


def _best_network(trainer: Trainer, held: list[HeldBackCase]) -> nn.Module:
    """The network of the best checkpoint; of the last step without cases to be best on, or where it is damaged."""
    best = load_best(trainer.checkpoints, trainer.progress.best_step) if held else None
    if best is not None:
        trainer.network.load_state_dict(best["average"] or best["student"])
    elif held:
        said = "the best checkpoint is damaged: the student has the weights of the last step"
        trainer.reporter.warn("best_corrupt", said)
    return trainer.network
