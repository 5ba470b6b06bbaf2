"""Training: a plan in, a student out, in a job folder that outlives every process."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from organincrement.contract import codec
from organincrement.contract.events import EventWriter
from organincrement.contract.files import found_at_or_above, remove_partials
from organincrement.contract.job import CACHE, JobFolder, claim_writer
from organincrement.contract.plan import Plan, moved_plan
from organincrement.imaging.cache import CachedCase
from organincrement.inference.memory import free_gpu_memory, whose_memory
from organincrement.methods.protocol import Product
from organincrement.training.checkpoint import load_best, newest_step
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.distributed import ALONE, Group, ProcessLost
from organincrement.training.loop import Trainer
from organincrement.training.phases import phases_of
from organincrement.training.reporting import Reporter
from organincrement.training.signals import CancelRequested, DiskFull, PauseRequested, is_disk_full
from organincrement.training.validation import VALIDATION_STEP, HeldBackCase, Segmenter, ValidationResult, validate
from organincrement.workflows.batches_of_cases import annotated_of, batches, teachers_for
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.exemplar_vault import exemplar_cases
from organincrement.workflows.held_back import held_back, looked_at
from organincrement.workflows.job_endings import fail, pause_for_room, room_needed
from organincrement.workflows.job_words import Unheard, announce
from organincrement.workflows.setup import Setup, input_hashes, set_up
from organincrement.workflows.student_package import PreparedCases, write_student

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


def run_job(job: JobFolder, group: Group = ALONE) -> str:
    """Run a job to its end, or go on with it where it stopped; with others, of which the first writes.

    Returns: finished, paused or cancelled. Raises: ContractError where another process runs it, WorkflowError where it
    is over; what made it fail, after saying so in its events.
    """
    _refuse_if_over(job)
    if not group.is_first:
        return _follow(job, group)
    with ExitStack() as stack:
        stack.enter_context(group.telling())
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
        return _run_and_say(job, events, group)


def _follow(job: JobFolder, group: Group) -> str:
    """Run with the others. Returns: what the first process makes of it."""
    try:
        _run_where_it_fits(job, Unheard(group.rank), group)
        return "finished"
    except (PauseRequested, DiskFull):
        return "paused"
    except CancelRequested:
        return "cancelled"
    except OSError as error:
        if is_disk_full(error):
            return "paused"
        raise


def _refuse_if_over(job: JobFolder) -> None:
    state = job.status().state
    if state in ("finished", "cancelled"):
        raise WorkflowError(f"{job.path.name}: the job is {state}; make a new one")


def _run_and_say(job: JobFolder, events: EventWriter, group: Group) -> str:
    """Run, and make the end an event, whatever it is."""
    try:
        try:
            _run_where_it_fits(job, events, group)
            return "finished"
        except PauseRequested:
            events.write("paused", step=job.status().step)
            return "paused"
        except CancelRequested:
            shutil.rmtree(job.path / CACHE, ignore_errors=True)
            with suppress(OSError):  # the flag says it as well
                events.write("cancelled", step=job.status().step)
            return "cancelled"
    except ProcessLost as error:
        events.write("warned", code="process_lost", message=str(error))
        raise
    except Exception as error:
        if is_disk_full(error):
            pause_for_room(job, events, error)
            return "paused"
        fail(job, events, error)
        raise


def _run_where_it_fits(job: JobFolder, events: EventWriter | Unheard, group: Group) -> None:
    """Run on the plan's device, and on the CPU, from the newest checkpoint, where the GPU's memory does not suffice."""
    started_s = time.monotonic()
    plan = job.plan()
    hardware = resolve_hardware(plan.device, plan.training.precision)
    if not group.is_alone:
        with group.telling():
            _run(job, events, group.hardware(hardware), started_s, group)
        return
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


def _run(
    job: JobFolder, events: EventWriter | Unheard, hardware: Hardware, started_s: float, group: Group = ALONE
) -> None:
    plan = job.plan()
    hardware.keep_memory()
    _refuse_changed_inputs(plan, job.plan_path)
    setup = set_up(plan, job.plan_path)
    check_flags = _flag_check(job)
    method = setup.method(hardware.device, teachers_for(setup, hardware.device, job.path / CACHE, group.is_alone))
    phases = [phase.name for phase in phases_of(method, plan)]
    announce(events, plan, hardware, phases, newest_step(job.checkpoint_path), group)
    prepared = _prepared(setup, job, check_flags, group)
    training = _trained_on(plan, prepared)
    fill, exemplars = min(known.fill for _, known in prepared.values()), exemplar_cases(setup.vault, job)
    reporter = Reporter(
        events, phase=phases[0], total_steps=plan.training.steps, epoch_steps=len(training) / plan.training.batch,
        device=hardware.device,
    )  # fmt: skip
    segmenter = Segmenter(
        patch=plan.training.patch,  # type: ignore[arg-type]
        step=VALIDATION_STEP, fill=fill, device=hardware.device, autocast=hardware.autocast, between=check_flags,
        warn=reporter.warn,
    )  # fmt: skip
    held = held_back(setup, prepared, segmenter, group)
    trainer = Trainer(
        plan=plan, method=method, source=batches(setup, training, exemplars, fill),
        validate=_validator(setup, held, segmenter, group), annotated=annotated_of(setup, prepared, exemplars),
        exemplars=frozenset(case.id for case in exemplars), checkpoints=job.checkpoint_path, reporter=reporter,
        hardware=hardware, check_flags=check_flags, group=group,
    )  # fmt: skip
    trainer.restore()
    _train(trainer)
    product, result = _product(setup, held, trainer, segmenter)
    if not group.is_first:
        return
    metrics = write_student(job, setup, product, prepared, held, result, segmenter)
    shutil.rmtree(job.path / CACHE, ignore_errors=True)
    seconds = round(time.monotonic() - started_s, 1)
    events.write("finished", package=job.student_path.name, metrics=metrics, seconds=seconds)


def _trained_on(plan: Plan, prepared: PreparedCases) -> list[CachedCase]:
    cases = [cached for case_id, (cached, _) in prepared.items() if case_id not in plan.validation.cases]
    if not cases:
        raise WorkflowError("every case is held back for validation: add cases, or hold fewer back")
    return cases


def _train(trainer: Trainer) -> None:
    try:
        trainer.run()
    except PauseRequested:
        trainer.save(best=False)
        raise
    if len(trainer.phases.names) > 1 and not any(trainer.progress.scores):
        said = "no held-back case shows a new organ, or none was found: all steps train it, and nothing is pruned"
        trainer.reporter.warn("not_measured", said)


def _prepared(setup: Setup, job: JobFolder, check_flags: Callable[[], None], group: Group) -> PreparedCases:
    """All cases in the job's cache; of several processes each prepares some."""
    folder = job.path / CACHE
    if group.is_alone:
        return prepare_cases(setup, job, folder, check_flags)
    group.together(lambda: "")  # the first has tidied the folder up by then
    own = replace(setup, cases=setup.cases[group.rank :: group.size])
    group.together(lambda: str(len(prepare_cases(own, job, folder, check_flags))))
    return prepare_cases(setup, job, folder, lambda: None)


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


def _validator(
    setup: Setup, held: list[HeldBackCase], segmenter: Segmenter, group: Group
) -> Callable[[nn.Module], ValidationResult] | None:
    if not held:
        return None
    return lambda network: _validated(network, setup, held, segmenter, group)


def _validated(
    network: nn.Module, setup: Setup, held: list[HeldBackCase], segmenter: Segmenter, group: Group
) -> ValidationResult:
    def look(cases: Sequence[HeldBackCase]) -> ValidationResult:
        return validate(network, cases, setup.organs, setup.transition.old_count, setup.readout, segmenter)

    return looked_at(look, held, setup.organs.ids, group)


def _product(
    setup: Setup, held: list[HeldBackCase], trainer: Trainer, segmenter: Segmenter
) -> tuple[Product, ValidationResult]:
    """What is packaged of the best weights, and how good it is."""
    trainer.group.together(lambda: "")  # the first has written them by now
    network = _best_network(trainer, held)
    trainer.method.settle(network, tuple(trainer.progress.scores[trainer.progress.scored_before :]))
    product = trainer.method.product(network)
    product.network.eval()
    if trainer.hardware.weights != torch.float32:
        product.network.float()  # packages are of this type
    return product, _validated(product.network, setup, held, segmenter, trainer.group)


def _best_network(trainer: Trainer, held: list[HeldBackCase]) -> nn.Module:
    """The network of the best checkpoint; of the last step without cases to be best on, or where it is damaged."""
    best = load_best(trainer.checkpoints, trainer.progress.best_step) if held else None
    if best is not None:
        trainer.network.load_state_dict(best["average"] or best["student"])
    elif held:
        said = "the best checkpoint is damaged: the student has the weights of the last step"
        trainer.reporter.warn("best_corrupt", said)
    return trainer.network
