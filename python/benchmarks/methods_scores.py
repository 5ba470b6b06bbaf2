"""Arithmetic of the comparison of methods: means and spread over seeds, intervals, orders, and what must not lose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods_studies import COMPOSITES, Study

# run -> seed -> {"accuracy": test -> organ -> patient -> measure, "costs": …}
Figures = Mapping[str, Mapping[str, Any]]
_RESAMPLES = 4000


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Mean of a - b in Dice, and the 95 % interval over seeds and patients, both drawn anew."""

    mean: float
    low: float
    high: float

    @property
    def lost(self) -> bool:
        """Whether a is worse than b by more than the interval."""
        return self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:+.3f} ({self.low:+.3f} to {self.high:+.3f})"


def measured(figures: Figures, row: str) -> bool:
    """Whether a run, or every run of a composite, has been measured with some seed."""
    return all(figures.get(run) for run in _runs_of(row))


def seeds_of(figures: Figures, row: str) -> list[str]:
    """The seeds with which all of a row has been measured."""
    return sorted(set.intersection(*(set(figures.get(run, {})) for run in _runs_of(row))))


def per_seed(figures: Figures, row: str, test: str, organs: Sequence[str], measure: str = "dice") -> list[float]:
    """For each seed the mean over organs of the mean over patients; an organ that nobody found has no distance."""
    found = []
    for seed in seeds_of(figures, row):
        means = [_mean(list(_values(figures, row, seed, test, organ, measure).values())) for organ in organs]
        known = [value for value in means if value is not None]
        if known:
            found.append(float(np.mean(known)))
    return found


def forgotten(figures: Figures, row: str, study: Study) -> float | None:
    """Dice of the old organs lost since the teacher, mean over the seeds."""
    if study.teacher is None or row == study.teacher or not study.old or not measured(figures, study.teacher):
        return None
    before, now = (per_seed(figures, name, study.test, study.old) for name in (study.teacher, row))
    return float(np.mean(before) - np.mean(now)) if before and now else None


def difference(figures: Figures, a: str, b: str, test: str, organs: Sequence[str]) -> Difference | None:
    """a - b, patient by patient and seed by seed; None where they have no seed in common, or no organ."""
    seeds = [seed for seed in seeds_of(figures, a) if seed in seeds_of(figures, b)]
    if not seeds or not organs:
        return None
    patients = sorted({p for organ in organs for p in _values(figures, a, seeds[0], test, organ, "dice")})
    table_SP = np.array(
        [[_patient(figures, a, s, test, organs, p) - _patient(figures, b, s, test, organs, p) for p in patients]
         for s in seeds]
    )  # fmt: skip
    low, high = _interval(table_SP)
    return Difference(mean=float(np.nanmean(table_SP)), low=low, high=high)


def _interval(table_SP: NDArray[np.float64]) -> tuple[float, float]:
    rng, (seeds, patients) = np.random.default_rng(0), table_SP.shape
    rows_RS = rng.integers(seeds, size=(_RESAMPLES, seeds))
    columns_RP = rng.integers(patients, size=(_RESAMPLES, patients))
    drawn = np.nanmean(table_SP[rows_RS[:, :, None], columns_RP[:, None, :]], axis=(1, 2))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def suspects(figures: Figures, study: Study) -> Iterator[str]:
    """Lines that say what has to be looked into: a method below fine-tuning, or below its own ablation."""
    for run in study.ours:
        base = study.fine_tuning
        if base and measured(figures, run) and measured(figures, base):
            found = difference(figures, run, base, study.test, study.old)
            if found and found.mean < 0:
                yield f"BUG? `{run}` loses to fine-tuning on the old organs: {found}"
    for run, ablation in study.against:
        if measured(figures, run) and measured(figures, ablation):
            found = difference(figures, run, ablation, study.test, study.organs)
            if found and found.lost:
                yield f"BUG? `{run}` loses to `{ablation}` by more than the interval: {found}"


def orders(figures: Figures, study: Study) -> tuple[list[str], list[str]]:
    """The rows that the paper has a figure of and that were measured here, best first: by the paper, and by us."""
    ranked = {row: _paper_figure(given, study) for row, (_, given) in study.rows.items() if measured(figures, row)}
    known = {row: value for row, value in ranked.items() if value is not None}
    theirs = sorted(known, key=lambda row: known[row], reverse=True)
    ours = sorted(known, key=lambda row: -float(np.mean(per_seed(figures, row, study.test, study.organs))))
    return theirs, ours


def reversals(figures: Figures, study: Study) -> Iterator[str]:
    """Pairs that stand the other way round here, by more than the interval."""
    theirs, _ = orders(figures, study)
    for place, better in enumerate(theirs):
        for worse in theirs[place + 1 :]:
            found = difference(figures, better, worse, study.test, study.organs)
            if found and found.lost:
                yield f"`{better}` is ahead of `{worse}` in the paper, and behind it here: {found}"


def _paper_figure(given: Sequence[float | None], study: Study) -> float | None:
    """What a paper's row is ranked by: one column, or the mean of all."""
    if not given:
        return None
    known = [value for value in (given if study.ordered_by < 0 else [given[study.ordered_by]]) if value is not None]
    return float(np.mean(known)) if known else None


def _runs_of(row: str) -> Sequence[str]:
    return sorted(set(COMPOSITES[row].values())) if row in COMPOSITES else [row]


def _values(figures: Figures, row: str, seed: str, test: str, organ: str, measure: str) -> dict[str, float | None]:
    """Patient to value; empty where the run does not predict the organ."""
    run = COMPOSITES[row].get(organ) if row in COMPOSITES else row
    cases = figures[run][seed]["accuracy"].get(test, {}).get(organ, {}) if run else {}
    return {patient: values[measure] for patient, values in cases.items()}


def _patient(figures: Figures, row: str, seed: str, test: str, organs: Sequence[str], patient: str) -> float:
    known = [_values(figures, row, seed, test, organ, "dice").get(patient) for organ in organs]
    mean = _mean(known)
    return float("nan") if mean is None else mean


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
