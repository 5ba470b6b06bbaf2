"""Making a plan: everything decided, and what it will take."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from organincrement.contract import codec
from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.package import read_manifest
from organincrement.contract.plan import Estimate, Plan, PlanInput, Training, Validation, relative_input
from organincrement.imaging.preprocessing import canonical_grid, grid_shape
from organincrement.imaging.safe_read import peek
from organincrement.methods.protocol import ContinualMethod, Preset, Recipe, configure
from organincrement.methods.registry import DEFAULT_METHOD, method_named
from organincrement.networks.sizing import patch_multiple
from organincrement.planning.errors import PlanningError
from organincrement.planning.estimate import CaseSize
from organincrement.planning.first_model import ScanFacts, network_size, network_spacing_mm, slice_patch
from organincrement.planning.limits import check_patch, check_seed, check_training, check_validation
from organincrement.planning.split import held_back
from organincrement.training.device import Hardware, resolve_hardware
from organincrement.training.phases import PhasePlan, phases_of
from organincrement.workflows.plan_estimate import fitted_plan
from organincrement.workflows.plan_notices import tell_of_phases, tell_of_teachers
from organincrement.workflows.setup import (
    PlannedCase,
    Setup,
    check_inputs,
    input_sha256,
    patients,
    planned_cases,
    set_up,
)

Settings = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What the user asked for. `overrides`: method settings by name, and `training.*`, `validation.*` and `seed`.

    old_datasets: of what the teacher was trained on, for methods that may see it. exemplars: a vault, for those that
    replay. notice: told, in a line, of what had to be planned otherwise than asked. clock: seconds to estimate in.
    """

    datasets: Sequence[Path]
    out: Path
    teachers: Sequence[Path] = ()
    old_datasets: Sequence[Path] = ()
    exemplars: Path | None = None
    method: str = DEFAULT_METHOD
    preset: str = "practical"
    merges: Mapping[str, str] = field(default_factory=dict)
    include: Sequence[str] = ("approved",)
    overrides: Settings = field(default_factory=dict)
    device: str = "auto"
    notice: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.perf_counter


def make_plan(request: PlanRequest) -> Plan:
    """Decide everything, estimate it, and write the plan to `request.out`.

    Raises: PlanningError, MethodError, WorkflowError or ContractError with one line; nothing is written then.
    """
    if request.out.is_dir() or (request.out.parent.exists() and not request.out.parent.is_dir()):
        raise PlanningError(f"{request.out}: no file can be written there; name another")
    method = method_named(request.method)
    preset = _preset(method, request.preset)
    inputs = _inputs(request)
    check_inputs(method, inputs)
    cases = _planned(request, method)
    scans = [_facts(planned) for planned in cases]
    hardware = resolve_hardware(request.device, "auto")
    groups = _grouped(request.overrides)
    settings = {**preset.settings, **groups["method"]}
    settings, patch = _sized(method, settings, request, scans, preset.recipe, hardware)
    plan = _draft(request, inputs, preset, groups, patch, cases, dataclasses.asdict(configure(method.Config, settings)))
    setup = set_up(plan, request.out)
    if "every_steps" not in groups["validation"]:
        setup = _validated_often_enough(setup)
    check_training(plan.training, patch_multiple(setup.network))
    tell_of_teachers(setup, request.notice)
    tell_of_phases(setup, request.notice)
    return _written(setup, request.out, scans, hardware, request.notice, request.clock)


def _written(
    setup: Setup,
    out: Path,
    scans: Sequence[ScanFacts],
    hardware: Hardware,
    notice: Callable[[str], None],
    clock: Callable[[], float],
) -> Plan:
    hardware = resolve_hardware(hardware.device.type, setup.plan.training.precision)
    plan = fitted_plan(setup, hardware, [_size(scan, setup) for scan in scans], notice, clock)
    out.parent.mkdir(parents=True, exist_ok=True)
    codec.write(plan, out)
    return plan


def _draft(
    request: PlanRequest,
    inputs: tuple[PlanInput, ...],
    preset: Preset,
    groups: Mapping[str, dict[str, Any]],
    patch: tuple[int, ...],
    planned: Sequence[PlannedCase],
    settings: dict[str, Any],
) -> Plan:
    recipe, seed = preset.recipe, check_seed(groups["plan"].get("seed", 0))
    training = Training(
        steps=recipe.steps, batch=recipe.batch, patch=patch, accumulation=1, precision="auto",
        optimizer=dict(recipe.optimizer), schedule=dict(recipe.schedule), ema=recipe.ema, workers=1,
    )  # fmt: skip
    training = _overridden(training, "training", groups["training"])
    cases = [replace(one.case, id=one.id, group=group) for one, group in zip(planned, patients(planned), strict=True)]
    every_steps = max(50, training.steps // 5)
    held = () if "cases" in groups["validation"] else _held_back(request, cases, seed)
    validation = Validation(cases=held, every_steps=every_steps, recommended_above=0.9)
    validation = _overridden(validation, "validation", groups["validation"])
    check_validation(validation, cases)
    return Plan(
        method=request.method, preset=request.preset, inputs=inputs, merges=dict(request.merges),
        include=tuple(request.include), settings=json.loads(json.dumps(settings)), training=training,
        validation=validation, seed=seed, device=request.device, estimate=Estimate(),
    )  # fmt: skip


def _held_back(request: PlanRequest, cases: Sequence[Case], seed: int) -> tuple[str, ...]:
    """Those of a label, unless teachers can be compared with."""
    has_teacher = method_named(request.method).needs.teachers != "none"
    judged = [case for case in cases if case.label or has_teacher]
    held = held_back(judged, seed)
    if not held and len({case.group for case in judged}) > 2:
        request.notice("no case is held back: each patient has the only labels of an organ, which the training needs")
    return held


def _validated_often_enough(setup: Setup) -> Setup:
    """As often as each phase of the method asks for, if that is more often than planned."""
    plan, validation = setup.plan, setup.plan.validation
    phases = PhasePlan(phases_of(setup.method(torch.device("cpu")), plan), plan.training.steps)
    validation = replace(validation, every_steps=phases.validated_every(validation.every_steps))
    return replace(setup, plan=replace(plan, validation=validation))


def _inputs(request: PlanRequest) -> tuple[PlanInput, ...]:
    given = (
        ("teacher", request.teachers), ("dataset", request.datasets), ("old_dataset", request.old_datasets),
        ("exemplars", [request.exemplars] if request.exemplars else []),
    )  # fmt: skip
    return tuple(
        PlanInput(role=role, path=relative_input(request.out, path), sha256=input_sha256(role, path))  # type: ignore[arg-type]
        for role, paths in given
        for path in paths
    )


def _planned(request: PlanRequest, method: type[ContinualMethod]) -> tuple[PlannedCase, ...]:
    datasets, old = ([DatasetFolder.open(path) for path in paths] for paths in (request.datasets, request.old_datasets))
    empty = [dataset.path.name for dataset in (*datasets, *old) if not dataset.cases()]
    if empty and len(datasets) + len(old) > 1:
        raise PlanningError(f"{empty[0]}: has no case at all; leave it out")
    cases = planned_cases(method.needs, datasets, old, request.include)
    names = ", ".join(path.name for path in request.datasets)
    if not cases:
        raise PlanningError(f"{names}: no case is {' or '.join(request.include)}; have cases approved first")
    unlabelled = [planned.case.id for planned in cases if planned.case.label is None]
    if unlabelled and not method.needs.unlabelled:
        raise PlanningError(f"{names}: case {unlabelled[0]} has no label, which method '{method.name}' needs")
    return cases


def _sized(
    method: type[ContinualMethod],
    settings: Settings,
    request: PlanRequest,
    scans: Sequence[ScanFacts],
    recipe: Recipe,
    hardware: Hardware,
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Settings with network and voxel size filled in, and the patch; a student takes them from its teacher."""
    if request.teachers:
        return dict(settings), read_manifest(request.teachers[0]).inference.patch
    on_gpu = hardware.device.type == "cuda"
    memory = (
        int(0.8 * torch.cuda.get_device_properties(hardware.device).total_memory)
        if on_gpu
        else psutil.virtual_memory().available // 2
    )
    slices = settings.get("dimensions") == "2"
    size = network_size(memory, recipe.batch, on_gpu, slices=slices)
    filled = dict(settings)
    filled["features"] = filled.get("features") or size.features
    if not filled.get("blocks"):
        filled["blocks"] = [1, *[2] * (len(filled["features"]) - 1)]
    patch = request.overrides.get("training.patch", recipe.patch or size.patch)
    check_patch(patch)
    filled["spacing_mm"] = filled.get("spacing_mm") or network_spacing_mm(scans, patch)  # type: ignore[arg-type]
    configure(method.Config, filled)
    if slices and "training.patch" not in request.overrides and len(filled["spacing_mm"]) == 3:
        patch = slice_patch(scans, filled["spacing_mm"], size.patch, 2 ** (len(filled["features"]) - 1))
    return filled, tuple(patch)


def _preset(method: type[ContinualMethod], name: str) -> Preset:
    if name not in method.presets:
        raise PlanningError(f"method '{method.name}' has no preset '{name}'; it has {', '.join(method.presets)}")
    return method.presets[name]


def _grouped(overrides: Settings) -> dict[str, dict[str, Any]]:
    groups: dict[str, dict[str, Any]] = {"training": {}, "validation": {}, "plan": {}, "method": {}}
    for key, value in overrides.items():
        group, dot, name = key.partition(".")
        if dot and group in ("training", "validation"):
            groups[group][name] = value
        else:
            groups["plan" if key == "seed" else "method"][key] = value
    return groups


def _overridden(part: Any, where: str, values: Settings) -> Any:
    """A part of the plan with some fields changed; `optimizer.lr` reaches into a free-form field."""
    known = {f.name for f in dataclasses.fields(part)}
    data = codec.to_json(part)
    for key, value in values.items():
        name, dot, inner = key.partition(".")
        if name not in known or (dot and not isinstance(data[name], dict)):
            raise PlanningError(f"setting '{where}.{key}' is unknown; there are {', '.join(sorted(known))}")
        if dot:
            data[name][inner] = value
        else:
            data[name] = value
    return codec.from_json(type(part), data, where=f"--set {where}")


def _facts(planned: PlannedCase) -> ScanFacts:
    shape, spacing_mm = canonical_grid(peek(planned.dataset.image_path(planned.case)))
    return ScanFacts(shape=shape, spacing_mm=spacing_mm)


def _size(scan: ScanFacts, setup: Setup) -> CaseSize:
    grid = grid_shape(scan.shape, scan.spacing_mm, setup.preprocessing)
    return CaseSize(scan_voxels=math.prod(scan.shape), grid=grid)
