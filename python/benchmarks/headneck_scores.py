"""Arithmetic of the head-and-neck study: means, paired differences, and the goals against what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from organincrement.evaluation.statistics import PairedDifference, paired_difference

Figures = dict[str, Any]
OLD = ("brainstem", "spinal_cord", "parotid_right", "parotid_left")
NEW = ("mandible", "larynx")
# the default against each rival, after either increment
PAIRS = (
    ("bla-uag", "no-uncertainty"), ("bla-uag", "mib"), ("bla-uag", "lwf"), ("bla-uag", "self-training"),
    ("bla-uag", "fine-tune"), ("larynx-bla-uag", "larynx-mib"), ("larynx-bla-uag", "larynx-self-training"),
)  # fmt: skip


def names(figures: Mapping[str, Figures], wanted: Sequence[str]) -> list[str]:
    """Those of `wanted` that have been measured."""
    return [name for name in wanted if name in figures]


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of the values there are; None where there is none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def row_scores(found: Figures, measure: str = "dice") -> dict[str, float | None]:
    """Organ to the mean over patients; an organ that the run does not predict is left out."""
    return {organ: mean_of([row[measure] for row in cases.values()]) for organ, cases in found["accuracy"].items()}


def differences(figures: Mapping[str, Figures]) -> list[tuple[str, str, list[PairedDifference]]]:
    """For each pair that was measured: old, new and all organs, patient by patient."""
    found = []
    for a, b in PAIRS:
        if a in figures and b in figures:
            groups = (OLD, NEW, (*OLD, *NEW))
            found.append((a, b, [paired_difference(*_per_patient(figures[a], figures[b], group)) for group in groups]))
    return found


def _per_patient(a: Figures, b: Figures, organs: Sequence[str]) -> tuple[list[float], list[float]]:
    """Each patient's mean Dice over the organs that both runs have a figure of."""
    first: dict[str, list[float]] = {}
    second: dict[str, list[float]] = {}
    for organ in organs:
        mine, other = (run["accuracy"].get(organ, {}) for run in (a, b))
        for patient in sorted(mine.keys() & other.keys()):
            first.setdefault(patient, []).append(mine[patient]["dice"])
            second.setdefault(patient, []).append(other[patient]["dice"])
    return tuple([float(np.mean(values)) for values in run.values()] for run in (first, second))  # type: ignore[return-value]


def goal_lines(figures: Mapping[str, Figures]) -> list[tuple[str, str, str]]:
    """Each goal that can be judged: what it is, what was measured, reached or not."""
    lines = []
    for goal, (runs, margin) in GOALS.items():
        parts = ("accuracy", "trust") if goal.startswith("error AUROC") else ("accuracy",)
        if all(run in figures and part in figures[run] for run in runs for part in parts):
            value, text = margin(figures)
            lines.append((goal, text, "reached" if value >= 0 else "**not reached**"))
    return lines


def _old(figures: Mapping[str, Figures], run: str) -> float:
    return float(np.mean([row_scores(figures[run])[organ] for organ in OLD]))


def _teacher(figures: Mapping[str, Figures]) -> tuple[float, str]:
    value = _old(figures, "teacher")
    return value - 0.76, f"{value:.3f}"


def _kept(run: str) -> Any:
    def margin(figures: Mapping[str, Figures]) -> tuple[float, str]:
        before, now = _old(figures, "teacher"), _old(figures, run)
        worst = min(row_scores(figures[run])[o] - row_scores(figures["teacher"])[o] for o in OLD)  # type: ignore[operator]
        return now - before + 0.01, f"{now:.3f} against {before:.3f}; worst organ {worst:+.3f}"

    return margin


def _learned(run: str, organ: str, specialists: Sequence[str]) -> Any:
    def margin(figures: Mapping[str, Figures]) -> tuple[float, str]:
        best = max(specialists, key=lambda name: row_scores(figures[name])[organ])
        now, bound = row_scores(figures[run])[organ], row_scores(figures[best])[organ]
        return now - bound + 0.02, f"{now:.3f} against {bound:.3f} (`{best}`)"

    return margin


def _ahead(run: str, rival: str) -> Any:
    def margin(figures: Mapping[str, Figures]) -> tuple[float, str]:
        now, other = (mean_of(list(row_scores(figures[name]).values())) for name in (run, rival))
        return now - other, f"{now:.3f} against {other:.3f}"

    return margin


def _auroc(run: str) -> Any:
    def margin(figures: Mapping[str, Figures]) -> tuple[float, str]:
        value = figures[run]["trust"]["uncertainty"]["perturbation"]["auroc"]
        return value - 0.85, f"{value:.3f}"

    return margin


_FIRST, _SECOND = "bla-uag", "larynx-bla-uag"
# the better of a fresh network and of the teacher trained on nothing but the new organ
_MANDIBLE, _LARYNX = ("specialist-mandible", "fine-tune"), ("specialist-larynx",)
# goal -> the runs it needs, and the margin by which it is reached (below zero: missed) with its figures
GOALS: dict[str, tuple[tuple[str, ...], Any]] = {
    "teacher: mean Dice at least 0.76": (("teacher",), _teacher),
    "mean of the old organs within 1 point of the teacher, first increment": ((_FIRST, "teacher"), _kept(_FIRST)),
    "mean of the old organs within 1 point of the teacher, second increment": ((_SECOND, "teacher"), _kept(_SECOND)),
    "mandible within 2 points of the specialist, first increment": (
        (_FIRST, *_MANDIBLE), _learned(_FIRST, "mandible", _MANDIBLE)),
    "mandible within 2 points of the specialist, second increment": (
        (_SECOND, *_MANDIBLE), _learned(_SECOND, "mandible", _MANDIBLE)),
    "larynx within 2 points of the specialist": (
        (_SECOND, *_LARYNX), _learned(_SECOND, "larynx", _LARYNX)),
    "mean ahead of MiB, first increment": ((_FIRST, "mib"), _ahead(_FIRST, "mib")),
    "mean ahead of self-training, first increment": ((_FIRST, "self-training"), _ahead(_FIRST, "self-training")),
    "mean ahead of MiB, second increment": ((_SECOND, "larynx-mib"), _ahead(_SECOND, "larynx-mib")),
    "mean ahead of self-training, second increment": (
        (_SECOND, "larynx-self-training"), _ahead(_SECOND, "larynx-self-training")),
    "mean ahead of fine-tuning": ((_FIRST, "fine-tune"), _ahead(_FIRST, "fine-tune")),
    "error AUROC at least 0.85, teacher": (("teacher",), _auroc("teacher")),
    "error AUROC at least 0.85, first increment": ((_FIRST,), _auroc(_FIRST)),
    "error AUROC at least 0.85, second increment": ((_SECOND,), _auroc(_SECOND)),
}  # fmt: skip
