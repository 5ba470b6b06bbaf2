"""How one run of the comparison is trained and measured: in a process of its own, so that its memory is its own."""

import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.headneck_measure import accuracy
from benchmarks.methods_data import headneck_dataset, phantom_dataset
from benchmarks.methods_exemplars import make_vault
from benchmarks.methods_run import VAULTS, Run
from benchmarks.methods_runs import RUNS, key_of, parents_of
from organincrement.contract.events import Step, read_events
from organincrement.contract.files import remove_partials
from organincrement.contract.job import JobFolder
from organincrement.contract.package import manifest_sha256, read_manifest
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.train import create_job, run_job


@dataclass(frozen=True, kw_only=True)
class Places:
    """work: ignored, for models. headneck: the data, headneck_work: of the head-and-neck study; None: left out."""

    work: Path
    headneck: Path | None = None
    headneck_work: Path | None = None

    def dataset(self, run: Run, name: str) -> Path:
        """The folder of a data set; made where it is missing."""
        if run.world != "headneck":
            return phantom_dataset(name, self.work)
        assert self.headneck and self.headneck_work
        return headneck_dataset(name, self.headneck, self.headneck_work, self.work)

    def folder(self, name: str, seed: int) -> Path:
        """What is trained and cached of a run."""
        return self.work / "runs" / name / str(seed)

    def package(self, name: str, seed: int) -> Path:
        """The package of a finished run; the study's own teacher where there is one."""
        if name == "hn-teacher" and self.headneck_work:
            return self.headneck_work / "runs" / "teacher" / "job" / "student"
        return self.folder(name, seed) / "job" / "student"


def run_and_measure(name: str, seed: int, places: Places) -> dict[str, Any]:
    """Train what is not cached, and measure. Returns: key, costs, accuracy by test set."""
    for parent in parents_of(name):
        if not _is_finished(parent, seed, places):
            _apart(_train, parent, seed, places)
    if not _is_finished(name, seed, places):
        _apart(_train, name, seed, places)
    run, package = RUNS[name], places.package(name, seed)
    scratch = places.work / "scratch" / f"{name}-{seed}"
    found = {test: accuracy(package, places.dataset(run, test), scratch / test) for test in run.tests}
    shutil.rmtree(scratch, ignore_errors=True)
    return {"key": key_of(name, seed), "costs": costs(name, seed, places), "accuracy": found}


def costs(name: str, seed: int, places: Places) -> dict[str, Any]:
    """Of a finished run: time, memory of the process, parameters, and what its package takes on disk."""
    package = places.package(name, seed)
    job = JobFolder.open(package.parent)
    steps = [event for event in read_events(job.events_path) if isinstance(event, Step)]
    seconds = package.parent.with_name("cpu_seconds")
    return {
        "steps": steps[-1].step,
        "seconds_per_step": round(statistics.median(event.seconds_per_step for event in steps), 4),
        "cpu_seconds": float(seconds.read_text(encoding="utf-8")) if seconds.is_file() else None,
        "ram_bytes": max(event.ram_bytes for event in steps),
        "parameters": read_manifest(package).network.parameters,
        "stored_bytes": _stored_bytes(package),
        "package_sha256": manifest_sha256(package),
    }


def _stored_bytes(package: Path) -> int:
    files = [package] if package.is_file() else package.rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file())


def _is_finished(name: str, seed: int, places: Places) -> bool:
    package, key = places.package(name, seed), places.folder(name, seed) / "key"
    if name == "hn-teacher" and places.headneck_work:
        return package.exists()
    return package.exists() and key.is_file() and key.read_text(encoding="utf-8") == key_of(name, seed)


def _apart(work: Callable[..., None], name: str, seed: int, places: Places) -> None:
    """In a process of its own, forked from one that holds the imports alone."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["organincrement.workflows.train", "organincrement.workflows.make_plan"])
    process = context.Process(target=work, args=(name, seed, places))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{name}, seed {seed}: the training ended with code {process.exitcode}; see above")


def _train(name: str, seed: int, places: Places) -> None:
    """Plan and run; one that was interrupted goes on."""
    run, folder, started_s = RUNS[name], places.folder(name, seed), time.process_time()
    if not (folder / "key").is_file() or (folder / "key").read_text(encoding="utf-8") != key_of(name, seed):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        request = PlanRequest(
            datasets=[places.dataset(run, dataset) for dataset in run.datasets], out=folder / "plan.json",
            teachers=[places.package(teacher, seed) for teacher in run.teachers],
            old_datasets=[places.dataset(run, dataset) for dataset in run.old_datasets],
            exemplars=_vault_of(run, seed, places, folder), method=run.method,
            overrides={**run.overrides, "seed": seed}, device="cpu",
        )  # fmt: skip
        make_plan(request)
        (folder / "key").write_text(key_of(name, seed), encoding="utf-8")
    remove_partials(folder)
    has_job = (folder / "job").is_dir()
    job = JobFolder.open(folder / "job") if has_job else create_job(folder / "plan.json", folder / "job")
    run_job(job)
    spent = folder / "cpu_seconds"  # with those of before, should it have been stopped and gone on
    before_s = float(spent.read_text(encoding="utf-8")) if spent.is_file() else 0.0
    spent.write_text(f"{before_s + time.process_time() - started_s:.1f}", encoding="utf-8")


def _vault_of(run: Run, seed: int, places: Places, folder: Path) -> Path | None:
    if run.exemplars is None:
        return None
    vault = VAULTS[run.exemplars]
    return make_vault(vault, places.package(vault.teacher, seed), places.dataset(run, vault.dataset), folder / "vault")
