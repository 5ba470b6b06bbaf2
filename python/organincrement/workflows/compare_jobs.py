"""The trainings of a comparison: each plan and seed a job that can be stopped, and taken up again."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.events import EventTail, Finished, Started, Step
from organincrement.contract.files import sha256_file
from organincrement.contract.job import JobFolder
from organincrement.contract.labels import check_id
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.contract.plan import Estimate, Plan, PlanInput, input_path, moved_plan, relative_input
from organincrement.evaluation.comparison import Costs
from organincrement.training.device import resolve_hardware
from organincrement.training.signals import PauseRequested
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.jobs import has_process, resume, start_detached
from organincrement.workflows.train import run_job

_LOOK_EVERY_S = 0.2
_PAUSES_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class NamedPlan:
    """A plan by the name of its file. parents: of its teachers, by their path in the plan, those that another plan of
    the comparison made."""

    name: str
    file: Path
    plan: Plan
    parents: dict[str, str]


def named_plans(files: Sequence[Path]) -> list[NamedPlan]:
    """Read the plans, those whose students teach others first. Raises: WorkflowError or ContractError."""
    plans = [_named(file) for file in files]
    names = [plan.name.casefold() for plan in plans]
    for i, plan in enumerate(plans):
        if names[i] in names[:i]:
            raise WorkflowError(f"{plan.file.name}: two plans are called {plan.name!r}; rename one of the files")
    linked = [replace(plan, parents=_parents(plan, plans)) for plan in plans]
    ordered: list[NamedPlan] = []
    while len(ordered) < len(linked):
        done = {plan.name for plan in ordered}
        ready = [p for p in linked if p.name not in done and set(p.parents.values()) <= done]
        if not ready:
            raise WorkflowError("the plans teach each other in a circle; leave one of them out")
        ordered.append(ready[0])
    return ordered


def job_path(named: NamedPlan, seed: int, folder: Path) -> Path:
    """Where the job of a plan and seed lies under `folder`."""
    return folder / f"{named.name}-{seed}"


def job_for(named: NamedPlan, seed: int, folder: Path, device: str | None) -> JobFolder:
    """The job of a plan and seed under `folder`: the one that is there, or a new one.

    Raises: WorkflowError where it is of another plan, DeviceError where the device is not there.
    """
    path = job_path(named, seed, folder)
    wanted = _concrete(named, seed, folder, path, device)
    if not (path / "plan.json").is_file():
        resolve_hardware(wanted.device, wanted.training.precision)
        return JobFolder.create(path, codec.dumps(wanted).encode())
    job = JobFolder.open(path)
    if _sha256(wanted) != sha256_file(job.plan_path):
        raise WorkflowError(
            f"{path.name}: is the job of another plan of this name, or of other inputs; choose another --out, or "
            "delete that job's folder"
        )
    return job


def finish(job: JobFolder, told: Callable[[int, int], None], *, own_process: bool, threads: int | None = None) -> None:
    """Run a job to its end, go on with it where it stopped, or wait for it where it runs.

    Args: told: of steps done, of how many. own_process: so that its memory is its own; threads: of that, None: all.
    Raises: PauseRequested where somebody paused it, WorkflowError where it failed or was cancelled.
    """
    if has_process(job):  # another command runs it, or one that was stopped has left it at its last checkpoint
        _wait(job, lambda: has_process(job), told)
    state = job.status().state
    if state == "finished":
        return
    if state == "cancelled":
        raise WorkflowError(f"{job.path.name}: was cancelled; delete its folder to have it run again")
    resume(job)
    if own_process:
        process = start_detached(job, threads)
        _wait(job, lambda: process.poll() is None, told)
    else:
        run_job(job)
    status = job.status()
    if status.state == "paused":
        raise PauseRequested(f"{job.path.name} is paused. {status.message}".rstrip())
    if status.state != "finished":
        how = status.state if status.state == "failed" else f"is {status.state}"
        raise WorkflowError(f"{job.path.name}: {how}: {status.message or 'see its process.log'}")


def costs_of(job: JobFolder) -> Costs:
    """Time over all its processes, most memory at a step, and the student's size."""
    events = EventTail(job.events_path).poll()
    seconds, began, last = 0.0, None, None
    for event in events:
        if isinstance(event, Started):
            seconds += _apart_s(began, last)
            began = event.t
        elif isinstance(event, Finished):
            seconds, began = seconds + event.seconds, None
        last = event.t
    steps = [event for event in events if isinstance(event, Step)]
    package = [file for file in job.student_path.rglob("*") if file.is_file()]
    return Costs(
        seconds=round(seconds, 1),
        ram_bytes=max((step.ram_bytes for step in steps), default=None),
        gpu_bytes=max((step.gpu_bytes for step in steps if step.gpu_bytes is not None), default=None),
        parameters=read_manifest(job.student_path).network.parameters,
        package_bytes=sum(file.stat().st_size for file in package),
    )


def wait_for_pause(jobs: Sequence[JobFolder]) -> None:
    """Until the processes of jobs that were asked to pause have ended, a minute at most."""
    _wait_at_most(lambda: any(has_process(job) for job in jobs))


def _wait_at_most(lives: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _PAUSES_WITHIN_S
    while lives() and time.monotonic() < end_s:
        time.sleep(_LOOK_EVERY_S)


def teachers_of(job: JobFolder) -> list[Path]:
    """The packages that a job's student learned from."""
    return [input_path(job.plan_path, i) for i in job.plan().inputs if i.role == "teacher"]


def _sha256(plan: Plan) -> str:
    """Of a plan as it is written into a job."""
    return hashlib.sha256(codec.dumps(plan).encode()).hexdigest()


def _named(file: Path) -> NamedPlan:
    plan = codec.read(Plan, file)
    try:
        check_id(file.stem)
    except ContractError as error:
        raise WorkflowError(f"{file.name}: {error}; rename the file") from None
    return NamedPlan(name=file.stem, file=file, plan=plan, parents={})


def _parents(named: NamedPlan, plans: Sequence[NamedPlan]) -> dict[str, str]:
    """A teacher is another plan's student where it lies in a job that was made of that plan, whatever its seed."""
    found = {}
    for one in (i for i in named.plan.inputs if i.role == "teacher"):
        job_plan = input_path(named.file, one).parent / "plan.json"
        if job_plan.is_file():
            made_by = _recipe(codec.read(Plan, job_plan))
            parent = next((p.name for p in plans if p is not named and _recipe(p.plan) == made_by), None)
            if parent:
                found[one.path] = parent
    return found


def _recipe(plan: Plan) -> Plan:
    """A plan without what changes from seed to seed and from place to place."""
    inputs = tuple(replace(i, path="x", sha256="" if i.role == "teacher" else i.sha256) for i in plan.inputs)
    return replace(plan, inputs=inputs, seed=0, device="auto", estimate=Estimate())


def _concrete(named: NamedPlan, seed: int, folder: Path, path: Path, device: str | None) -> Plan:
    """The plan with its seed, its inputs as seen from the job, and this seed's student of a parent as the teacher."""
    plan = replace(named.plan, seed=seed, device=device or named.plan.device)
    moved = moved_plan(plan, named.file, path / "plan.json")
    pairs = zip(named.plan.inputs, moved.inputs, strict=True)
    return replace(moved, inputs=tuple(_of_parent(named, old, new, seed, folder, path) for old, new in pairs))


def _of_parent(named: NamedPlan, asked: PlanInput, moved: PlanInput, seed: int, folder: Path, path: Path) -> PlanInput:
    parent = named.parents.get(asked.path) if asked.role == "teacher" else None
    if parent is None:
        return moved
    student = folder / f"{parent}-{seed}" / "student"
    return replace(moved, path=relative_input(path / "plan.json", student), sha256=manifest_sha256(student))


def _wait(job: JobFolder, lives: Callable[[], bool], told: Callable[[int, int], None]) -> None:
    """Until the job's process has ended; an interrupt asks it for a checkpoint first."""
    try:
        while lives():
            status = job.status()
            if status.total_steps:
                told(status.step, status.total_steps)
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        job.request_pause()
        _wait_at_most(lives)
        raise


def _apart_s(first: str | None, last: str | None) -> float:
    if first is None or last is None:
        return 0.0
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
