"""Methods side by side: rows per organ and seed, tests paired by case, means, and who is best."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import Comparison, ComparisonRow, ComparisonTest, Evaluation, SummaryRow
from organincrement.evaluation.number_format import exists
from organincrement.evaluation.statistics import PairedDifference, paired_difference

NAN = float("nan")
CaseDice = Mapping[str, Mapping[str, float]]  # organ -> case -> Dice


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a student took; None where nothing is known."""

    seconds: float | None = None
    ram_bytes: int | None = None
    gpu_bytes: int | None = None
    parameters: int | None = None
    package_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """One student on the test cases. name: of its plan. old: its organs that its teacher knew.

    taught: whether it had a teacher. before: the teacher's mean Dice by organ. after: the plan whose student was its
    teacher, by name.
    """

    name: str
    method: str
    preset: str
    seed: int
    evaluation: Evaluation
    old: frozenset[str]
    taught: bool = True
    before: Mapping[str, float] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean over seeds, and their standard deviation, nan for one seed."""

    mean: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One plan over all its seeds: means over organs; distances in mm; forgetting in Dice.

    bound: it learned everything at once where others had a teacher, and is no rival of theirs.
    """

    name: str
    method: str
    preset: str
    seeds: tuple[int, ...]
    bound: bool
    dice: Mapping[str, float]
    forgetting: Mapping[str, float]
    old: Spread
    new: Spread
    average: Spread
    hd95_mm: float
    assd_mm: float
    forgotten: float
    costs: Costs


def with_common_ids(evaluation: Evaluation, own: LabelSpace, common: LabelSpace) -> dict[str, str]:
    """The id of each organ of an evaluation among those of all models, found by its codes."""
    by_id = dict(zip(own.ids, own.hosted_in(common.organs), strict=True))
    return {row.organ: common.like(by_id[row.organ]).id for row in evaluation.summary}


def compared(runs: Sequence[Run], teachers: Sequence[ComparisonRow] = ()) -> Comparison:
    """comparison.json. Args: teachers: rows to put first."""
    return Comparison(rows=(*teachers, *(row for run in runs for row in _rows(run))), tests=tuple(_tests(runs)))


def standings(runs: Sequence[Run]) -> list[Standing]:
    """Every plan, in the order of the runs."""
    others_taught = any(run.taught for run in runs)
    return [_standing(group, others_taught and not group[0].taught) for group in _by_name(runs).values()]


def case_dice(runs: Iterable[Run]) -> CaseDice:
    """Dice of every organ and case, the mean over the seeds that have one."""
    values: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for case in run.evaluation.cases:
            for row in case.organs:
                if row.dice is not None:
                    values.setdefault(row.organ, {}).setdefault(case.id, []).append(row.dice)
    return {organ: {case: float(np.mean(v)) for case, v in cases.items()} for organ, cases in values.items()}


def average_difference(a: Iterable[Run], b: Iterable[Run]) -> PairedDifference:
    """Two plans' mean Dice over the organs that both were measured on, paired by case."""
    first, second = case_dice(a), case_dice(b)
    differences: dict[str, list[float]] = {}
    for organ in first.keys() & second.keys():
        for case in first[organ].keys() & second[organ].keys():
            differences.setdefault(case, []).append(first[organ][case] - second[organ][case])
    means = [float(np.mean(values)) for _, values in sorted(differences.items())]
    return paired_difference(means, [0.0] * len(means))


def mean(values: Iterable[float | None]) -> float:
    """Mean of what exists, nan of nothing."""
    found = [value for value in values if exists(value)]
    return float(np.mean(found)) if found else NAN


def _by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.name, []).append(run)
    return groups


def _rows(run: Run) -> list[ComparisonRow]:
    return [
        ComparisonRow(
            method=run.name, preset=run.preset, seed=run.seed, organ=row.organ,
            group="old" if row.organ in run.old else "new", dice=row.dice, hd95_mm=row.hd95_mm, assd_mm=row.assd_mm,
            forgetting=_lost(run, row), seconds=run.costs.seconds, ram_bytes=run.costs.ram_bytes,
            gpu_bytes=run.costs.gpu_bytes, parameters=run.costs.parameters, package_bytes=run.costs.package_bytes,
        )
        for row in run.evaluation.summary
    ]  # fmt: skip


def _lost(run: Run, row: SummaryRow) -> float | None:
    before = run.before.get(row.organ)
    return before - row.dice if exists(before) and row.dice is not None and row.organ in run.old else None


def _tests(runs: Sequence[Run]) -> Iterable[ComparisonTest]:
    dice = {name: case_dice(group) for name, group in _by_name(runs).items()}
    organs = list(dict.fromkeys(row.organ for run in runs for row in run.evaluation.summary))
    for (a, first), (b, second) in itertools.combinations(dice.items(), 2):
        for organ in organs:
            if organ in first and organ in second:
                yield _test(a, b, organ, first[organ], second[organ])


def _test(a: str, b: str, organ: str, first: Mapping[str, float], second: Mapping[str, float]) -> ComparisonTest:
    cases = sorted(first.keys() & second.keys())
    found = paired_difference([first[case] for case in cases], [second[case] for case in cases])
    return ComparisonTest(
        a=a, b=b, organ=organ, difference=_known(found.mean),
        ci95=None if math.isnan(found.ci95[0]) else found.ci95, p=_known(found.p),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _standing(runs: Sequence[Run], bound: bool) -> Standing:
    first = runs[0]
    rows = [{row.organ: row for row in run.evaluation.summary} for run in runs]
    organs = list(dict.fromkeys(organ for one in rows for organ in one))
    dice = {o: mean(one[o].dice for one in rows if o in one) for o in organs}
    lost = {
        o: mean(_lost(run, one[o]) for run, one in zip(runs, rows, strict=True) if o in one)
        for o in organs
        if o in first.old
    }
    return Standing(
        name=first.name, method=first.method, preset=first.preset, seeds=tuple(run.seed for run in runs), bound=bound,
        dice=dice,
        forgetting={o: v for o, v in lost.items() if exists(v)},
        old=_spread([mean(r.dice for o, r in one.items() if o in first.old) for one in rows]),
        new=_spread([mean(r.dice for o, r in one.items() if o not in first.old) for one in rows]),
        average=_spread([mean(r.dice for r in one.values()) for one in rows]),
        hd95_mm=mean(r.hd95_mm for one in rows for r in one.values()),
        assd_mm=mean(r.assd_mm for one in rows for r in one.values()),
        forgotten=mean(lost.values()), costs=_costs([run.costs for run in runs]),
    )  # fmt: skip


def _spread(values: Sequence[float]) -> Spread:
    found = [value for value in values if exists(value)]
    return Spread(mean=mean(found), deviation=float(np.std(found, ddof=1)) if len(found) > 1 else NAN)


def _costs(costs: Sequence[Costs]) -> Costs:
    """Mean time, and the most memory, over seeds."""

    def most(name: str) -> int | None:
        return max((value for one in costs if (value := getattr(one, name)) is not None), default=None)

    return Costs(
        seconds=_known(mean(one.seconds for one in costs)), ram_bytes=most("ram_bytes"), gpu_bytes=most("gpu_bytes"),
        parameters=most("parameters"), package_bytes=most("package_bytes"),
    )  # fmt: skip
