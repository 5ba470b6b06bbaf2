"""What each departure of the practical preset from the paper does: one change at a time, on held-back cases of site B.

    python -m benchmarks.presets --teacher PKG --dataset DATASET [--steps 120] [--only NAME …]

Every variant starts from the same teacher and sees the same patches. The figures come from the validation cases of the
job (new organ: Dice; old organs: agreement with the teacher), never from test patients.
Writes docs/benchmarks/presets.md.
"""

import argparse
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

from organincrement.contract.events import Finished, Step, read_events
from organincrement.methods.bla_uag import BlaUag
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.train import create_job, run_job

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "work" / "presets"
PAGE = ROOT / "docs" / "benchmarks" / "presets.md"
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "practical": ("the default", {}),
    "no uncertainty": ("w = 1", {"uncertainty": "none"}),
    "u as printed": ("w = u, eq. 8", {"uncertainty": "paper"}),
    "u relative": ("w = u / mean u", {"uncertainty": "relative"}),
    "inverse u": ("w = 1 - u / log(1+K)", {"uncertainty": "inverse"}),
    "exp u": ("w = exp(-u)", {"uncertainty": "exp"}),
    "MiB start": ("new organ starts at the background's probability", {"new_organ_prior": 0.0}),
    "weight 1": ("lambda 3 = 1", {"new_organ_weight": 1.0}),
    "no new Dice": ("eq. 6 alone for the new organ", {"new_dice_weight": 0.0}),
    "no old Dice": ("eq. 4 alone for the old organs", {"old_dice_weight": 0.0}),
    "reverse, 0.3": ("eq. 6 as printed, with both Dice terms", {"direction": "reverse", "smoothing": 0.3}),
    "no smoothing": ("hard new labels, forward", {"smoothing": 0.0}),
    "smoothing 0.3": ("forward, 0.7 / 0.3", {"smoothing": 0.3}),
    "Q = 6": ("six perturbed copies", {"perturbations": 6}),
    "paper terms": ("all terms to the letter, the practical schedule", dict(BlaUag.presets["paper"].settings)),
}


def main() -> None:
    """Run what is not cached, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    options = parser.parse_args()
    for name in options.only:
        _run(name, options)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(_page(options.steps), encoding="utf-8")


def _run(name: str, options: argparse.Namespace) -> None:
    folder = WORK / f"{options.steps}" / name.replace(" ", "_").replace("/", "-")
    result = folder / "result.json"
    if result.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)  # a variant that was interrupted starts anew
    folder.mkdir(parents=True)
    overrides = {**VARIANTS[name][1], "training.steps": options.steps, "validation.every_steps": options.steps}
    plan = folder / "plan.json"
    request = PlanRequest(dataset=options.dataset, out=plan, teacher=options.teacher, overrides=overrides)
    make_plan(request)
    job = create_job(plan, folder / "job")
    run_job(job)
    events = read_events(job.events_path)
    finished = next(event for event in events if isinstance(event, Finished))
    steps = [event for event in events if isinstance(event, Step)]
    figures = {**finished.metrics, "seconds_per_step": statistics.median(event.seconds_per_step for event in steps)}
    result.write_text(json.dumps(figures), encoding="utf-8")


def _page(steps: int) -> str:
    lines = [
        "# What each departure of the practical preset does",
        "",
        f"One change at a time from the practical preset of `bla-uag`; {steps} steps each, the same teacher",
        "(four organs of `headneck/site_a`), the same patches, Mandible of `site_b`. New organ: Dice on the held-back",
        "cases of site B. Old organs: mean agreement with the teacher (Dice) on the same cases; the worst organ in",
        "brackets. No test patient was used. Seconds are of a machine that also did other work.",
        "Made by `python -m benchmarks.presets` (see its help).",
        "",
        "| variant | what differs | Mandible | old organs (worst) | s per step |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (what, _) in VARIANTS.items():
        result = WORK / f"{steps}" / name.replace(" ", "_").replace("/", "-") / "result.json"
        if result.exists():
            lines.append(_row(name, what, json.loads(result.read_text(encoding="utf-8"))))
    return "\n".join(lines) + "\n"


def _row(name: str, what: str, figures: dict[str, Any]) -> str:
    new = statistics.mean(figures["dice"].values())
    old = list(figures["agreement"].values())
    seconds = figures["seconds_per_step"]
    return f"| {name} | {what} | {new:.3f} | {statistics.mean(old):.3f} ({min(old):.3f}) | {seconds:.2f} |"


if __name__ == "__main__":
    main()
