"""What the part on growth runs, each size in a process of its own: segmenting, cases, choices, processes."""

import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed import segmenting_world
from benchmarks.speed.data_world import phantom_dataset, plan_for, prepare
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.models.package import Provenance, save_package
from organincrement.replay.facility_location import choose_facilities, covered_sample
from organincrement.replay.similarity import CosineSimilarity
from organincrement.workflows.check_dataset import check
from organincrement.workflows.same_scan import likeness, scan_print

_MIB = 2**20


def nothing() -> None:
    """The imports alone, which every size's memory holds too."""


def segment_scan(planes: int, classes: int) -> float:
    """A scan of so many planes of 96 x 96 voxels at twice the network's resolution. Returns: CPU seconds."""
    image = segmenting_world.body((planes, 96, 96), (1.5, 1.5, 1.5))
    network, manifest = segmenting_world.model(classes, spacing_mm=3.0, patch=32)
    settings = PredictionSettings(uncertainty="entropy", budget_bytes=64 * _MIB)
    torch.set_num_threads(1)
    started = time.process_time()
    with torch.inference_mode():
        predict_volume(network, manifest, image.with_array(np.float32(image.array_DHW)), segmenting_world.CPU, settings)
    return time.process_time() - started


def prepare_cases(cases: int) -> float:
    """A job's scans onto the network's grid. Returns: CPU seconds, without making the dataset."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        plan = plan_for(phantom_dataset(root, cases), root / "plan.json")
        started = time.process_time()
        prepare(str(plan), str(root / "job"))
        return time.process_time() - started


def check_dataset(cases: int) -> float:
    """`dataset check`. Returns: CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = phantom_dataset(Path(folder), cases)
        started = time.process_time()
        check(dataset)
        return time.process_time() - started


def compare_prints(scans: int) -> float:
    """Every pair of so many scans of a clinic's size, as `dataset check` compares them. Returns: CPU seconds."""
    rng = np.random.default_rng(0)
    prints = []
    for _ in range(scans):
        noise_DHW = rng.normal(size=(36, 64, 64)).astype(np.float32)
        prints.append(scan_print(Volume(noise_DHW, (8.0, 8.0, 8.0), (0.0, 0.0, 0.0), np.eye(3))))
    started = time.process_time()
    for one, other in combinations(prints, 2):
        likeness(one, other)
    return time.process_time() - started


def choose_exemplars(slabs: int) -> float:
    """Greedy choice of a hundred of so many slabs, 64 features each. Returns: CPU seconds."""
    vectors = np.random.default_rng(0).normal(size=(slabs, 64)).astype(np.float32)
    started = time.process_time()
    choose_facilities(CosineSimilarity(vectors, vectors[covered_sample(slabs)]), 100)
    return time.process_time() - started


def write_world(folder: Path, scans: int) -> list[str]:
    """A package and scans for the command. Returns: its arguments."""
    network, manifest = segmenting_world.model(8, spacing_mm=3.0, patch=32)
    made = Provenance(method="", dataset_sha256="", made="2026-11-21")
    save_package(folder / "package", manifest, network.state_dict(), made)
    names = []
    for number in range(scans):
        (folder / f"scan_{number}").mkdir()
        written = segmenting_world.write_scan(folder / f"scan_{number}", (160, 160, 160), (1.5, 1.5, 1.5))
        names.append(str(written.rename(folder / f"scan_{number}.nrrd")))
    return ["segment", "--model", str(folder / "package"), "--uncertainty", "entropy", *names]


def segment_many(arguments: list[str], out: str, processes: int) -> float:
    """The command on all scans. Returns: seconds of the wall."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "organincrement", *arguments, "--out", out, "--processes", str(processes)],
        cwd=Path(__file__).resolve().parents[2], check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - started
