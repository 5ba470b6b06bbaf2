"""Numbers of a plan that no training could run with, refused before anything is built."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from organincrement.contract.dataset import Case
from organincrement.contract.plan import Training, Validation
from organincrement.networks.build import build_network, shrink_factor
from organincrement.networks.sizing import NetworkSpec
from organincrement.planning.errors import PlanningError
from organincrement.training.optimizer import learning_rate

_SCHEDULE = ("name", "power", "warmup_steps", "ema_first")
_MOST_WORKERS = 64
_WHOLE_NUMBERS = {"steps": 1, "batch": 1, "accumulation": 1, "workers": 0}


def check_training(training: Training, patch_multiple: Sequence[int]) -> None:
    """Refuse what no training can run with. Args: patch_multiple: the patch's edges are multiples of it.

    Raises: PlanningError naming the setting and what is allowed.
    """
    for name, lowest in _WHOLE_NUMBERS.items():
        _require(getattr(training, name) >= lowest, f"training.{name}", getattr(training, name), f"at least {lowest}")
    parts = training.accumulation
    _require(training.workers <= _MOST_WORKERS, "training.workers", training.workers, f"at most {_MOST_WORKERS}")
    rate = training.optimizer.get("lr")
    _require(isinstance(rate, int | float) and rate > 0, "training.optimizer.lr", rate, "a number above 0")
    _require(parts <= training.batch, "training.accumulation", parts, "at most the batch")
    _require(training.ema is None or 0 < training.ema < 1, "training.ema", training.ema, "between 0 and 1, or null")
    check_patch(training.patch)
    fits = all(edge % multiple == 0 for edge, multiple in zip(training.patch, patch_multiple, strict=True))
    shown = " x ".join(map(str, patch_multiple))
    _require(fits, "training.patch", list(training.patch), f"multiples of {shown}, by which the network shrinks it")
    _check_schedule(training.schedule)


def check_norms(training: Training, network: NetworkSpec) -> None:
    """Refuse a patch that the network shrinks to one voxel, where a norm needs more. Raises: PlanningError."""
    multiple = shrink_factor(network.kind, network.args)
    if tuple(training.patch) != multiple:
        return
    part = -(-training.batch // training.accumulation)
    with torch.device("meta"):  # shapes without weights
        built = build_network(network.kind, network.args).train()
        smallest_BCDHW = torch.empty(training.batch % part or part, network.args["in_channels"], *multiple)
    try:
        built(smallest_BCDHW)
    except ValueError:
        larger = [*multiple[:2], 2 * multiple[2]]
        shown = f"larger along one axis, {larger} at least: one voxel, to which the network shrinks it, has no variance"
        _require(False, "training.patch", list(training.patch), shown)


def check_patch(patch: Any) -> None:
    """Refuse a patch that is not three edges in voxels. Raises: PlanningError."""
    edges = patch if isinstance(patch, list | tuple) else ()
    whole = all(isinstance(edge, int) and not isinstance(edge, bool) and edge >= 1 for edge in edges)
    _require(len(edges) == 3 and whole, "training.patch", patch, "three whole numbers, for example [64,64,64]")


def check_seed(seed: Any) -> int:
    """The seed, where it is one that every generator takes. Raises: PlanningError."""
    whole = isinstance(seed, int) and not isinstance(seed, bool)
    _require(whole and 0 <= seed < 2**32, "seed", seed, "a whole number from 0 and below 2**32")
    return int(seed)


def check_validation(validation: Validation, cases: Iterable[Case]) -> None:
    """Refuse held-back cases that are not there, or whose patient is trained on. Raises: PlanningError."""
    _require(validation.every_steps >= 1, "validation.every_steps", validation.every_steps, "at least 1")
    threshold = validation.recommended_above
    _require(0 <= threshold <= 1, "validation.recommended_above", threshold, "between 0 and 1")
    group_of = {case.id: case.group for case in cases}
    for case in validation.cases:
        _require(case in group_of, "validation.cases", case, "a case that the plan includes")
    held = {group_of[case] for case in validation.cases}
    for case, group in group_of.items():
        if group in held and case not in validation.cases:
            raise PlanningError(f"validation.cases: {case} is of a patient held back: hold back all cases of one")


def _check_schedule(schedule: Mapping[str, Any]) -> None:
    for key in schedule:
        _require(key in _SCHEDULE, "training.schedule", key, f"one of {', '.join(_SCHEDULE)}")
    power = schedule.get("power", 0.9)
    _require(isinstance(power, int | float) and power >= 0, "training.schedule.power", power, "at least 0")
    first = schedule.get("ema_first", 0.5)
    in_range = isinstance(first, int | float) and 0 < first < 1
    _require(in_range, "training.schedule.ema_first", first, "between 0 and 1")
    try:
        learning_rate(0, 1, 1.0, schedule)
    except (ValueError, TypeError) as error:
        raise PlanningError(f"training.schedule: {error}") from error


def _require(holds: bool, setting: str, value: Any, allowed: str) -> None:
    if not holds:
        raise PlanningError(f"setting '{setting}' is {value!r}, but must be {allowed}")
