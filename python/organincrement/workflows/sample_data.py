"""Sample data of nobody, made on the spot: a teacher, a dataset that labels one more organ, and a scan of its own.

What takes a network and minutes elsewhere comes from the phantom: nothing is fetched. The same request gives the same
scans and labels; the teacher's weights differ between devices, as those of any training.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.imaging.phantom.scan import SITES, make_phantom
from organincrement.imaging.writing import write_nifti
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.phantom_dataset import REVIEWER, write_phantom_dataset
from organincrement.workflows.train import create_job, run_job

OLD_ORGANS, NEW_ORGANS = ("liver", "spleen", "kidney_left", "kidney_right"), ("stomach",)
NAMES = {"scan": "phantom-scan.nii.gz", "dataset": "phantom-stomach", "teacher": "phantom-teacher"}
_SCAN_SEED = 403
_TEACHER_SEEDS, _DATASET_SEEDS = range(100, 114), range(200, 212)
_TO_REVIEW = 2  # cases that wait for a reviewer
_SHARE = {"scan": 2, "dataset": 12, "site a": 14, "teacher": 72}  # per cent of the time
_WATCH_EVERY_S = 0.5
# Dice on six other patients: 0.88 at the teacher's site, 0.81 at the dataset's; about a minute on two free cores
_TEACHER = {
    "features": [16, 32, 48],
    "blocks": [1, 1, 1],
    "spacing_mm": [5.0, 5.0, 5.0],
    "training.patch": [32, 40, 48],
    "training.steps": 460,
    "validation.every_steps": 230,
}

Progress = Callable[[int, int, str], None]


def make_samples(out: Path, wanted: Sequence[str] = tuple(NAMES), progress: Progress | None = None) -> dict[str, Path]:
    """Make what is wanted and not there yet; each appears under its name only when it is whole.

    Args: wanted: of `NAMES`. progress: told the per cent done, 100, and what is being made.
    Returns: the path of each. Raises: WorkflowError for an unknown name or where the training failed.
    """
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise WorkflowError(f"there is no sample '{unknown[0]}'; choose from {', '.join(NAMES)}")
    paths = {name: out / NAMES[name] for name in NAMES if name in wanted}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        out.mkdir(parents=True, exist_ok=True)
        with _folder_of_this_process(out) as folder:
            report = _Report(missing, progress or (lambda done, total, text: None))
            for name in missing:
                _MAKERS[name](folder, report)
                _appear(folder / NAMES[name], paths[name])
    return paths


class _Report:
    """Per cent of everything that is to be made, whatever its parts count."""

    def __init__(self, missing: Sequence[str], progress: Progress) -> None:
        self._progress = progress
        self._parts = [part for part in _SHARE if part in missing or (part == "site a" and "teacher" in missing)]

    def __call__(self, part: str, done: int, total: int, text: str) -> None:
        whole = sum(_SHARE[name] for name in self._parts)
        before = sum(_SHARE[name] for name in self._parts[: self._parts.index(part)])
        self._progress(round(100 * (before + _SHARE[part] * done / max(1, total)) / whole), 100, text)


def _make_scan(folder: Path, report: _Report) -> None:
    report("scan", 0, 1, "a scan")
    image = make_phantom(_SCAN_SEED, SITES["b"]).image
    write_nifti(folder / NAMES["scan"], image.with_array(image.array_DHW.round().astype("int16")))


def _make_dataset(folder: Path, report: _Report) -> None:
    """Two cases are left to a reviewer, so that all three modules have something to show."""

    def made(count: int) -> None:
        report("dataset", count, len(_DATASET_SEEDS), "scans with the stomach labelled")

    made(0)
    path = folder / NAMES["dataset"]
    dataset = write_phantom_dataset(
        path, SITES["b"], NEW_ORGANS, _DATASET_SEEDS, name=path.name, approved=False, made=made
    )
    for number, case in enumerate(dataset.cases()):
        dataset.move(case.id, "submitted", REVIEWER, "made by the phantom")
        if number < len(_DATASET_SEEDS) - _TO_REVIEW:
            dataset.move(case.id, "approved", REVIEWER, "exact by construction")


def _make_teacher(folder: Path, report: _Report) -> None:
    report("site a", 0, 1, "the teacher's scans")
    site_a = write_phantom_dataset(folder / "site-a", SITES["a"], OLD_ORGANS, _TEACHER_SEEDS, name="phantom-site-a")
    plan = folder / "teacher.json"
    report("teacher", 0, 1, "the teacher's plan")
    make_plan(PlanRequest(datasets=(site_a.path,), out=plan, method="supervised", overrides=_TEACHER))
    job = create_job(plan, folder / "job")
    with _watched(job, report):
        state = run_job(job)
    if state != "finished":
        raise WorkflowError(f"the phantom teacher's training is {state}; make the sample data again")
    package = folder / NAMES["teacher"]
    job.student_path.replace(package)
    codec.write(replace(read_manifest(package), name=package.name), package / "model.json")


_MAKERS: dict[str, Callable[[Path, _Report], None]] = {
    "scan": _make_scan,
    "dataset": _make_dataset,
    "teacher": _make_teacher,
}


@contextmanager
def _watched(job: JobFolder, report: _Report) -> Iterator[None]:
    """Report the steps of a training while the block runs it."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_WATCH_EVERY_S):
            try:
                status = JobFolder(job.path).status()
            except (ContractError, OSError):  # what hurts the job, the job itself says
                continue
            if status.total_steps:
                report("teacher", status.step, status.total_steps, "the teacher learns four organs")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _folder_of_this_process(out: Path) -> Iterator[Path]:
    """A folder for what is half made; those of processes that were killed go too."""
    for left in out.glob(".making-*"):
        pid = left.name.removeprefix(".making-")
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    folder = out / f".making-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _appear(made: Path, path: Path) -> None:
    """Rename what is whole to its name, unless another process was first."""
    if not path.exists():
        made.replace(path)
