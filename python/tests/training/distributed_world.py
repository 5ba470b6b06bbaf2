"""Plans for the tests of several processes, and those processes: `torchrun distributed_world.py orders.json`."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.contract.plan import Estimate, Plan, PlanInput, Training, Validation, relative_input
from organincrement.methods.registry import METHODS
from organincrement.training.checkpoint import load_newest
from organincrement.training.distributed import Group, joined
from organincrement.training.reporting import Reporter
from organincrement.training.torchrun import Place, bind
from organincrement.workflows import train, train_together
from organincrement.workflows.setup import input_sha256

ENGINE = Path(__file__).resolve().parents[2]
STEPS = 3
FRESH: Mapping[str, Any] = {"features": (4, 8), "blocks": (1, 1), "spacing_mm": (9.0, 9.4, 9.9)}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A training of STEPS steps, in float64, of 4 patches each."""

    method: str
    datasets: Sequence[Path]
    teachers: Sequence[Path] = ()
    settings: Mapping[str, Any] | None = None
    accumulation: int = 1
    steps: int = STEPS


def write_wanted(wanted: Wanted, file: Path) -> Path:
    """The plan, without an estimate, which would take longer than the training."""
    config = METHODS[wanted.method].Config
    settings = {f.name: f.default for f in fields(config)} | dict(wanted.settings or {})
    given = [("teacher", path) for path in wanted.teachers] + [("dataset", path) for path in wanted.datasets]
    several = len(wanted.datasets) > 1
    cases = [
        f"{number}.{case.id}" if several else case.id
        for number, path in enumerate(wanted.datasets, start=1)
        for case in DatasetFolder.open(path).cases()
    ]
    plan = Plan(
        method=wanted.method, preset="practical", settings=settings, merges={}, device="cpu", estimate=Estimate(),
        inputs=tuple(
            PlanInput(role=role, path=relative_input(file, path), sha256=input_sha256(role, path))  # type: ignore[arg-type]
            for role, path in given
        ),
        training=Training(
            steps=wanted.steps, batch=4, patch=(16, 16, 16), accumulation=wanted.accumulation, precision="fp64",
            optimizer={"name": "adamw", "lr": 2e-3, "weight_decay": 1e-4}, schedule={"name": "poly", "power": 0.9},
            ema=None if wanted.method == "co-training" else 0.9, workers=0,
        ),
        validation=Validation(cases=tuple(cases[:2]), every_steps=2),
    )  # fmt: skip
    codec.write(plan, file)
    return file


def furthest(job: JobFolder, reference: JobFolder) -> float:
    """The largest difference of any weight, averaged weights and moments of the last checkpoints."""
    (step, state, _), (wanted_step, wanted, _) = (load_newest(of.checkpoint_path) for of in (job, reference))
    assert step == wanted_step and state is not None and wanted is not None
    assert state["progress"]["scores"] == wanted["progress"]["scores"]
    found = 0.0
    for part in ("student", "average"):
        for name, weight in (state[part] or {}).items():
            found = max(found, float((weight.double() - wanted[part][name].double()).abs().max()))
    return found


# as docs/scale.md has it for one computer: processes find each other through files
PORTLESS = ("--nnodes", "1", "--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file", "--rdzv-id", "portless")


def together(
    count: int, *command: str, restarts: int = 0, meeting: tuple[str, ...] = ("--standalone",), **variables: str
) -> "subprocess.Popen[str]":
    """`count` processes of a command, by torchrun itself."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", *meeting, "--max-restarts", str(restarts)]
    environment = {**os.environ, "PYTHONPATH": f"{ENGINE}{os.pathsep}{ENGINE / 'tests'}", "OMP_NUM_THREADS": "1"}
    environment |= variables
    return subprocess.Popen(
        [*torchrun, "--nproc-per-node", str(count), *command],
        cwd=ENGINE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip


def run_orders(orders: Mapping[str, Any], place: Place, meeting: Path) -> None:
    """Every job, one after another, by the same processes; what became of it is written beside it by the first."""
    bind(place, None, os.environ)
    with joined(place, meeting, "cpu") as group:
        listening = [c.laddr.ip for c in psutil.Process().net_connections("inet") if c.status == psutil.CONN_LISTEN]
        heard = group.together(lambda: json.dumps({"pid": os.getpid(), "listening": listening}))
        if group.is_first:
            Path(orders["heard"]).write_text(json.dumps([json.loads(one) for one in heard]), encoding="utf-8")
        for order in orders["jobs"]:
            _run_order(order, group)


def _run_order(order: Mapping[str, str], group: Group) -> None:
    plan, path = Path(order["plan"]), Path(order["job"])

    def make() -> str:
        if group.is_first:
            train_together._made_or_taken_up(plan, path, None, 0)
        return ""

    group.together(make)
    undo = _STORIES[order["story"]](path, group)
    try:
        outcome = train_together.run_together(train_together.SharedJob(path), group)
    except (ValueError, RuntimeError) as error:
        outcome = f"{type(error).__name__}: {error}"
    finally:
        undo()
    path.with_name(f"{path.name}.{order['story']}.{group.rank}").write_text(outcome, encoding="utf-8")
    if order["story"] == "alone" and group.rank:
        os._exit(0)  # as if killed, but that torchrun leaves the first one be


def _pause(path: Path, group: Group) -> Any:
    return _after_step(2, lambda: JobFolder.open(path).request_pause(), group)


def _cancel(path: Path, group: Group) -> Any:
    return _after_step(2, lambda: JobFolder.open(path).request_cancel(), group)


def _not_finite(path: Path, group: Group) -> Any:
    """One process's loss is not a number, once."""
    from organincrement.training import backward

    made, seen = backward.Backward._of, []

    def spoilt(self: Any, part: Any, batch: Any, share: float) -> Any:
        seen.append(batch.step)
        if group.rank == group.size - 1 and batch.step == 1 and seen.count(1) == 1:
            batch.image_BCDHW.fill_(float("nan"))
        return made(self, part, batch, share)

    backward.Backward._of = spoilt  # type: ignore[method-assign]
    return lambda: setattr(backward.Backward, "_of", made)


def _unreadable(path: Path, group: Group) -> Any:
    """One process cannot prepare its cases."""
    prepare = train.prepare_cases

    def refused(*given: Any) -> Any:
        if group.rank == 1:
            raise ValueError("scan.nii.gz: is not what it was; import it again")
        return prepare(*given)

    train.prepare_cases = refused
    return lambda: setattr(train, "prepare_cases", prepare)


def _alone(path: Path, group: Group) -> Any:
    """One process fails in the middle of a step."""
    if group.rank == 0:
        return lambda: None

    def fail() -> None:
        raise ValueError("case7: has no voxels")

    return _after_step(1, fail, None)


def _after_step(number: int, action: Any, group: Group | None) -> Any:
    stepped = Reporter.stepped

    def then(self: Reporter, step: int, *rest: Any) -> None:
        stepped(self, step, *rest)
        if step == number and (group is None or group.is_first):
            action()

    Reporter.stepped = then  # type: ignore[method-assign]
    return lambda: setattr(Reporter, "stepped", stepped)


def _nothing(path: Path, group: Group) -> Any:
    return lambda: None


_STORIES = {
    "": _nothing, "pause": _pause, "cancel": _cancel, "not finite": _not_finite, "unreadable": _unreadable,
    "alone": _alone,
}  # fmt: skip

if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    run_orders(given, Place.of(os.environ), Path(sys.argv[1]).with_suffix(".meeting"))
