"""Phantoms of two sites and a small teacher of some of their organs, for the audit study."""

from pathlib import Path

from organincrement.imaging.phantom.scan import SITES
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.train import create_job, run_job

TEACHER_ORGANS = ("liver", "spleen", "kidney_right", "kidney_left")
LABELLED = ("stomach", *TEACHER_ORGANS)
_TRAINED_ON, _LOOKED_AT = range(1, 13), {"site_b": ("b", range(101, 111)), "site_a": ("a", range(201, 206))}
_TRAINING = {
    "training.steps": 400, "training.patch": [32, 40, 48], "training.workers": 0, "training.precision": "fp32",
    "validation.every_steps": 400, "features": [12, 24, 48], "blocks": [1, 1, 1], "spacing_mm": [6.0, 6.0, 6.0],
}  # fmt: skip


def make_phantoms(folder: Path) -> tuple[Path, Path]:
    """The teacher's package, and the folder of the sites; made where they are not there yet."""
    data, job = folder / "data", folder / "job"
    for site, (scanner, seeds) in _LOOKED_AT.items():
        if not (data / site).exists():
            write_phantom_dataset(data / site, SITES[scanner], LABELLED, seeds)
    if not (job / "student").is_dir():
        trained_on = folder / "trained-on"
        if not trained_on.exists():
            write_phantom_dataset(trained_on, SITES["a"], TEACHER_ORGANS, _TRAINED_ON)
        plan = folder / "plan.json"
        make_plan(
            PlanRequest(datasets=(trained_on,), out=plan, method="supervised", device="cpu", overrides=dict(_TRAINING))
        )
        run_job(create_job(plan, job))
    return job / "student", data
