"""Charts of the comparison of methods."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.methods_scores import Figures, measured, per_seed
from benchmarks.methods_studies import STUDIES, Study

_OLD, _NEW = "#0072b2", "#d55e00"
_STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}


def draw_charts(folder: Path, figures: Figures) -> Mapping[str, Path]:
    """A chart of Dice for each study that has rows. Returns: study to its picture."""
    drawn = {}
    with plt.rc_context(_STYLE):
        for key, study in STUDIES.items():
            rows = [row for row in study.rows if measured(figures, row)]
            if rows:
                drawn[key] = folder / f"{key}.png"
                _dice(drawn[key], figures, study, rows)
    return drawn


def _dice(path: Path, figures: Figures, study: Study, rows: list[str]) -> None:
    """A dot for each seed, and a bar through their mean."""
    figure, axes = plt.subplots(figsize=(7.5, 0.8 + 0.34 * len(rows)))
    groups = [("old organs", _OLD, study.old), ("new organ", _NEW, study.new)]
    if not (study.old and study.new):
        groups = [("all organs", _OLD, study.organs)]
    shown = [group for group in groups if group[2]]
    for place, row in enumerate(rows):
        for shift, (_, color, organs) in enumerate(shown):
            values = per_seed(figures, row, study.test, organs)
            height = place + 0.24 * (shift - (len(shown) - 1) / 2)
            axes.plot(values, [height] * len(values), "o", color=color, markersize=4, alpha=0.6)
            if values:
                axes.plot([np.mean(values)] * 2, [height - 0.11, height + 0.11], color=color, linewidth=2)
    handles = [plt.Line2D([], [], marker="o", linestyle="", color=color, label=label) for label, color, _ in shown]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", color="#dddddd")
    axes.set_xlabel("Dice: each seed, and their mean")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
