"""The page of the comparison: tables from the figures of its runs, prose from methods_page.md.j2."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks.methods_charts import draw_charts
from benchmarks.methods_run import SEEDS
from benchmarks.methods_runs import HEADNECK_RUNS, RUNS, STEPS, why_not
from benchmarks.methods_scores import (
    Figures,
    difference,
    forgotten,
    measured,
    orders,
    per_seed,
    reversals,
    seeds_of,
    suspects,
)
from benchmarks.methods_studies import STUDIES, Study
from benchmarks.methods_why import WHY

_HEADNECK_ORGANS = ("brainstem", "spinal_cord", "parotid_right", "parotid_left", "mandible", "larynx")
# finished runs of the head-and-neck study beside which ours stand
_NEIGHBOURS = ("teacher", "bla-uag", "mib", "fine-tune", "specialist-mandible", "specialist-larynx", "joint")


def write_page(folder: Path, figures: Figures, study_figures: Path) -> None:
    """Write FOLDER.md and the charts into FOLDER. Args: study_figures: of the head-and-neck study."""
    charts = draw_charts(folder, figures)
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, keep_trailing_newline=True,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    page = templates.get_template("methods_page.md.j2").render(
        studies=[_section(figures, key, charts[key].name) for key in STUDIES if key in charts],
        steps=STEPS,
        suspects=_suspects(figures),
        headneck=_headneck(figures, study_figures),
        headneck_why=WHY["headneck"],
        costs=_costs(figures),
        skipped=[(name, reason) for name in RUNS if (reason := why_not(name))],
        missing=", ".join(f"`{name}`" for name in _missing(figures)),
    )
    folder.with_suffix(".md").write_text(page, encoding="utf-8")


def _suspects(figures: Figures) -> list[str]:
    """What has to be looked into, and whether a table with more steps shows otherwise."""
    found = {key: list(suspects(figures, study)) for key, study in STUDIES.items()}
    mended = {
        key for key, lines in found.items() if not lines and all(measured(figures, row) for row in STUDIES[key].rows)
    }
    return [
        f"{line}; not with more steps" if f"{key}-longer" in mended else line
        for key, lines in found.items()
        for line in lines
    ]


def _section(figures: Figures, key: str, chart: str) -> dict[str, Any]:
    study = STUDIES[key]
    theirs, ours = orders(figures, study)
    return {
        "title": study.title, "regime": study.regime, "chart": chart, "table": _table_of(figures, study),
        "paired": _paired(figures, study), "theirs": " > ".join(f"`{row}`" for row in theirs),
        "ours": " > ".join(f"`{row}`" for row in ours), "reversals": list(reversals(figures, study)),
        "why": WHY.get(key, ""), "ordered": len(theirs) > 1,
    }  # fmt: skip


def _table_of(figures: Figures, study: Study) -> str:
    groups = [("old", study.old), ("new", study.new)] if study.old and study.new else []
    heads = ["run", *(name for name, _ in groups), "average", "HD95, mm", "ASSD, mm"]
    heads += ["forgetting"] if study.teacher else []
    heads += ["seeds", "in the paper", *(f"paper: {column}" for column in study.columns)]
    rows = []
    for row, (name, given) in study.rows.items():
        if not measured(figures, row):
            continue
        cells = [_spread(per_seed(figures, row, study.test, organs)) for _, organs in groups]
        cells.append(_spread(per_seed(figures, row, study.test, study.organs)))
        cells += [
            _mean(per_seed(figures, row, study.test, study.organs, measure), 1) for measure in ("hd95_mm", "assd_mm")
        ]
        if study.teacher:
            lost = forgotten(figures, row, study)
            cells.append("–" if lost is None else f"{lost:+.3f}")
        cells += [str(len(seeds_of(figures, row))), name or "–"]
        cells += [_number(value) for value in (given or [None] * len(study.columns))]
        rows.append((f"`{row}`", *cells))
    return _table(heads, rows)


def _paired(figures: Figures, study: Study) -> str:
    """Each method against its ablations, and against fine-tuning."""
    pairs = list(
        dict.fromkeys((*study.against, *((run, study.fine_tuning) for run in study.ours if study.fine_tuning)))
    )
    rows = []
    for a, b in pairs:
        if measured(figures, a) and measured(figures, b):
            found = [difference(figures, a, b, study.test, organs) for organs in (study.old, study.new, study.organs)]
            rows.append((f"`{a}` − `{b}`", *("–" if d is None else str(d) for d in found)))
    return _table(("", "old organs", "new organ", "all organs"), rows) if rows else ""


def _headneck(figures: Figures, study_figures: Path) -> str:
    """One configuration of each paper, and finished runs of the head-and-neck study on the same patients."""
    rows = []
    for name in HEADNECK_RUNS:
        for found in figures.get(name, {}).values():
            rows.append((f"`{name}`", *_headneck_cells(found["accuracy"]["devtest"])))
    if not rows:
        return ""
    for name in _NEIGHBOURS:
        path = study_figures / f"{name}.json"
        if path.is_file():
            accuracy = json.loads(path.read_text(encoding="utf-8"))["accuracy"]
            rows.append((f"`{name}` (head-and-neck study)", *_headneck_cells(accuracy)))
    return _table(("run", *(organ.replace("_", " ") for organ in _HEADNECK_ORGANS), "HD95, mm", "ASSD, mm"), rows)


def _headneck_cells(accuracy: Mapping[str, Any]) -> list[str]:
    means = {
        measure: {
            organ: [row[measure] for row in cases.values() if row[measure] is not None]
            for organ, cases in accuracy.items()
        }
        for measure in ("dice", "hd95_mm", "assd_mm")
    }
    cells = [_mean(means["dice"].get(organ, []), 3) for organ in _HEADNECK_ORGANS]
    return cells + [_mean([np.mean(v) for v in means[m].values() if v], 1) for m in ("hd95_mm", "assd_mm")]


def _costs(figures: Figures) -> str:
    rows = []
    for name, found in figures.items():
        costs = [part["costs"] for part in found.values()]
        known = [cost["cpu_seconds"] for cost in costs if cost["cpu_seconds"] is not None]
        rows.append((
            f"`{name}`", RUNS[name].what, str(costs[0]["steps"]), _median(costs, "seconds_per_step", 1, 3),
            f"{np.median(known):.0f}" if known else "–", _median(costs, "ram_bytes", 2**20, 0),
            _median(costs, "parameters", 1e3, 1), _median(costs, "stored_bytes", 2**10, 0),
        ))  # fmt: skip
    heads = ("run", "what", "steps", "s per step", "CPU s in all", "RAM, MiB", "parameters, k", "stored, KiB")
    return _table(heads, rows)


def _missing(figures: Figures) -> list[str]:
    return [
        name for name, run in RUNS.items()
        if not why_not(name) and len(figures.get(name, {})) < len(SEEDS[run.world])
    ]  # fmt: skip


def _median(costs: Sequence[Mapping[str, Any]], key: str, unit: float, digits: int) -> str:
    return f"{np.median([cost[key] for cost in costs]) / unit:.{digits}f}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


def _mean(values: Sequence[Any], digits: int) -> str:
    return f"{np.mean(values):.{digits}f}" if len(values) else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
