"""Charts of the head-and-neck study."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from benchmarks.headneck_scores import OLD, Figures, mean_of, names
from organincrement.evaluation.statistics import bootstrap_ci

_SHOWN = (
    "teacher", "bla-uag", "no-uncertainty", "mib", "lwf", "self-training", "fine-tune", "specialist-mandible",
    "full-labels", "joint-800", "joint", "larynx-bla-uag", "larynx-mib", "larynx-self-training", "specialist-larynx",
)  # fmt: skip
_GROUPS = {"old organs": ("#0072b2", OLD), "mandible": ("#d55e00", ("mandible",)), "larynx": ("#009e73", ("larynx",))}
_FEWEST_VOXELS = 50
_LINES = ("#000000", "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#cc79a7")


def draw_charts(folder: Path, figures: Mapping[str, Figures]) -> None:
    """dice.png, reliability.png and set-aside.png, of what has been measured."""
    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "0"}):
        _dice(folder / "dice.png", figures)
        trusted = {name: found["trust"] for name, found in figures.items() if "trust" in found}
        if trusted:
            _reliability(folder / "reliability.png", trusted)
            _set_aside(folder / "set-aside.png", trusted)


def _dice(path: Path, figures: Mapping[str, Figures]) -> None:
    shown = names(figures, _SHOWN)
    figure, axes = plt.subplots(figsize=(7.5, 0.6 + 0.32 * len(shown)))
    for row, name in enumerate(shown):
        for shift, (label, (color, organs)) in enumerate(_GROUPS.items()):
            values = _patient_means(figures[name], organs)
            if values:
                low, high = bootstrap_ci(values)
                height = row + 0.22 * (shift - 1)
                axes.plot([low, high], [height] * 2, color=color, linewidth=1.5)
                axes.plot(mean_of(values), height, "o", color=color, markersize=5, label=None if row else label)
    handles = [plt.Line2D([], [], marker="o", color=color, label=label) for label, (color, _) in _GROUPS.items()]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color="#dddddd")
    axes.set_xlabel("Dice: mean over 12 patients, and its 95 % interval")
    _save(figure, path)


def _patient_means(found: Figures, organs: tuple[str, ...]) -> list[float]:
    known = [found["accuracy"][organ] for organ in organs if organ in found["accuracy"]]
    patients = sorted({patient for cases in known for patient in cases})
    return [mean_of([cases[p]["dice"] for cases in known if p in cases]) for p in patients]  # type: ignore[misc]


def _reliability(path: Path, trusted: Mapping[str, Any]) -> None:
    figure, both = plt.subplots(1, 2, figsize=(7.5, 3.6), sharey=True)
    for axes, where, title in zip(both, ("body", "organs"), ("inside the body", "organ voxels"), strict=True):
        axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
        for color, (name, trust) in zip(_LINES, trusted.items(), strict=False):
            bins = trust["calibration"][where]
            points = [
                (c, a) for c, a, n in zip(bins["confidence"], bins["accuracy"], bins["voxels"], strict=True) if n >= 50
            ]
            axes.plot(*zip(*points, strict=True), "-o", color=color, markersize=3, linewidth=1.2, label=name)
        axes.set(title=title, xlabel="confidence", xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.grid(color="#eeeeee")
    both[0].set_ylabel("fraction right")
    both[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    _save(figure, path)


def _set_aside(path: Path, trusted: Mapping[str, Any]) -> None:
    figure, both = plt.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
    for axes, kind in zip(both, ("dice_corrected", "dice_set_aside"), strict=True):
        for color, (name, trust) in zip(_LINES, trusted.items(), strict=False):
            dice = trust["uncertainty"]["perturbation"][kind]
            percent = [100 * float(share) for share in dice]
            axes.plot(percent, list(dice.values()), "-o", color=color, markersize=4, label=name)
        axes.set(title=kind.removeprefix("dice_").replace("_", " "), xlabel="most uncertain part of the body, %")
        axes.grid(color="#eeeeee")
    both[0].set_ylabel("mean Dice")
    both[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
