"""Datasets and models small enough to train in a second: phantoms on a grid of 9 mm, networks of two levels."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.imaging.phantom.scan import SITES
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.train import create_job, run_job

SHAPE = (24, 28, 32)
OLD, NEW = ("liver", "spleen"), ("stomach",)
QUICK: Mapping[str, Any] = {
    "training.precision": "fp32",
    "training.workers": 0,
    "training.steps": 6,
    "validation.every_steps": 3,
}
FIRST_MODEL: Mapping[str, Any] = {
    "features": [4, 8],
    "blocks": [1, 1],
    "spacing_mm": [9.0, 9.4, 9.9],
    "training.patch": [16, 16, 16],
}


@dataclass(frozen=True, kw_only=True)
class TinyWorld:
    """Site A's dataset and the teacher made of it; site B's new organ; a test set with all organs. Only to be read."""

    root: Path
    site_a: DatasetFolder
    site_b: DatasetFolder
    test: DatasetFolder
    teacher_job: JobFolder

    @property
    def teacher(self) -> Path:
        return self.teacher_job.student_path


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to plan. `overrides` come on top of QUICK."""

    dataset: Path
    out: Path
    teacher: Path | None = None
    method: str = "fine-tune"
    overrides: Mapping[str, Any] = field(default_factory=dict)


def make_world(root: Path) -> TinyWorld:
    """Three datasets and a trained teacher under `root`."""
    site_a = write_phantom_dataset(root / "site-a", SITES["a"], OLD, (1, 2, 3, 4), shape_DHW=SHAPE, name="site-a")
    site_b = write_phantom_dataset(root / "site-b", SITES["b"], NEW, (11, 12, 13, 14), shape_DHW=SHAPE, name="site-b")
    test = write_phantom_dataset(root / "test", SITES["b"], OLD + NEW, (21, 22), shape_DHW=SHAPE, name="test")
    plan = write_plan(
        Order(
            dataset=site_a.path, out=root / "teacher.json", method="supervised",
            overrides={**FIRST_MODEL, "training.steps": 12, "validation.every_steps": 6},
        )
    )  # fmt: skip
    job = create_job(plan, root / "teacher-job")
    run_job(job)
    return TinyWorld(root=root, site_a=site_a, site_b=site_b, test=test, teacher_job=job)


def write_plan(order: Order) -> Path:
    """A plan file for the CPU."""
    make_plan(
        PlanRequest(
            datasets=(order.dataset,), out=order.out, teachers=(order.teacher,) if order.teacher else (),
            method=order.method, device="cpu",
            overrides={**QUICK, **order.overrides},
        )
    )  # fmt: skip
    return order.out


def student_job(world: TinyWorld, folder: Path, method: str = "fine-tune", **overrides: Any) -> JobFolder:
    """A job, not yet run, that adds site B's organ to the teacher; overrides: `training__steps=4` and the like."""
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    plan = write_plan(
        Order(
            dataset=world.site_b.path, out=folder / "plan.json", teacher=world.teacher, method=method, overrides=named
        )
    )
    return create_job(plan, folder / "job")


def copied(dataset: DatasetFolder, to: Path) -> DatasetFolder:
    """A dataset that a test may change."""
    shutil.copytree(dataset.path, to)
    return DatasetFolder.open(to)
