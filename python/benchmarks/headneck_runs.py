"""Which models the head-and-neck study trains, from what, with what changed; and how one is made and cached."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.run_key import digest, recipe_facts, setting_facts
from organincrement.contract.events import Step, read_events
from organincrement.contract.job import JobFolder
from organincrement.contract.package import manifest_sha256
from organincrement.methods.bla_uag import BlaUag
from organincrement.methods.registry import DEFAULT_METHOD, method_named
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.train import create_job, run_job

SEED = 0
STUDENT_STEPS = BlaUag.presets["practical"].recipe.steps
# the paper preset's 25,000 steps would take a CPU days: its terms and its optimiser, as many steps as all others
_AS_LONG = {"training.steps": STUDENT_STEPS}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training. parent: the run whose student is the teacher; dataset: a key of headneck_data.DATASETS.

    also: further datasets; old: the teacher's own, for a method that may see it.
    """

    what: str
    dataset: str
    method: str = DEFAULT_METHOD
    parent: str | None = None
    also: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    preset: str = "practical"
    overrides: Mapping[str, Any] = field(default_factory=dict)


def _mandible(what: str, method: str = DEFAULT_METHOD, preset: str = "practical", **overrides: Any) -> Run:
    if preset == "paper":
        overrides |= _AS_LONG
    return Run(what=what, dataset="site_b", method=method, parent="teacher", preset=preset, overrides=overrides)


def _larynx(parent: str, method: str, what: str) -> Run:
    return Run(what=what, dataset="site_c", method=method, parent=parent)


def _bound(what: str, dataset: str, steps: int = STUDENT_STEPS) -> Run:
    return Run(what=what, dataset=dataset, method="supervised", overrides={"training.steps": steps})


def _joint(steps: int) -> Run:
    what = f"sites A, B, C together, {steps} steps: self-training from the teacher with its own data"
    return Run(
        what=what, dataset="site_b", also=("site_c",), old=("site_a",), method="self-training", parent="teacher",
        overrides={"training.steps": steps},
    )  # fmt: skip


# a fresh network gets the steps of the teacher and of the students that it stands against, together
_FIRST_STEPS = method_named("supervised").presets["practical"].recipe.steps

RUNS: dict[str, Run] = {
    "teacher": Run(what="four organs of site A", dataset="site_a", method="supervised"),
    "bla-uag": _mandible("the default"),
    "mib": _mandible("MiB", "mib"),
    "self-training": _mandible("teacher's labels fill the background", "self-training"),
    "no-uncertainty": _mandible("BLA alone: w = 1", uncertainty="none"),
    "bla-uag-again": _mandible("the default again, with the averages mended"),
    "larynx-bla-uag": _larynx("bla-uag", "bla-uag", "second increment"),
    "specialist-mandible": _bound("Mandible of site B alone, fresh network", "site_b"),
    "fine-tune": _mandible("new labels alone", "fine-tune"),
    "lwf": _mandible("LwF", "lwf"),
    "specialist-larynx": _bound("Larynx of site C alone, fresh network", "site_c"),
    "larynx-mib": _larynx("mib", "mib", "second increment"),
    "larynx-self-training": _larynx("self-training", "self-training", "second increment"),
    "paper": _mandible("paper preset, as many steps", preset="paper"),
    "larynx-no-uncertainty": Run(
        what="BLA alone in both increments", dataset="site_c", parent="no-uncertainty",
        overrides={"uncertainty": "none"},
    ),
    "u-paper": _mandible("w = u, eq. 8", uncertainty="paper"),
    "u-relative": _mandible("w = u / mean u", uncertainty="relative"),
    "u-inverse": _mandible("w = 1 - u / log(1+K)", uncertainty="inverse"),
    "u-exp": _mandible("w = exp(-u)", uncertainty="exp"),
    "full-labels": _bound(
        "all five organs of site B labelled, fresh network", "site_b_full", _FIRST_STEPS + STUDENT_STEPS
    ),
    "kl-reverse": _mandible("eq. 6 as printed, smoothing 0.3", direction="reverse", smoothing=0.3),
    "q-1": _mandible("one perturbed copy", perturbations=1),
    "q-3": _mandible("three", perturbations=3),
    "q-6": _mandible("six, as in the paper", perturbations=6),
    "distillation-10": _mandible("lambda 2 = 10", distillation_weight=10.0),
    "larynx-distillation-10": Run(
        what="lambda 2 = 10 in both increments", dataset="site_c", parent="distillation-10",
        overrides={"distillation_weight": 10.0},
    ),
    "joint-800": _joint(2 * STUDENT_STEPS),
    "joint": _joint(_FIRST_STEPS + 2 * STUDENT_STEPS),
}  # fmt: skip


def key_of(name: str) -> str:
    """What makes a finished run the one that is asked for: all its settings, and those of its ancestors."""
    run = RUNS[name]
    method = method_named(run.method)
    preset = method.presets[run.preset]
    facts = {
        "dataset": run.dataset, "method": run.method, "recipe": recipe_facts(preset.recipe), "seed": SEED,
        "settings": setting_facts(asdict(method.Config()) | dict(preset.settings) | dict(run.overrides)),
        "parent": key_of(run.parent) if run.parent else None,
    }  # fmt: skip
    if run.also or run.old:
        facts |= {"also": run.also, "old": run.old}
    return digest(facts)


def student_of(name: str, work: Path) -> Path:
    """The package of a finished run."""
    return work / "runs" / name / "job" / "student"


def train(name: str, work: Path, datasets: Mapping[str, Path]) -> dict[str, Any]:
    """Train what is not cached; a run that was interrupted goes on. Returns: time, memory, size."""
    run, folder = RUNS[name], work / "runs" / name
    if not (folder / "key").is_file() or (folder / "key").read_text(encoding="utf-8") != key_of(name):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        teachers = (student_of(run.parent, work),) if run.parent else ()
        request = PlanRequest(
            datasets=[datasets[name] for name in (run.dataset, *run.also)], out=folder / "plan.json",
            teachers=teachers, old_datasets=[datasets[name] for name in run.old], method=run.method, preset=run.preset,
            overrides={**run.overrides, "seed": SEED},
        )  # fmt: skip
        make_plan(request)
        (folder / "key").write_text(key_of(name), encoding="utf-8")
    if not student_of(name, work).is_dir():
        job = (
            JobFolder.open(folder / "job")
            if (folder / "job").is_dir()
            else create_job(folder / "plan.json", folder / "job")
        )
        run_job(job)
    return costs(JobFolder.open(folder / "job"))


def costs(job: JobFolder) -> dict[str, Any]:
    """Median seconds a step, peak memory of the job, and the size of what it made."""
    steps = [event for event in read_events(job.events_path) if isinstance(event, Step)]
    seconds = sorted(event.seconds_per_step for event in steps)[len(steps) // 2]
    manifest = json.loads((job.student_path / "model.json").read_text(encoding="utf-8"))
    return {
        "steps": steps[-1].step,
        "seconds_per_step": round(seconds, 3),
        "ram_bytes": max(event.ram_bytes for event in steps),
        "parameters": manifest["network"]["parameters"],
        "temperature": manifest["inference"]["temperature"],
        "package_sha256": manifest_sha256(job.student_path),
        "teacher_sha256": manifest["lineage"][-1]["sha256"] if manifest["lineage"] else None,
    }
