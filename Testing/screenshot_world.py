"""What the pictures show: phantoms, a student that is half trained, and real data where there are some.

Run by screenshots.py in processes of their own, since the engine is not to be imported beside the viewer:

    python screenshot_world.py phantom DIR [--steps N --pause-at M]     samples, a test set, a student paused at step M
    python screenshot_world.py review DIR                               the finished student looks at its dataset
    python screenshot_world.py headneck DIR SHARED [MODEL]              a dataset of four patients, and what MODEL says
    python screenshot_world.py abdomen DIR SHARED                       a dataset of one scan with twelve organs
"""

import argparse
import csv
import shutil
import sys
import time
from pathlib import Path

from organincrement.cli.main import main as engine
from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.contract.package import manifest_sha256
from organincrement.imaging.phantom.scan import SITES
from organincrement.workflows.jobs import pause, start_detached
from organincrement.workflows.phantom_dataset import write_phantom_dataset
from organincrement.workflows.sample_data import NEW_ORGANS, OLD_ORGANS, make_samples
from organincrement.workflows.train import create_job

PATIENTS = ("pt_13", "pt_17", "pt_22", "pt_31")
HEADNECK_ORGANS = ("brainstem=1", "spinal_cord=2", "parotid_right=3", "parotid_left=4", "larynx=6", "mandible=7")
ABDOMEN_ORGANS = (
    "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas", "aorta",
    "inferior_vena_cava", "duodenum", "colon", "vertebrae_L2",
)  # fmt: skip


def phantom(folder: Path, steps: int, pause_at: int) -> None:
    """Everything of the phantom that is not there yet."""
    samples = make_samples(folder / "samples", progress=lambda done, total, text: print(f"{done} % {text}", flush=True))
    test = folder / "datasets" / "phantom-test"
    if not test.exists():
        write_phantom_dataset(test, SITES["b"], OLD_ORGANS + NEW_ORGANS, range(300, 304), name=test.name)
    path, plan = folder / "jobs" / "phantom-stomach", folder / "plans" / "stomach.json"
    if path.exists():
        return
    run("plan", "--teacher", samples["teacher"], "--dataset", samples["dataset"], "--out", plan,
        "--set", f"training.steps={steps}", f"validation.every_steps={max(1, steps // 10)}")  # fmt: skip
    job = create_job(plan, path)
    start_detached(job)
    _wait(job, lambda status: status.step >= pause_at)
    pause(job)
    _wait(job, lambda status: status.state == "paused")


def review(folder: Path) -> None:
    """What the student says of the cases to review, where OrganReview looks for it."""
    student, dataset = folder / "jobs/phantom-stomach/student", DatasetFolder.open(folder / "samples/phantom-stomach")
    _results(student, dataset)


def headneck(folder: Path, shared: Path, model: Path | None) -> None:
    """Four patients with six organs, submitted for review, and what a model says of them."""
    target = folder / "datasets" / "headneck"
    if not target.exists():
        chosen = folder / "headneck-files"
        for kind in ("images", "labels"):
            (chosen / kind).mkdir(parents=True, exist_ok=True)
            for patient in PATIENTS:
                shutil.copy2(shared / "headneck/devtest" / kind / f"{patient}.nii.gz", chosen / kind)
        run("dataset", "import", "--images", chosen / "images", "--labels", chosen / "labels", "--organs",
            *HEADNECK_ORGANS, "--ignore-other-labels", "--status", "submitted", "--out", target)  # fmt: skip
        shutil.rmtree(chosen)
    if model is not None:
        _results(model, DatasetFolder.open(target))


def abdomen(folder: Path, shared: Path) -> None:
    """One scan with twelve of its organs, as a draft."""
    target = folder / "datasets" / "abdomen"
    if target.exists():
        return
    with (shared / "abdomen/labels.csv").open(encoding="utf-8") as file:
        numbers = {row["name"]: row["id"] for row in csv.DictReader(file)}
    chosen = folder / "abdomen-files"
    for kind, name in (("images", "ct.nii.gz"), ("labels", "labels.nii.gz")):
        (chosen / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy2(shared / "abdomen" / name, chosen / kind / "case_001.nii.gz")
    organs = [f"{name}={numbers[name]}" for name in ABDOMEN_ORGANS]
    run("dataset", "import", "--images", chosen / "images", "--labels", chosen / "labels", "--organs", *organs,
        "--ignore-other-labels", "--status", "draft", "--out", target)  # fmt: skip
    shutil.rmtree(chosen)


def run(*arguments: object) -> None:
    """A command of the engine, in this process."""
    if code := engine([str(argument) for argument in arguments]):
        sys.exit(code)


def _results(model: Path, dataset: DatasetFolder) -> None:
    """Of the cases that wait for a reviewer."""
    out = dataset.path / "results" / manifest_sha256(model)[:8]
    waiting = [case for case in dataset.cases() if case.status == "submitted"]
    images = [dataset.image_path(case) for case in waiting if not (out / case.id / "report.json").exists()]
    if images:
        run("segment", "--model", model, "--out", out, "--uncertainty", "perturbation", *images)


def _wait(job: JobFolder, reached, seconds: float = 7200) -> None:
    end = time.monotonic() + seconds
    while not reached(status := job.status()):
        if status.state in ("failed", "cancelled", "interrupted") or time.monotonic() > end:
            sys.exit(f"{job.path.name}: {status.state} {status.message}")
        time.sleep(1.0)


def main() -> None:
    """Make one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("phantom", "review", "headneck", "abdomen"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("shared", type=Path, nargs="?")
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--pause-at", type=int, default=240)
    options = parser.parse_args()
    if options.part == "phantom":
        phantom(options.folder, options.steps, options.pause_at)
    elif options.part == "review":
        review(options.folder)
    elif options.part == "headneck":
        headneck(options.folder, options.shared, options.model)
    else:
        abdomen(options.folder, options.shared)


if __name__ == "__main__":
    main()
