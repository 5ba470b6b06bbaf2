"""Stock tools and our own command line, each in a process of its own, and what the tests of parity compare."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from organincrement.imaging.safe_read import read_labels

HERE = Path(__file__).resolve().parent
ENGINE = HERE.parents[1]
SHARED = ENGINE.parents[1] / "shared"
HEADNECK = SHARED / "data" / "headneck"
TEACHER = SHARED / "teachers" / "nnunet_v2_headneck"
PREDICTED = SHARED / "teachers" / "stock_predictions"
# of the models trained here; fewer make a quick try of the machinery, whose models find nothing
TEACHER_STEPS = int(os.environ.get("PARITY_TEACHER_STEPS", "160"))
STUDENT_STEPS = int(os.environ.get("PARITY_STUDENT_STEPS", "120"))
SCANS = int(os.environ.get("PARITY_SCANS", "5"))
DATASET_ID, DATASET_NAME = 501, "Dataset501_HeadNeckA"
LEAST_DICE = 0.999
needs_data = pytest.mark.skipif(not HEADNECK.is_dir(), reason=f"the head-and-neck scans are not at {HEADNECK}")
needs_teacher = pytest.mark.skipif(not TEACHER.is_dir(), reason=f"the stock teacher is not at {TEACHER}")


def environment(work: Path) -> dict[str, str]:
    """Of every process started here: where nnU-Net keeps its things, and stand-ins for what need only be imported."""
    folders = {f"nnUNet_{what}": str(work / what) for what in ("raw", "preprocessed", "results")}
    path = os.pathsep.join([str(HERE / "stand_ins"), str(ENGINE)])
    return {**os.environ, **folders, "PYTHONPATH": path, "nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1"}


def run(work: Path, *command: object, alone_in: Path | None = None) -> str:
    """A command to its end. Args: alone_in: where it runs without this engine on its path; None: in `work`, with it.

    Returns: what it said; fails with the end of it where it fails.
    """
    surroundings = environment(work)
    if alone_in:
        surroundings["PYTHONPATH"] = str(HERE / "stand_ins")
    done = subprocess.run(
        [str(part) for part in command], env=surroundings, cwd=alone_in or work, capture_output=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def organincrement(work: Path, *arguments: object) -> str:
    """Our command line."""
    return run(work, sys.executable, "-m", "organincrement", *arguments)


def devtest(count: int = SCANS) -> list[Path]:
    """Scans that no model has seen."""
    return sorted((HEADNECK / "devtest" / "images").glob("*.nii.gz"))[:count]


def predict_stock(work: Path, model: Path, images: Iterable[Path], out: Path, fold: str = "all") -> dict[str, Path]:
    """What nnUNetv2_predict_from_modelfolder writes, with its defaults. Returns: of each case its label map."""
    given = out.with_name(out.name + "-in")
    given.mkdir(parents=True)
    names = []
    for image in images:
        names.append(image.name.removesuffix(".nii.gz"))
        (given / f"{names[-1]}_0000.nii.gz").symlink_to(image)
    tool = Path(sys.executable).with_name("nnUNetv2_predict_from_modelfolder")
    run(work, tool, "-i", given, "-o", out, "-m", model, "-f", fold, "-device", "cpu", "-npp", "1", "-nps", "1")
    return {name: out / f"{name}.nii.gz" for name in names}


def predict_ours(work: Path, package: Path, images: Iterable[Path], out: Path) -> dict[str, Path]:
    """What `segment` writes, with its defaults. Returns: of each case its label map."""
    images = list(images)
    organincrement(
        work, "segment", "--model", package, "--out", out, "--uncertainty", "none", "--device", "cpu", *images
    )
    names = [image.name.removesuffix(".nii.gz") for image in images]
    return {name: out / name / "segmentation.seg.nrrd" for name in names}


def predict_bundle(work: Path, package: Path, images: Iterable[Path], bundle: Path) -> dict[str, Path]:
    """What `monai.bundle run` writes with a package's bundle. Returns: of each case its label map."""
    organincrement(work, "model", "export", package, "--format", "monai", "--out", bundle)
    given, out = bundle.with_name(bundle.name + "-in"), bundle.with_name(bundle.name + "-out")
    given.mkdir()
    for image in images:
        (given / image.name).symlink_to(image)
    run(
        work, sys.executable, "-m", "monai.bundle", "run", "--config_file", "configs/inference.json", "--bundle_root",
        ".", "--dataset_dir", given, "--output_dir", out, alone_in=bundle,
    )  # fmt: skip
    names = [image.name.removesuffix(".nii.gz") for image in images]
    return {name: next(out.rglob(f"{name}*.nii.gz")) for name in names}


def dice_of_each(one: Path, other: Path) -> dict[int, float]:
    """Dice of every label that either has."""
    first, second = (read_labels(path, allowed=None).array_DHW for path in (one, other))
    assert first.shape == second.shape
    found = {}
    for label in sorted({*np.unique(first), *np.unique(second)} - {0}):
        a, b = first == label, second == label
        found[int(label)] = float(2 * (a & b).sum() / (a.sum() + b.sum()))
    return found


def assert_alike(ones: dict[str, Path], others: dict[str, Path], labels: Iterable[int]) -> None:
    """Dice of at least 0.999 of every organ of every case; every organ is found in some case."""
    found = {name: dice_of_each(path, others[name]) for name, path in ones.items()}
    print("Dice:", {name: {label: round(d, 5) for label, d in dice.items()} for name, dice in found.items()})
    assert set(labels) <= {label for dice in found.values() for label in dice}, found
    assert min(d for dice in found.values() for d in dice.values()) >= LEAST_DICE, found
