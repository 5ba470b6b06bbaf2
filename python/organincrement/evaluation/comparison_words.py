"""A comparison in words and plain columns: the verdict, the table for a terminal, the csv."""

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence

from organincrement.contract.results import Comparison, ComparisonRow
from organincrement.evaluation.comparison import Run, Standing, average_difference
from organincrement.evaluation.number_format import decimal, duration, exists, p_value, percent, signed_percent

LEAST_CASES = 6  # with fewer, a signed-rank test cannot fall below 0.05, whatever the figures are
_SIGNIFICANT = 0.05


def ranked(standings: Sequence[Standing]) -> list[Standing]:
    """The best average first, then those without one, then bounds, which nobody competes with."""
    return sorted(standings, key=lambda s: (s.bound, -s.average.mean if exists(s.average.mean) else 2.0))


def verdict(standings: Sequence[Standing], runs: Sequence[Run]) -> str:
    """One sentence: which plan is best on average, and whether the cases suffice to say so."""
    order = [s for s in ranked(standings) if exists(s.average.mean) and not s.bound]
    if not order:
        return "Nothing can be said: no organ of the students was measured on the test cases."
    best = order[0]
    if len(order) == 1:
        return f"{best.name} reaches an average Dice of {percent(best.average.mean)} %{_losing(best)}."
    second = order[1]
    found = average_difference(*([run for run in runs if run.name == s.name] for s in (best, second)))
    told = f"{signed_percent(found.mean)} points"
    if exists(found.ci95[0]):
        told += f", 95 % interval {signed_percent(found.ci95[0])} to {signed_percent(found.ci95[1])}"
    p = p_value(found.p)
    told += f", p {p}" if p.startswith("<") else f", p = {p}"
    if found.n >= LEAST_CASES and found.p < _SIGNIFICANT and found.mean > 0:
        return (
            f"{best.name} is best: its average Dice of {percent(best.average.mean)} % is above that of {second.name}, "
            f"{percent(second.average.mean)} % ({told}){_losing(best)}."
        )
    why = f"{found.n} cases are too few" if found.n < LEAST_CASES else f"the {found.n} cases do not suffice"
    return (
        f"No clear winner: {best.name} has the highest average Dice, {percent(best.average.mean)} %, but {why} to tell "
        f"it from {second.name}, {percent(second.average.mean)} % ({told})."
    )


def terminal_table(standings: Sequence[Standing]) -> list[str]:
    """Lines for a terminal, the plans in their order."""
    width = max(len("plan"), *(len(s.name) for s in standings))
    lines = [f"{'plan':{width}s}  {'old':>6s} {'new':>6s} {'all':>6s} {'lost':>6s} {'HD95 mm':>8s}  time"]
    for s in standings:
        values = (percent(s.old.mean), percent(s.new.mean), percent(s.average.mean), signed_percent(_or_none(s)))
        told = " ".join(f"{value:>6s}" for value in values)
        lines.append(f"{s.name:{width}s}  {told} {decimal(s.hd95_mm):>8s}  {duration(s.costs.seconds)}")
    lines += [f"{s.name}: without a teacher, for reference, not ranked" for s in standings if s.bound]
    return lines + fewer_organs(standings)


def fewer_organs(standings: Sequence[Standing]) -> list[str]:
    """A line for each plan whose means are over fewer organs than another's."""
    counts = {s.name: sum(exists(dice) for dice in s.dice.values()) for s in standings}
    most = max(counts.values())
    return [
        f"{name}: its means are over {count} of the {most} organs" for name, count in counts.items() if count < most
    ]


def comparison_csv(comparison: Comparison, methods: Mapping[str, str]) -> str:
    """One line per organ, plan and seed with a header. Args: methods: of each plan by its name."""
    names = [f.name for f in dataclasses.fields(ComparisonRow)]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["plan", *names])
    for row in comparison.rows:
        values = [getattr(row, name) for name in names]
        rows.writerow([row.method, methods.get(row.method, ""), *values[1:]])
    return text.getvalue()


def _losing(standing: Standing) -> str:
    lost = standing.forgotten
    if not exists(lost):
        return ""
    return (
        f"; it lost {percent(lost)} points on the old organs"
        if lost > 0.0005
        else "; it lost nothing of the old organs"
    )


def _or_none(standing: Standing) -> float | None:
    return standing.forgotten if exists(standing.forgotten) else None
