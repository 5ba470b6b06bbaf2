"""The page of a comparison: who is best, what each method kept, gained and cost, and how sure that is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.results import ComparisonTest, Evaluation
from organincrement.evaluation.comparison import NAN, Run, Spread, Standing, case_dice, mean, standings
from organincrement.evaluation.comparison_charts import case_chart, trade_off
from organincrement.evaluation.comparison_words import fewer_organs, ranked
from organincrement.evaluation.forgetting import forgetting
from organincrement.evaluation.number_format import MISSING, decimal, duration, exists, percent, signed_percent
from organincrement.evaluation.organ_charts import dot_chart
from organincrement.evaluation.page import render_page
from organincrement.evaluation.story import Fact, MethodRow, Role, Story
from organincrement.evaluation.tables import Cell, forgetting_lines, method_lines

_MOST_TESTS = 20  # beyond it, pairs without the best plan are folded away
_MIB, _MILLION = 2**20, 1e6


@dataclass(frozen=True, kw_only=True)
class ComparedTeacher:
    """A teacher on the test cases."""

    name: str
    evaluation: Evaluation
    parameters: int | None
    package_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class PlanLine:
    """One row of the table of plans."""

    name: str
    role: str
    note: str
    figures: Sequence[Cell]
    costs: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ChainTable:
    """A chain of increments: Dice of each organ after each step, and what was lost since its best one."""

    steps: Sequence[str]
    rows: Sequence[tuple[Organ, Sequence[str], Cell]]
    lost: str


def render_comparison(
    runs: Sequence[Run],
    tests: Sequence[ComparisonTest],
    organs: LabelSpace,
    *,
    teachers: Sequence[ComparedTeacher],
    verdict: str,
    dataset: str,
    notes: Sequence[str] = (),
) -> str:
    """One HTML page. Args: runs, tests, teachers: with organs by their ids in `organs`."""
    order = standings(runs)
    best = ranked(order)[0].name
    old, new = _groups(runs, organs)
    teacher = _teacher_row(teachers, old)
    methods = [*([teacher] if teacher else []), *(_method_row(s, best) for s in order)]
    story = Story(title="", intro=(), old=old, new=new, methods=methods)
    first = [test for test in tests if len(tests) <= _MOST_TESTS or best in (test.a, test.b)]
    return render_page(
        "comparison.html",
        kind="Comparison report",
        title="Methods side by side" if len(order) > 1 else f"{best} on {dataset}",
        intro=(verdict,),
        facts=_facts(runs, order, dataset),
        plans=[_plan_line(s, order, best) for s in order],
        story=story,
        methods=method_lines(story),
        **_charts(runs, order, story, teacher.old_mean if teacher else NAN),
        forgetting=forgetting_lines(story),
        names={organ.id: organ for organ in organs.organs},
        tests=first,
        other_tests=[test for test in tests if test not in first],
        chains=_chains(runs, teachers, organs),
        notes=[*notes, *_notes(runs)],
        links=(),
        made="",
    )


def _charts(runs: Sequence[Run], order: Sequence[Standing], story: Story, teacher_old: float) -> dict[str, object]:
    """Kept against gained, the cases of old and of new organs, and every organ."""
    dice = {s.name: case_dice(run for run in runs if run.name == s.name) for s in order}
    cases = [
        case_chart(f"{title} organs: mean Dice (%) over {len(group)}, a dot a case", dice, group)
        for title, group in (("Old", story.old), ("New", story.new))
    ]
    dots = dot_chart(story.organs, story.methods)
    looks = {name: look for look, name in dots.legend}
    return {
        "trade": trade_off(order, looks, teacher_old),
        "charts": [chart for chart in cases if chart],
        "dots": dots if story.organs else None,
    }


def _groups(runs: Sequence[Run], organs: LabelSpace) -> tuple[list[Organ], list[Organ]]:
    """Organs that were measured: old is what is old to every plan that has it."""
    measured = {row.organ for run in runs for row in run.evaluation.summary if row.dice is not None}
    fresh = {row.organ for run in runs for row in run.evaluation.summary if row.organ not in run.old}
    shown = [organ for organ in organs.organs if organ.id in measured]
    return [o for o in shown if o.id not in fresh], [o for o in shown if o.id in fresh]


def _method_row(standing: Standing, best: str) -> MethodRow:
    return MethodRow(
        name=standing.name, role=_role(standing, best), dice=standing.dice,
        old_mean=standing.old.mean, new_mean=standing.new.mean, average=standing.average.mean,
        seconds=standing.costs.seconds, note=_note(standing), forgetting=standing.forgetting,
    )  # fmt: skip


def _teacher_row(teachers: Sequence[ComparedTeacher], old: Sequence[Organ]) -> MethodRow | None:
    """What the teachers knew; of several that know an organ, the best."""
    dice: dict[str, float] = {}
    for row in (row for teacher in teachers for row in teacher.evaluation.summary):
        if row.dice is not None:
            dice[row.organ] = max(row.dice, dice.get(row.organ, 0.0))
    if not dice:
        return None
    names = " and ".join(teacher.name for teacher in teachers) if len(teachers) < 3 else f"{len(teachers)} packages"
    return MethodRow(
        name="Teacher" if len(teachers) == 1 else "Teachers", role="teacher", dice=dice,
        old_mean=mean(dice.get(organ.id) for organ in old), new_mean=NAN, average=NAN, note=f"before: {names}",
    )  # fmt: skip


def _role(standing: Standing, best: str) -> Role:
    return "bound" if standing.bound else "student" if standing.name == best else "baseline"


def _note(standing: Standing) -> str:
    seeds = "" if len(standing.seeds) == 1 else f", mean of {len(standing.seeds)} seeds"
    bound = ", without a teacher: for reference" if standing.bound else ""
    return f"{standing.method}, {standing.preset}{seeds}{bound}"


def _plan_line(standing: Standing, order: Sequence[Standing], best: str) -> PlanLine:
    costs = standing.costs
    lost = standing.forgotten if exists(standing.forgotten) else None
    return PlanLine(
        name=standing.name,
        role=_role(standing, best),
        note=_note(standing),
        figures=[
            _spread_cell(standing, "old", order),
            Cell(signed_percent(lost), "low" if lost is not None and lost >= 0.02 else "plain"),
            _spread_cell(standing, "new", order),
            _spread_cell(standing, "average", order),
            _least_cell(standing, "hd95_mm", order, 1),
            _least_cell(standing, "assd_mm", order, 2),
        ],
        costs=[
            duration(costs.seconds), _in(costs.ram_bytes, _MIB, 0), _in(costs.gpu_bytes, _MIB, 0),
            _in(costs.parameters, _MILLION, 2), _in(costs.package_bytes, _MIB, 2),
        ],
    )  # fmt: skip


def _spread_cell(standing: Standing, name: str, order: Sequence[Standing]) -> Cell:
    """A mean with its deviation over seeds; the highest of several is set as the best."""
    value: Spread = getattr(standing, name)
    found = [mean for s in order if not s.bound and exists(mean := getattr(s, name).mean)]
    best = not standing.bound and len(found) > 1 and percent(value.mean) == percent(max(found))
    deviation = f" ± {percent(value.deviation)}" if exists(value.deviation) else ""
    return Cell(percent(value.mean) + deviation, "best" if best else "plain")


def _least_cell(standing: Standing, name: str, order: Sequence[Standing], digits: int) -> Cell:
    text = decimal(getattr(standing, name), digits)
    found = [value for s in order if not s.bound and exists(value := getattr(s, name))]
    best = not standing.bound and len(found) > 1 and text == decimal(min(found), digits)
    return Cell(text, "best" if best else "plain")


def _in(value: int | None, unit: float, digits: int) -> str:
    return MISSING if value is None else decimal(value / unit, digits)


def _facts(runs: Sequence[Run], order: Sequence[Standing], dataset: str) -> list[Fact]:
    top = ranked(order)[0]
    cases = len({case.id for run in runs for case in run.evaluation.cases})
    seeds = max(len(s.seeds) for s in order)
    lost = [s for s in order if exists(s.forgotten)]
    facts = [
        Fact(label="Best average Dice", value=f"{percent(top.average.mean)} %", detail=top.name),
        Fact(label="Test cases", value=str(cases), detail=dataset),
        Fact(label="Plans", value=str(len(order)), detail="1 seed each" if seeds == 1 else f"{seeds} seeds each"),
    ]
    if lost:
        least = min(lost, key=lambda s: s.forgotten)
        facts.insert(1, Fact(label="Least forgotten", value=f"{percent(least.forgotten)} points", detail=least.name))
    return facts


def _notes(runs: Sequence[Run]) -> list[str]:
    notes = [
        "Means are over organs first, so that a small organ counts as much as a large one. Forgetting is the teacher's "
        "Dice before minus the student's after, on the same cases.",
        "HD95 and ASSD are means over the cases in which both sides have the organ.",
        "Tests are paired by case (Wilcoxon signed rank), seeds averaged per case, 95 % intervals bootstrapped over "
        "cases; p is not corrected for the number of tests.",
    ]
    if any(run.taught for run in runs) and not all(run.taught for run in runs):
        notes.append(
            "A plan without a teacher learned its organs from labels alone: it stands for reference, is not ranked, "
            "and its old organs are those of the other plans."
        )
    return [*notes, *(f"{line}." for line in fewer_organs(standings(runs)))]


def _chains(runs: Sequence[Run], teachers: Sequence[ComparedTeacher], organs: LabelSpace) -> list[ChainTable]:
    """A table for each plan that ends a chain of at least two increments."""
    dice = {s.name: s.dice for s in standings(runs)}
    first = {run.name: run for run in reversed(runs)}
    taught = {run.after for run in runs if run.after}
    tables = []
    for name in (name for name in first if first[name].after and name not in taught):
        steps = [name]
        while (before := first[steps[0]].after) is not None:
            steps.insert(0, before)
        begin = first[steps[0]].before
        columns = [*([("Teacher", begin)] if begin else []), *((step, dice[step]) for step in steps)]
        tables.append(_chain_table(columns, organs))
    return tables


def _chain_table(columns: Sequence[tuple[str, Mapping[str, float]]], organs: LabelSpace) -> ChainTable:
    shown = [o for o in organs.organs if any(exists(values.get(o.id)) for _, values in columns)]
    dice_OT = np.array([[values.get(o.id, NAN) for _, values in columns] for o in shown], dtype=np.float64)
    learned = [int(np.flatnonzero(~np.isnan(row))[0]) for row in dice_OT]
    found = forgetting(dice_OT, learned)
    rows = [
        (organ, [percent(v) if exists(v) else "" for v in row], _lost_cell(float(lost)))
        for organ, row, lost in zip(shown, dice_OT.tolist(), found.forgetting, strict=True)
    ]
    return ChainTable(steps=[name for name, _ in columns], rows=rows, lost=signed_percent(found.average_forgetting))


def _lost_cell(lost: float) -> Cell:
    return Cell(signed_percent(lost), "low" if exists(lost) and lost >= 0.02 else "plain")
