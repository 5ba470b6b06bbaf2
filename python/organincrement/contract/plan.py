"""plan.json: all that a job is to do, unchanged from the start on."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from .errors import ContractError
from .files import check_relative

DEVICES = ("auto", "cpu", "cuda")  # what `Plan.device` may be


@dataclass(frozen=True, kw_only=True)
class PlanInput:
    """A file or folder that a job reads, relative to the plan, and the SHA-256 it had when the plan was made."""

    role: Literal["teacher", "dataset", "old_dataset", "exemplars"]
    path: str
    sha256: str

    def __post_init__(self) -> None:
        check_relative(self.path, upwards=True)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the trainer runs; `patch` in voxels in network axis order, `ema` the decay of averaged weights or None."""

    steps: int
    batch: int
    patch: tuple[int, ...]
    accumulation: int = 1
    precision: str = "auto"
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    ema: float | None = None
    workers: int = 1


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Cases held back, how often they are looked at, and the agreement with the teacher that a student must reach."""

    cases: tuple[str, ...]
    every_steps: int
    recommended_above: float = 0.9


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job is expected to take; None where nothing is known."""

    seconds: float | None = None
    gpu_bytes: int | None = None
    ram_bytes: int | None = None
    disk_bytes: int | None = None
    measured_on: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A complete plan; `settings` holds every field of the method's Config, `include` the case statuses to train on."""

    schema: ClassVar[str] = "organincrement/plan/1"
    method: str
    preset: str
    inputs: tuple[PlanInput, ...]
    merges: dict[str, str]
    include: tuple[str, ...] = ("approved",)
    settings: dict[str, Any]
    training: Training
    validation: Validation
    seed: int = 0
    device: str = "auto"
    estimate: Estimate


def input_path(plan_file: Path | str, plan_input: PlanInput) -> Path:
    """Where an input of the plan in `plan_file` lies."""
    return (Path(plan_file).resolve().parent / plan_input.path).resolve()


def moved_plan(plan: Plan, old_file: Path | str, new_file: Path | str) -> Plan:
    """The same plan for another place: its inputs relative to `new_file` (a job keeps its own copy of its plan)."""
    return replace(
        plan, inputs=tuple(replace(i, path=relative_input(new_file, input_path(old_file, i))) for i in plan.inputs)
    )


def relative_input(plan_file: Path | str, path: Path | str) -> str:
    """A path as a plan in `plan_file` writes it; raises ContractError when it lies on another Windows drive."""
    try:
        return Path(os.path.relpath(Path(path).resolve(), Path(plan_file).resolve().parent)).as_posix()
    except ValueError as error:
        raise ContractError(f"{path}: lies on another drive than {plan_file}; put both on one drive") from error
