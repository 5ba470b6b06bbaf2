"""Phantoms, teachers and vaults that every method of the registry can be planned with, in three sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from organincrement.methods.registry import METHODS
from organincrement.networks.sizing import LADDER
from organincrement.workflows.make_plan import PlanRequest, make_plan

DATASETS: Mapping[str, tuple[tuple[str, ...], Sequence[int]]] = {
    "old": (("liver", "spleen"), range(1, 7)),
    "new": (("stomach",), range(11, 17)),
    "liver": (("liver",), range(21, 25)),
    "spleen": (("spleen",), range(31, 35)),
}
_FIELD_MM = (211.0, 264.0, 317.0)
TEACHER, TEACHERS_OF_ONE = "old", ("liver", "spleen")


@dataclass(frozen=True, kw_only=True)
class World:
    """One size of everything. steps: of a job; fewer where a method's step takes several passes of its teacher."""

    name: str
    shape: tuple[int, int, int]
    settings: Mapping[str, Any]
    steps: int
    workers: int = 0
    slow: Mapping[str, float] = field(default_factory=dict)

    def overrides(self, method: str, workers: int = 0) -> dict[str, Any]:
        """Settings of a plan; those of the network only where there is no teacher to take them from."""
        steps = max(4, round(self.steps * self.slow.get(method, 1.0)))
        sizes = self.settings if METHODS[method].needs.teachers == "none" else {}
        return {
            **sizes, "training.steps": steps, "validation.every_steps": max(1, steps // 3),
            "training.workers": workers, "training.precision": "fp32",
        }  # fmt: skip


def _settings(rung: int, shape: tuple[int, int, int], batch: int) -> dict[str, Any]:
    size = LADDER[rung]
    spacing = [round(mm / n, 3) for mm, n in zip(_FIELD_MM, shape, strict=True)]
    return {
        "features": list(size.features), "blocks": list(size.blocks), "training.patch": list(size.patch),
        "training.batch": batch, "spacing_mm": spacing,
    }  # fmt: skip


_TINY, _SMALL, _SECOND = (24, 28, 32), (48, 60, 72), (64, 80, 96)
# a step of guidance is seven passes of the teacher more
_SLOW = {"bla-uag": 0.4, "ms-kd": 0.7, "co-training": 0.5, "continual-segment": 1.5}
WORLDS = (
    World(
        name="tiny", shape=_TINY, steps=120, slow=_SLOW,
        settings={
            "features": [4, 8], "blocks": [1, 1], "training.patch": [16, 16, 16],
            "spacing_mm": [round(mm / n, 3) for mm, n in zip(_FIELD_MM, _TINY, strict=True)],
        },
    ),
    World(name="small", shape=_SMALL, steps=20, workers=1, slow=_SLOW, settings=_settings(0, _SMALL, 2)),
    World(name="second rung", shape=_SECOND, steps=6, workers=1, slow=_SLOW, settings=_settings(1, _SECOND, 1)),
)  # fmt: skip


def make_world(name: str, folder: str) -> None:
    """Datasets, barely trained teachers and vaults."""
    # here alone: a process that plans is to be as large as the command's
    from organincrement.imaging.phantom.scan import SITES
    from organincrement.workflows.phantom_dataset import write_phantom_dataset
    from organincrement.workflows.select_exemplars import SelectRequest, select_exemplars
    from organincrement.workflows.train import create_job, run_job

    world, place = world_named(name), Path(folder)
    for dataset, (organs, patients) in DATASETS.items():
        write_phantom_dataset(
            place / dataset, SITES["b" if dataset == "new" else "a"], organs, list(patients), shape_DHW=world.shape
        )
    for dataset in (TEACHER, *TEACHERS_OF_ONE):
        plan = place / f"{dataset}.json"
        quick = {**world.overrides("supervised"), "training.steps": 2}
        make_plan(PlanRequest(datasets=[place / dataset], out=plan, method="supervised", overrides=quick, device="cpu"))
        run_job(create_job(plan, place / f"{dataset}-job"))
    for by in ("aeiseg", "coriseg"):
        select_exemplars(
            SelectRequest(
                model=_teacher(place, TEACHER), dataset=place / TEACHER, by=by, out=place / f"vault-{by}",
                most_certain=3, keep=2, passes=2, device="cpu",
            )
        )  # fmt: skip


def request(world: World, method: str, place: Path, out: Path, workers: int, **more: Any) -> PlanRequest:
    """What a user would ask for to train by a method. Args: workers: that make batches ahead."""
    needs = METHODS[method].needs
    if needs.teachers == "one":
        datasets, teachers = ["new"], [TEACHER]
    elif needs.teachers == "many":
        datasets, teachers = list(TEACHERS_OF_ONE), list(TEACHERS_OF_ONE)
    else:
        datasets, teachers = list(TEACHERS_OF_ONE) if needs.partial else [TEACHER], []
    return PlanRequest(
        datasets=[place / name for name in datasets], teachers=[_teacher(place, name) for name in teachers],
        exemplars=place / f"vault-{method}" if needs.exemplars else None, out=out, method=method, device="cpu",
        overrides=world.overrides(method, workers), **more,
    )  # fmt: skip


def world_named(name: str) -> World:
    """Of the three."""
    return next(world for world in WORLDS if world.name == name)


def _teacher(place: Path, dataset: str) -> Path:
    return place / f"{dataset}-job" / "student"
