"""Charts of a training: loss terms and validation Dice over steps, and reliability of the probabilities."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from organincrement.contract.labels import Organ
from organincrement.evaluation.axes import LETTER, Mark, Scale, Tick, apart, percent_floor, ticks
from organincrement.evaluation.calibration import Reliability
from organincrement.evaluation.number_format import decimal, percent
from organincrement.evaluation.story import Curve

MAX_VERTICES = 240  # per line


@dataclass(frozen=True, kw_only=True)
class Line:
    """One series: vertices as an SVG points list, and its label at the right end."""

    name: str
    points: str
    end_y: float
    label_y: float
    end: str
    organ: Organ | None = None


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """Values over training steps."""

    title: str
    width: float
    height: float
    left: float
    right: float
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line]


@dataclass(frozen=True, kw_only=True)
class ReliabilityChart:
    """Accuracy over confidence as squares whose area grows with the voxels, and the diagonal they should lie on."""

    title: str
    size: float
    left: float
    ticks: Sequence[tuple[float, float, str]]  # x, y, text
    marks: Sequence[tuple[Mark, float]]  # with half the side


def loss_chart(curve: Curve) -> LineChart | None:
    """Loss terms over steps, on a logarithmic axis; None when no term is ever positive."""
    series = {
        name: _thinned([(s, v) for s, v in zip(curve.steps, values, strict=True) if math.isfinite(v) and v > 0])
        for name, values in curve.losses.items()
    }
    series = {name: pairs for name, pairs in series.items() if pairs}
    if not series:
        return None
    values = [v for pairs in series.values() for _, v in pairs]
    low, high = min(values), max(values)
    if high / low < 10:
        middle = math.sqrt(low * high)
        low, high = min(low, middle / 10**0.5), max(high, middle * 10**0.5)
    axis = Scale(low=low, high=high, start=208, stop=12, logarithmic=True)
    decades = [10.0**e for e in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
    lines = [(name.replace("_", " "), pairs, decimal(pairs[-1][1], 3), None) for name, pairs in series.items()]
    return _line_chart("Loss terms", lines, axis, [(v, f"{v:g}") for v in decades[:: 1 + len(decades) // 6]])


def dice_chart(curve: Curve, organs: Sequence[Organ]) -> LineChart | None:
    """Validation Dice of each organ over steps; None when nothing was validated."""
    lines = []
    for organ in organs:
        steps, values = curve.dice.get(organ.id, ((), ()))
        pairs = [(s, 100 * v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
        if pairs:
            lines.append((organ.name, pairs, decimal(pairs[-1][1]), organ))
    if not lines:
        return None
    low = percent_floor([v for _, pairs, _, _ in lines for _, v in pairs])
    axis = Scale(low=low, high=100.0, start=208, stop=12)
    return _line_chart("Validation Dice (%)", lines, axis, [(v, f"{v:g}") for v in ticks(low, 100.0)])


def reliability_chart(title: str, diagram: Reliability) -> ReliabilityChart:
    """Reliability diagram of bins that hold voxels; both axes 0 to 100 %."""
    left, size = 40.0, 320.0
    x, y = Scale(low=0, high=1, start=left, stop=size - 14), Scale(low=0, high=1, start=size - 34, stop=8)
    most = max(int(diagram.voxels.max()), 1)
    marks = []
    for confidence, accuracy, voxels in zip(diagram.confidence, diagram.accuracy, diagram.voxels, strict=True):
        if voxels:
            said = f"confidence {percent(confidence)} %, right {percent(accuracy)} %, {voxels} voxels"
            half = round(2 + 5 * math.sqrt(voxels / most), 1)
            marks.append((Mark(x=x(confidence), y=y(accuracy), title=said), half))
    steps = [(x(v), y(v), f"{100 * v:g}") for v in (0, 0.25, 0.5, 0.75, 1)]
    return ReliabilityChart(title=title, size=size, left=left, ticks=steps, marks=marks)


def _line_chart(
    title: str,
    lines: Sequence[tuple[str, Sequence[tuple[float, float]], str, Organ | None]],
    y_axis: Scale,
    y_ticks: Sequence[tuple[float, str]],
) -> LineChart:
    left, width = 44.0, 480.0
    longest = max(len(name) + len(end) + 1 for name, _, end, _ in lines)
    right = width - min(LETTER * longest + 22, 190)
    last = max(s for _, pairs, _, _ in lines for s, _ in pairs)
    x_axis = Scale(low=0, high=max(last, 1), start=left, stop=right)
    label_ys = apart([y_axis(pairs[-1][1]) for _, pairs, _, _ in lines], gap=14, low=14, high=208)
    drawn = [
        Line(
            name=name,
            points=" ".join(f"{x_axis(s)},{y_axis(v)}" for s, v in pairs),
            end_y=y_axis(pairs[-1][1]),
            label_y=label_y,
            end=end,
            organ=organ,
        )
        for (name, pairs, end, organ), label_y in zip(lines, label_ys, strict=True)
    ]
    return LineChart(
        title=title,
        width=width,
        height=240.0,
        left=left,
        right=right,
        x_ticks=[Tick(x_axis(v), f"{v:g}") for v in ticks(0, max(last, 1), 4)],
        y_ticks=[Tick(y_axis(v), text) for v, text in y_ticks],
        lines=drawn,
    )


def _thinned(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of runs of neighbours, so that a line has at most MAX_VERTICES vertices."""
    run = max(1, math.ceil(len(pairs) / MAX_VERTICES))
    groups = [pairs[start : start + run] for start in range(0, len(pairs), run)]
    return [(sum(s for s, _ in g) / len(g), sum(v for _, v in g) / len(g)) for g in groups]
