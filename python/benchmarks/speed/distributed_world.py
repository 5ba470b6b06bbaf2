"""A small training by one or several processes: its data and plan, and what torchrun starts, which is this file."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from organincrement.contract import codec
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.plan import Estimate, Plan, PlanInput, Training, Validation, relative_input
from organincrement.imaging.phantom.scan import SITES
from organincrement.methods.registry import METHODS
from organincrement.training import distributed
from organincrement.training.reporting import Reporter
from organincrement.training.torchrun import Place, bind
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.train import create_job
from organincrement.workflows.train_together import SharedJob, run_together

ENGINE = Path(__file__).resolve().parents[2]
BATCH = 4


def write_plan(folder: Path, precision: str, steps: int, features: tuple[int, ...]) -> Path:
    """A first model of two organs from four phantoms, `BATCH` patches a step. Returns: the plan's file."""
    data = folder / "data"
    if not data.exists():
        write_phantom_dataset(data, SITES["a"], ("liver", "spleen"), (1, 2, 3, 4), shape_DHW=(32, 36, 40), name="data")
    settings = {name: f.default for name, f in METHODS["supervised"].Config.__dataclass_fields__.items()}
    sizes = {"features": features, "blocks": (1,) * len(features), "spacing_mm": (9.0, 9.4, 9.9)}
    file = folder / f"{precision}.json"
    given = PlanInput(role="dataset", path=relative_input(file, data), sha256=DatasetFolder.open(data).sha256())
    plan = Plan(
        method="supervised", preset="practical", settings={**settings, **sizes}, merges={}, device="cpu",
        estimate=Estimate(), inputs=(given,), validation=Validation(cases=(), every_steps=steps),
        training=Training(
            steps=steps, batch=BATCH, patch=(24, 24, 24), precision=precision, workers=0, ema=0.9,
            optimizer={"name": "adamw", "lr": 2e-3}, schedule={"name": "poly", "power": 0.9},
        ),
    )  # fmt: skip
    codec.write(plan, file)
    return file


def run(plans: Sequence[Path], processes: int) -> list[dict[str, Any]]:
    """Train by so many processes, one plan after the other. Returns: what each found, and where the job is."""
    jobs = [plan.with_name(f"{plan.stem}-by-{processes}") for plan in plans]
    for plan, job in zip(plans, jobs, strict=True):
        create_job(plan, job)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(Path(__file__).resolve()), *map(str, jobs)],
        cwd=ENGINE, env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    answers = []
    for job in jobs:
        found = [json.loads((job / f"found.{rank}.json").read_text(encoding="utf-8")) for rank in range(processes)]
        answers.append({**found[0], "job": job, "cpu_s": [one["cpu_s"] for one in found]})
    return answers


def _main(paths: Sequence[Path]) -> None:
    place = Place.of(os.environ)
    bind(place, None, os.environ)
    with distributed.joined(place, paths[0] / "meeting", "cpu") as group:
        for path in paths:
            _watch(path, place, group)


def _watch(path: Path, place: Place, group: distributed.Group) -> None:
    cpu_s, sums = list[float](), list[int]()
    stepped, summed = Reporter.stepped, distributed._all_summed
    last = time.process_time()

    def note(self: Reporter, *given: Any) -> None:
        nonlocal last
        now = time.process_time()
        cpu_s.append(now - last)
        stepped(self, *given)
        last = time.process_time()

    def counted(own: Any, group: Any) -> Any:
        sums.append(own.nbytes)
        return summed(own, group)

    Reporter.stepped, distributed._all_summed = note, counted  # type: ignore[method-assign]
    run_together(SharedJob(path), group)
    Reporter.stepped, distributed._all_summed = stepped, summed  # type: ignore[method-assign]
    steps = len(cpu_s)
    found = {"cpu_s": statistics.median(cpu_s[1:]), "sums": len(sums) / steps, "sum_bytes": sum(sums) / steps}
    (path / f"found.{place.rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _main([Path(path) for path in sys.argv[1:]])
