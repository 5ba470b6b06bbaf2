"""Charts of a comparison: what is kept against what is gained, and each plan's cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from organincrement.contract.labels import Organ
from organincrement.evaluation.axes import Mark, Scale, Tick, apart, percent_floor, ticks
from organincrement.evaluation.comparison import CaseDice, Standing
from organincrement.evaluation.number_format import exists, percent
from organincrement.evaluation.organ_charts import StripChart, strip_chart

_WIDTH, _HEIGHT, _LEFT = 480.0, 340.0, 46.0
_COLOURS = ((31, 111, 181), (222, 119, 42), (63, 145, 91), (155, 75, 160), (124, 132, 143), (178, 124, 22))


@dataclass(frozen=True, kw_only=True)
class Named:
    """A mark with the name beside it: left of it (end) or right (start)."""

    name: str
    mark: Mark
    name_x: float
    name_y: float
    anchor: str


@dataclass(frozen=True, kw_only=True)
class TradeOff:
    """A mark for each plan: Dice of the old organs along x, of the new ones along y."""

    width: float
    height: float
    left: float
    bottom: float
    right: float
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    marks: Sequence[Named]
    teacher_x: float | None


def trade_off(standings: Sequence[Standing], looks: Mapping[str, str], teacher_old: float) -> TradeOff | None:
    """Kept against gained; None where fewer than two plans have both.

    Args: looks: of each plan's mark, as in the chart of organs. teacher_old: its mean Dice, nan for none.
    """
    shown = [s for s in standings if exists(s.old.mean) and exists(s.new.mean)]
    if len(shown) < 2:
        return None
    known = [teacher_old] if exists(teacher_old) else []
    low_x = percent_floor([100 * v for v in (*(s.old.mean for s in shown), *known)])
    low_y = percent_floor([100 * s.new.mean for s in shown])
    x = Scale(low=low_x, high=100.0, start=_LEFT, stop=_WIDTH - 14)
    y = Scale(low=low_y, high=100.0, start=_HEIGHT - 44, stop=12)
    return TradeOff(
        width=_WIDTH, height=_HEIGHT, left=_LEFT, bottom=y.start, right=x.stop,
        x_ticks=[Tick(x(v), f"{v:g}") for v in ticks(low_x, 100.0)],
        y_ticks=[Tick(y(v), f"{v:g}") for v in ticks(low_y, 100.0)],
        marks=[*_named(shown, looks, x, y, left=True), *_named(shown, looks, x, y, left=False)],
        teacher_x=x(100 * teacher_old) if known else None,
    )  # fmt: skip


def _named(standings: Sequence[Standing], looks: Mapping[str, str], x: Scale, y: Scale, *, left: bool) -> list[Named]:
    """The marks of one half of the chart; their names, towards its middle, stand clear of each other."""
    middle = (x.start + x.stop) / 2
    here = [s for s in standings if (x(100 * s.old.mean) > middle) == left]
    heights = apart([y(100 * s.new.mean) for s in here], gap=14, low=16, high=y.start - 4)
    found = []
    for standing, name_y in zip(here, heights, strict=True):
        at = x(100 * standing.old.mean)
        said = f"{standing.name}: old {percent(standing.old.mean)} %, new {percent(standing.new.mean)} %"
        mark = Mark(x=at, y=y(100 * standing.new.mean), title=said, look=looks[standing.name])
        name_x, anchor = (at - 22, "end") if left else (at + 22, "start")
        found.append(Named(name=standing.name, mark=mark, name_x=name_x, name_y=name_y, anchor=anchor))
    return found


def case_chart(title: str, dice: Mapping[str, CaseDice], organs: Sequence[Organ]) -> StripChart | None:
    """A row for each plan, a dot for each case: its mean Dice over these organs; None where nothing was measured."""
    ids = [organ.id for organ in organs]
    values = {name: _means(found, ids) for name, found in dice.items()}
    if not any(values.values()):
        return None
    # a plan is drawn as an organ is: a name, a colour, a row
    rows = [Organ(id=name, name=name, color=_COLOURS[i % len(_COLOURS)]) for i, name in enumerate(dice)]
    return strip_chart(title, rows, values, as_percent=True)


def _means(dice: CaseDice, organs: Sequence[str]) -> list[tuple[str, float]]:
    by_case: dict[str, list[float]] = {}
    for organ in organs:
        for case, value in dice.get(organ, {}).items():
            by_case.setdefault(case, []).append(value)
    return [(case, float(np.mean(values))) for case, values in sorted(by_case.items())]
