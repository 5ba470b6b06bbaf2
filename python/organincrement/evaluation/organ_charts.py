"""Charts with a row per organ: box and strip of a measure over cases, and Dice of several methods."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.labels import Organ
from organincrement.evaluation.axes import LETTER, Mark, Scale, Tick, percent_floor, ticks
from organincrement.evaluation.number_format import exists, percent
from organincrement.evaluation.story import MethodRow

LABEL_LETTERS = 24  # of an organ's name; the rest of a longer one is cut
LANE = 13.0  # height of one method within an organ's row
MAX_POINTS = 60  # per organ; beyond it only outliers are drawn


@dataclass(frozen=True, kw_only=True)
class StripRow:
    """One organ: its points, and its box (whisker, quartile, median, quartile, whisker), None without a value."""

    organ: Organ
    y: float
    points: Sequence[Mark]
    box: tuple[float, float, float, float, float] | None


@dataclass(frozen=True, kw_only=True)
class StripChart:
    """Box and strip of one measure, a row per organ."""

    title: str
    width: float
    height: float
    left: float
    ticks: Sequence[Tick]
    rows: Sequence[StripRow]


@dataclass(frozen=True, kw_only=True)
class DotRow:
    """One organ: a mark per method, each in its own lane, and the teacher's value as a line across them."""

    organ: Organ
    y: float
    height: float
    teacher_x: float | None
    marks: Sequence[Mark]


@dataclass(frozen=True, kw_only=True)
class DotChart:
    """Dice of every organ under every method."""

    width: float
    height: float
    left: float
    ticks: Sequence[Tick]
    rows: Sequence[DotRow]
    legend: Sequence[tuple[str, str]]  # look, method
    has_teacher: bool


def strip_chart(
    title: str,
    organs: Sequence[Organ],
    values: Mapping[str, Sequence[tuple[str, float]]],
    *,
    as_percent: bool,
    width: float = 460.0,
) -> StripChart:
    """Box and strip chart of one measure.

    Args: values: organ id -> (case, value) pairs. as_percent: values are fractions of one, shown up to 100. width in
        units of the drawing, of which a letter is about seven wide.
    """
    factor = 100.0 if as_percent else 1.0
    shown = {o.id: [(case, factor * v) for case, v in values.get(o.id, ()) if math.isfinite(v)] for o in organs}
    everything = [v for pairs in shown.values() for _, v in pairs]
    low = percent_floor(everything) if as_percent else 0.0
    high = 100.0 if as_percent else max([*everything, 1.0]) * 1.03
    left, row_height = _label_width(organs), 27.0
    axis = Scale(low=low, high=high, start=left, stop=width - 14)
    rows = [
        _strip_row(organ, 14 + row_height * (index + 0.5), shown[organ.id], axis) for index, organ in enumerate(organs)
    ]
    marks = [Tick(axis(v), f"{v:g}") for v in ticks(low, high)]
    return StripChart(
        title=title, width=width, height=14 + row_height * len(rows) + 26, left=left, ticks=marks, rows=rows
    )


def dot_chart(organs: Sequence[Organ], methods: Sequence[MethodRow]) -> DotChart:
    """Dice of each organ under each method but the teacher, whose value is the line to stay at."""
    teacher = next((row for row in methods if row.role == "teacher"), None)
    lanes = [row for row in methods if row is not teacher]
    found = [100 * v for row in methods for o in organs if exists(v := row.dice.get(o.id))]
    low, left, width = percent_floor(found), _label_width(organs), 720.0
    axis = Scale(low=low, high=100.0, start=left, stop=width - 44)
    looks = _looks(lanes)
    row_height = LANE * max(len(lanes), 1) + 15
    rows = [
        _dot_row(organ, 8 + index * row_height, row_height, lanes, looks, teacher, axis)
        for index, organ in enumerate(organs)
    ]
    return DotChart(
        width=width,
        height=8 + row_height * len(rows) + 26,
        left=left,
        ticks=[Tick(axis(v), f"{v:g}") for v in ticks(low, 100.0)],
        rows=rows,
        legend=[(looks[number], row.name) for number, row in enumerate(lanes)],
        has_teacher=teacher is not None,
    )


def _dot_row(
    organ: Organ,
    top: float,
    height: float,
    lanes: Sequence[MethodRow],
    looks: Sequence[str],
    teacher: MethodRow | None,
    axis: Scale,
) -> DotRow:
    marks = []
    for number, (row, look) in enumerate(zip(lanes, looks, strict=True)):
        value = row.dice.get(organ.id)
        if exists(value):
            y = round(top + 14 + LANE * number, 1)
            marks.append(Mark(x=axis(100 * value), y=y, title=percent(value), look=look))
    before = teacher.dice.get(organ.id) if teacher else None
    teacher_x = axis(100 * before) if exists(before) else None
    return DotRow(organ=organ, y=top, height=height, teacher_x=teacher_x, marks=marks)


def tukey(values: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Lower whisker, quartile, median, quartile, upper whisker; whiskers end at a value within 1.5 of it."""
    first, median, third = (float(q) for q in np.percentile(values, [25, 50, 75]))
    reach = 1.5 * (third - first)
    inside = [v for v in values if first - reach <= v <= third + reach]
    return (min(inside), first, median, third, max(inside))


def _strip_row(organ: Organ, y: float, pairs: Sequence[tuple[str, float]], axis: Scale) -> StripRow:
    if not pairs:
        return StripRow(organ=organ, y=y, points=(), box=None)
    low, first, median, third, high = tukey([v for _, v in pairs])
    points = [
        Mark(
            x=axis(v),
            y=round(y + _spread(number), 1),
            title=f"{case}: {v:.1f}",
            look="" if low <= v <= high else "outlier",
        )
        for number, (case, v) in enumerate(pairs)
        if len(pairs) <= MAX_POINTS or not low <= v <= high
    ]
    return StripRow(
        organ=organ, y=y, points=points, box=(axis(low), axis(first), axis(median), axis(third), axis(high))
    )


def _spread(number: int) -> float:
    """An offset in −6..6 that looks random and is the same on every run (golden ratio sequence)."""
    return 12 * ((number * 0.6180339887) % 1) - 6


def _looks(lanes: Sequence[MethodRow]) -> list[str]:
    """A mark's look for each method: one student's and one bound's are fixed, the others take turns."""
    taken: set[str] = set()
    shapes = iter(("square", "triangle", "cross", "plus", "ring") * len(lanes))
    looks = []
    for row in lanes:
        fixed = row.role in ("student", "bound") and row.role not in taken
        taken.add(row.role)
        looks.append(row.role if fixed else next(shapes))
    return looks


def _label_width(organs: Sequence[Organ]) -> float:
    return min(max((len(o.name) for o in organs), default=0), LABEL_LETTERS) * LETTER + 34
