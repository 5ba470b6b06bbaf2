"""Axes of the charts in a report: positions are in the units of the drawing, x to the right and y down."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LETTER = 7.2  # width of a letter of the 12-unit labels, in a wide font


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps values low..high to positions start..stop, evenly or by their logarithm."""

    low: float
    high: float
    start: float
    stop: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Position of a value, rounded to a tenth; values outside stay at the end."""
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        part = min(max((value - low) / (high - low), 0.0), 1.0)
        return round(self.start + part * (self.stop - self.start), 1)


@dataclass(frozen=True)
class Tick:
    """A mark of an axis."""

    position: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One value: where it stands, how it looks (a name of the style sheet) and what it says."""

    x: float
    y: float
    title: str
    look: str = ""


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values from low to high, about `count` of them: steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(step * n, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def percent_floor(values: Iterable[float]) -> float:
    """Start of a per cent axis: a multiple of ten that leaves room below all values, from 0 to 80."""
    return max(0.0, min([80.0, *(10.0 * math.floor((v - 2) / 10) for v in values)]))


def apart(positions: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Label positions moved as little as needed to stand `gap` apart within low..high."""
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [0.0] * len(positions)
    previous = -math.inf
    for i in order:
        previous = placed[i] = max(positions[i], previous + gap, low)
    limit = high
    for i in reversed(order):
        placed[i] = round(min(placed[i], limit), 1)
        limit = placed[i] - gap
    return placed
