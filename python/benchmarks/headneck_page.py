"""The page of the head-and-neck study: tables from the figures of its runs, prose from headneck_page.md.j2."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.headneck_charts import draw_charts
from benchmarks.headneck_runs import RUNS
from benchmarks.headneck_scores import OLD, Figures, differences, goal_lines, mean_of, names, row_scores

MAIN = ("bla-uag", "no-uncertainty", "mib", "lwf", "self-training", "fine-tune")
BOUNDS = ("specialist-mandible", "full-labels", "joint-800", "joint")
SECOND = ("larynx-bla-uag", "larynx-mib", "larynx-self-training", "specialist-larynx")
ABLATIONS = (
    "bla-uag", "bla-uag-again", "no-uncertainty", "u-paper", "u-relative", "u-inverse", "u-exp", "q-1", "q-3", "q-6",
    "kl-reverse", "distillation-10", "paper", "larynx-bla-uag", "larynx-no-uncertainty", "larynx-distillation-10",
)  # fmt: skip
_ORGANS = (*OLD, "mandible", "larynx")
_HEADS = ("run", "brainstem", "spinal cord", "parotid r", "parotid l", "mandible", "larynx")


def write_page(folder: Path, figures: Mapping[str, Figures]) -> None:
    """Write FOLDER.md and the charts into FOLDER; runs without figures are left out and named."""
    if "teacher" not in figures:
        return
    draw_charts(folder, figures)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True
    )
    page = templates.get_template("headneck_page.md.j2").render(
        goals=_table(("goal", "measured", ""), goal_lines(figures)),
        overlap=_overlap(figures),
        distances=_distances(figures),
        paired=_paired(figures),
        forgetting=_forgetting(figures),
        trust=_trust(figures) if _trusted(figures) else "",
        ablations=_ablations(figures),
        costs=_costs(figures),
        missing=", ".join(f"`{name}`" for name in RUNS if name not in figures),
        strangers=", ".join(f"`{name}`" for name in figures if _of_another_teacher(name, figures)),
    )
    folder.with_suffix(".md").write_text(page, encoding="utf-8")


def _overlap(figures: Mapping[str, Figures]) -> str:
    rows = []
    for name in names(figures, ("teacher", *MAIN, *BOUNDS, *SECOND)):
        scores = row_scores(figures[name])
        means = mean_of([scores.get(organ) for organ in OLD]), mean_of(list(scores.values()))
        rows.append((f"`{name}`", *(_cell(scores.get(organ)) for organ in _ORGANS), *map(_cell, means)))
    return _table((*_HEADS, "mean old", "mean all"), rows)


def _distances(figures: Mapping[str, Figures]) -> str:
    rows = []
    for name in names(figures, ("teacher", *MAIN, *BOUNDS, *SECOND)):
        hd95, assd = (row_scores(figures[name], measure) for measure in ("hd95_mm", "assd_mm"))
        cells = ["–" if hd95.get(o) is None else f"{hd95[o]:.1f} / {assd[o]:.1f}" for o in _ORGANS]
        rows.append((f"`{name}`", *cells))
    return _table(_HEADS, rows)


def _paired(figures: Mapping[str, Figures]) -> str:
    rows = [
        (f"`{a}` − `{b}`", *(f"{d.mean:+.3f} ({d.ci95[0]:+.3f} to {d.ci95[1]:+.3f})" for d in found))
        for a, b, found in differences(figures)
    ]
    return _table(("", "old organs", "new organs", "all organs"), rows)


def _forgetting(figures: Mapping[str, Figures]) -> str:
    before, rows = row_scores(figures["teacher"]), []
    for name in names(figures, (*MAIN, *SECOND[:3])):
        now, parent = row_scores(figures[name]), str(RUNS[name].parent)
        lost = [(before[organ] or 0) - (now[organ] or 0) for organ in OLD]
        first = row_scores(figures[parent]).get("mandible") if parent in figures else None
        mandible = "–" if first is None else f"{first - (now['mandible'] or 0):+.3f}"
        rows.append((f"`{name}`", *(f"{value:+.3f}" for value in (*lost, sum(lost) / len(lost))), mandible))
    return _table((*_HEADS[:5], "mean", "mandible, first to second"), rows)


def _trust(figures: Mapping[str, Figures]) -> str:
    rows = []
    for name in _trusted(figures):
        trust = figures[name]["trust"]
        errors = [f"{trust['calibration'][where]['ece']:.4f}" for where in ("body", "organs")]
        for kind, worth in trust["uncertainty"].items():
            auroc = f"{worth['auroc']:.3f} ({worth['auroc_least']:.3f})"
            shown = [*worth["dice_set_aside"].values(), *list(worth["dice_corrected"].values())[1:]]
            rows.append((f"`{name}`", kind, auroc, *map(_cell, shown), *errors))
    header = ("run", "uncertainty", "error AUROC", "Dice", "1 % aside", "5 %", "10 %", "1 % corrected", "5 %", "10 %",
              "ECE body", "ECE organs")  # fmt: skip
    return _table(header, rows)


def _trusted(figures: Mapping[str, Figures]) -> list[str]:
    return [name for name in figures if "trust" in figures[name]]


def _ablations(figures: Mapping[str, Figures]) -> str:
    rows = []
    for name in names(figures, ABLATIONS):
        scores = row_scores(figures[name])
        means = mean_of([scores[o] for o in OLD]), scores.get("mandible"), mean_of(list(scores.values()))
        rows.append((f"`{name}`", RUNS[name].what, *map(_cell, means)))
    return _table(("run", "what", "old organs", "mandible", "all"), rows)


def _costs(figures: Mapping[str, Figures]) -> str:
    rows = []
    for name, found in figures.items():
        costs = found["costs"]
        minutes = costs["steps"] * costs["seconds_per_step"] / 60
        cells = (
            f"{costs['seconds_per_step']:.2f}", f"{minutes:.0f}", f"{costs['ram_bytes'] / 2**20:.0f}",
            f"{costs['parameters'] / 1e6:.2f}", f"{costs['temperature']:.2f}",
        )  # fmt: skip
        rows.append((f"`{name}`", str(costs["steps"]), *cells))
    return _table(("run", "steps", "s per step", "min", "RAM, MiB", "parameters, M", "temperature"), rows)


def _of_another_teacher(name: str, figures: Mapping[str, Figures]) -> bool:
    """A teacher that was trained again on another kind of processor is rounded differently."""
    parent = figures.get(str(RUNS[name].parent))
    return parent is not None and figures[name]["costs"]["teacher_sha256"] != parent["costs"]["package_sha256"]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
