"""Scans of three balls that a network learns in a second, and everything that a method of the registry may ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tiny_models import ball

from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.contract.organs import organ_from_name
from organincrement.imaging.volume import Volume
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.train import create_job, run_job

SHAPE, SPACING_MM = (16, 16, 32), (4.0, 4.0, 4.0)
# HU, radius in voxels, and middle along W of each organ's balls
BALLS: Mapping[str, tuple[float, float, int]] = {
    "liver": (-120.0, 4.5, 6), "spleen": (130.0, 4.0, 26), "stomach": (280.0, 3.8, 16),
}  # fmt: skip
OLD, NEW = ("liver", "spleen"), ("stomach",)
QUICK: Mapping[str, Any] = {
    "training.precision": "fp32", "training.workers": 0, "training.optimizer.lr": 0.01, "training.ema": 0.8,
    "training.schedule.warmup_steps": 2,
}  # fmt: skip
FRESH: Mapping[str, Any] = {
    "features": [8, 16], "blocks": [1, 1], "spacing_mm": list(SPACING_MM), "training.patch": [16, 16, 32],
}  # fmt: skip
# from random weights there is further to go, and Adam moves a weight by its rate a step at most
FURTHER: Mapping[str, Any] = {**FRESH, "training.optimizer.lr": 0.03}


@dataclass(frozen=True, kw_only=True)
class BallWorld:
    """partial: three data sets, each with one organ. singles: teachers of one organ each. test: all organs."""

    old: Path
    new: Path
    partial: tuple[Path, ...]
    test: Path
    teacher: Path
    singles: tuple[Path, ...]


def make_ball_world(root: Path) -> BallWorld:
    """Data sets, a teacher of two organs, and two of one."""
    old, new = write_balls(root / "old", OLD, range(1, 7)), write_balls(root / "new", NEW, range(11, 17))
    partial = tuple(
        write_balls(root / organ, (organ,), range(first, first + 6))
        for organ, first in zip(OLD + NEW, (31, 41, 51), strict=True)
    )
    teacher = trained(root / "teacher", "supervised", (old,), steps=60, overrides=FURTHER)
    singles = tuple(
        trained(root / f"teacher-{part.name}", "supervised", (part,), steps=40, overrides=FURTHER)
        for part in partial[: len(OLD)]
    )
    test = write_balls(root / "test", OLD + NEW, (61, 62, 63))
    return BallWorld(old=old, new=new, partial=partial, test=test, teacher=teacher, singles=singles)


def trained(
    folder: Path, method: str, datasets: Sequence[Path], *, steps: int, overrides: Mapping[str, Any], **given: Any
) -> Path:
    """The package of a finished job. Args: given: teachers, exemplars, old_datasets."""
    lengths = {"training.steps": steps, "validation.every_steps": steps}
    plan, job = folder / "plan.json", folder / "job"
    request = PlanRequest(
        datasets=datasets, out=plan, method=method, device="cpu", overrides={**QUICK, **lengths, **overrides}, **given
    )
    make_plan(request)
    done = create_job(plan, job)
    assert run_job(done) == "finished"
    return done.student_path


def write_balls(out: Path, organs: Sequence[str], seeds: Sequence[int]) -> Path:
    """A data set of approved cases, labelled with these organs; the others are in the pictures."""
    space = tuple(organ_from_name(organ) for organ in organs)
    folder = DatasetFolder.create(out, Dataset(name=out.name, modality="CT", organs=space))
    for seed in seeds:
        image_DHW, truth_DHW = _scan(seed)
        labels = np.zeros(SHAPE, np.uint8)
        for value, organ in enumerate(organs, start=1):
            labels[truth_DHW == 1 + list(BALLS).index(organ)] = value
        _add(folder, f"case{seed}", image_DHW, labels)
    return out


def _scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    image, truth = rng.normal(0, 25, SHAPE), np.zeros(SHAPE, np.uint8)
    for value, (hu, radius, middle) in enumerate(BALLS.values(), start=1):
        d, h, w = rng.uniform(-2.5, 2.5, 3)
        inside = ball(SHAPE, (8 + d, 8 + h, middle + w / 2), radius * rng.uniform(0.9, 1.1))
        image[inside] += hu
        truth[inside] = value
    return image.astype(np.int16), truth


def _add(folder: DatasetFolder, case_id: str, image_DHW: np.ndarray, labels_DHW: np.ndarray) -> None:
    image, label = f"images/{case_id}.nii.gz", f"labels/{case_id}.nii.gz"
    for path, array in ((image, image_DHW), (label, labels_DHW)):
        write_nifti(folder.path / path, Volume(array, SPACING_MM, (0.0, 0.0, 0.0), np.eye(3)))
    folder.save_case(
        Case(
            id=case_id, group=case_id, image=image, label=label, annotated=folder.label_space.ids,
            image_sha256=sha256_file(folder.path / image), label_sha256=sha256_file(folder.path / label),
        )
    )  # fmt: skip
    folder.move(case_id, "submitted", "ball", "made")
    folder.move(case_id, "approved", "ball", "exact")
