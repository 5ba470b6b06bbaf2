"""Time, memory and disk of a plan: unit costs that were measured, each as often as the job pays it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from organincrement.contract.plan import Estimate
from organincrement.inference.boxes import split
from organincrement.inference.windows import Windows

Shape = tuple[int, int, int]

_CHECKPOINT_EVERY_S = 60.0  # as training.loop
_CHECKPOINTS_AT_ONCE = 4  # the last three and the one that is being written, training.checkpoint; and the best
_CALIBRATION_VOXELS = 20_000  # as training.calibration
# of a voxel of a scan that is validated: image and its padded copy, labels found and given, and their comparison
_VALIDATION_BYTES = 4 + 4 + 2 + 2 + 3
_TEACHER_LABEL_BYTES = 2  # kept of every held-back scan
_PACKAGE_SHARE = 0.25  # weights, of a checkpoint that also has their average and two moments


@dataclass(frozen=True, kw_only=True)
class CaseSize:
    """How large one case is: voxels of its scan, and its shape on the network's grid before the air is cut away."""

    scan_voxels: int
    grid: Shape

    @property
    def grid_voxels(self) -> int:
        """Voxels on the network's grid."""
        return math.prod(self.grid)

    @property
    def touched(self) -> int:
        """Voxels that preparing it reads and writes."""
        return self.scan_voxels + self.grid_voxels


@dataclass(frozen=True, kw_only=True)
class Workload:
    """How often a job pays each unit.

    held: cases held back for validation. phases: the steps of each phase. channels: of the student. teachers: channels
    of each. asked_again: whether they also answer while the student is calibrated. remembered_bytes: of all teachers'
    answers on disk, over a fixed plan of patches; what time these save is not estimated.
    """

    cases: Sequence[CaseSize]
    held: Sequence[CaseSize]
    phases: Sequence[int]
    every_steps: int
    patch: Shape
    window_step: float
    tile_bytes: int
    channels: int
    teachers: Sequence[int]
    asked_again: bool
    remembered_bytes: int = 0

    @property
    def validations(self) -> int:
        """At every so many steps, and where a phase ends."""
        if not self.held:
            return 0
        ends = {sum(self.phases[: number + 1]) for number in range(len(self.phases))}
        return len(ends | set(range(self.every_steps, sum(self.phases) + 1, self.every_steps)))

    def windows(self, shape: Shape, channels: int) -> int:
        """Windows of one pass over a case: those on the edge of two tiles are computed for both."""
        padded: Shape = tuple(max(n, p) for n, p in zip(shape, self.patch, strict=True))  # type: ignore[assignment]
        windows = Windows(shape=padded, patch=self.patch, step=self.window_step)
        tile_voxels = min(self.tile_bytes // (4 * channels), math.prod(shape))
        return sum(windows.count(box) for box in split(shape, shape, tile_voxels))


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """What was measured, in seconds (_s) and bytes.

    start_s: of a process, until it can train, and of its end. prepare_s, prepare_bytes: of a voxel that preparing
    touches. first_step_s: until the first step, and what first ones take more than later ones. window_s: of one
    window of the student, voxel_s: of a validated voxel besides; teacher_window_s: of one window of one teacher,
    teacher_voxel_s: of a voxel for all of them. fit_s: of a voxel that calibrates. checkpoint_s: of one file. kept:
    share of the network's grid, along each axis, that is left once the air is cut away. cache_bytes: of a voxel of
    that grid. resident_bytes: before anything was prepared. step_bytes: the most main memory of this process while it
    took steps, validation_bytes: while it validated `validated_voxels`.
    """

    start_s: float
    prepare_s: float
    first_step_s: float
    step_s: Sequence[float]
    window_s: float
    voxel_s: float
    teacher_window_s: float
    teacher_voxel_s: float
    fit_s: float
    checkpoint_s: float
    kept: tuple[float, float, float]
    cache_bytes: float
    first_checkpoint_bytes: int
    checkpoint_bytes: int
    resident_bytes: int
    prepare_bytes: float
    step_bytes: int
    worker_bytes: int
    validation_bytes: int
    validated_voxels: int
    gpu_bytes: int | None


def estimate(work: Workload, costs: UnitCosts, measured_on: str) -> Estimate:
    """What a job is expected to take. Args: measured_on: the hardware, for people."""
    parts = seconds_by_part(work, costs)
    files = checkpoint_files(work, sum(parts.values()))
    return Estimate(
        seconds=round(sum(parts.values()), 1),
        gpu_bytes=costs.gpu_bytes,
        ram_bytes=_ram_bytes(work, costs),
        disk_bytes=_disk_bytes(work, costs, files),
        measured_on=measured_on,
    )


def seconds_by_part(work: Workload, costs: UnitCosts) -> dict[str, float]:
    """Seconds of each part of the job, in the order in which they come."""
    held = [_kept(case, costs) for case in work.held]
    windows = sum(work.windows(shape, work.channels) for shape in held)
    voxels = sum(math.prod(shape) for shape in held)
    student_pass = windows * costs.window_s + voxels * costs.voxel_s
    taught = sum(work.windows(shape, channels) for shape in held for channels in work.teachers)
    teacher_pass = taught * costs.teacher_window_s + voxels * costs.teacher_voxel_s if work.teachers else 0.0
    fitted = sum(min(_CALIBRATION_VOXELS, math.prod(shape)) for shape in held)
    parts = {
        "start": costs.start_s,
        "cases": sum(case.touched for case in work.cases) * costs.prepare_s,
        "teachers": teacher_pass,
        "steps": costs.first_step_s + sum(n * s for n, s in zip(work.phases, costs.step_s, strict=True)),
        "validation": work.validations * student_pass,
        # the packaged network is validated once more, and answers once more to be calibrated
        "package": 2 * student_pass + teacher_pass * work.asked_again + fitted * costs.fit_s if held else 0.0,
    }
    parts["checkpoints"] = checkpoint_files(work, sum(parts.values())) * costs.checkpoint_s
    return parts


def checkpoint_files(work: Workload, seconds: float) -> int:
    """Files that are written: the first, each minute's, at each validation the step and the best, and the package."""
    return 2 + int(seconds / _CHECKPOINT_EVERY_S) + 2 * work.validations + len(work.phases) - 1


def _kept(case: CaseSize, costs: UnitCosts) -> Shape:
    return tuple(max(1, round(n * share)) for n, share in zip(case.grid, costs.kept, strict=True))  # type: ignore[return-value]


def _ram_bytes(work: Workload, costs: UnitCosts) -> int:
    """The most of: preparing the largest case; steps and validation, beside the data workers."""
    preparing = costs.resident_bytes + costs.prepare_bytes * max(case.touched for case in work.cases)
    held = [math.prod(_kept(case, costs)) for case in work.held]
    kept_labels = _TEACHER_LABEL_BYTES * sum(held) if work.teachers else 0
    largest = max(held, default=0)
    more = max(0, largest - costs.validated_voxels) * _VALIDATION_BYTES
    sums, known = (min(work.tile_bytes, 4 * work.channels * n) for n in (largest, costs.validated_voxels))
    validating = costs.validation_bytes + more + max(0, sums - known)
    training = max(costs.step_bytes, validating if held else 0) + costs.worker_bytes + kept_labels
    return int(max(preparing, training))


def _disk_bytes(work: Workload, costs: UnitCosts, files: int) -> int:
    """The cache, and beside it as many checkpoints as there are at once, or at the end the package."""
    cache = costs.cache_bytes * sum(case.grid_voxels for case in work.cases)
    steps = files - work.validations - 1
    best = costs.checkpoint_bytes if work.held else 0

    def of_steps(at_once: int) -> int:
        first = steps <= at_once  # the first, which has no moments yet, is still there
        return first * costs.first_checkpoint_bytes + (min(steps, at_once) - first) * costs.checkpoint_bytes

    ended = of_steps(_CHECKPOINTS_AT_ONCE - 1) + _PACKAGE_SHARE * costs.checkpoint_bytes
    return int(work.remembered_bytes + cache + best + max(of_steps(_CHECKPOINTS_AT_ONCE), ended))
