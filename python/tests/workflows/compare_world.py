"""Plans of the tiny world for comparisons, and comparisons of them in this process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from tiny_world import Order, TinyWorld, write_plan

from organincrement.contract import codec
from organincrement.contract.plan import Plan
from organincrement.workflows.compare import CompareRequest, compare
from organincrement.workflows.compare_results import Compared


def plan_file(world: TinyWorld, path: Path, method: str = "fine-tune", **overrides: Any) -> Path:
    """A plan of four steps that adds site B's organ to the teacher."""
    settings = {"training.steps": 4, "validation.every_steps": 2, **overrides}
    return write_plan(
        Order(dataset=world.site_b.path, out=path, teacher=world.teacher, method=method, overrides=settings)
    )


def compared(plans: list[Path], test: Path, out: Path, **settings: Any) -> Compared:
    """Without processes of their own, which take seconds to start."""
    return compare(CompareRequest(plans=plans, dataset=test, out=out, **{"own_process": False, **settings}))


def changed(plan: Path, to: Path, **fields: Any) -> Path:
    """The plan with other fields, beside it."""
    codec.write(replace(codec.read(Plan, plan), **fields), to)
    return to
