"""What a job's plots show: named series of points, thinned as they grow, so that memory and drawing stay small."""

from bisect import bisect_right
from collections.abc import Mapping

from organincrement.contract.events import Event, Started, Step, Validated

MOST_POINTS = 2000
Point = tuple[float, float]


class ThinnedSeries:
    """Points in the order of x, at most MOST_POINTS: when full, those nearer than a gap to the one before go.

    The gap grows with the range of x, so that what was watched as it went and what was read later look alike. The
    newest point is always among them.
    """

    def __init__(self) -> None:
        self._xs: list[float] = []
        self._ys: list[float] = []
        self._newest: Point | None = None
        self._gap = 0.0

    def add(self, x: float, y: float) -> None:
        """One more point; x is not below the last."""
        self._newest = (x, y)
        if self._xs and x - self._xs[-1] < self._gap:
            return
        self._xs.append(x)
        self._ys.append(y)
        if len(self._xs) >= MOST_POINTS - 1:
            self._thin()

    def cutAfter(self, x: float) -> None:
        """Forget the points beyond x."""
        kept = bisect_right(self._xs, x)
        del self._xs[kept:], self._ys[kept:]
        if self._newest is not None and self._newest[0] > x:
            self._newest = (self._xs[-1], self._ys[-1]) if self._xs else None

    def points(self) -> tuple[Point, ...]:
        """The points, oldest first."""
        points = tuple(zip(self._xs, self._ys, strict=True))
        if self._newest is not None and (not points or points[-1] != self._newest):
            points += (self._newest,)
        return points

    def _thin(self) -> None:
        self._gap = (self._xs[-1] - self._xs[0]) / (MOST_POINTS // 2)
        kept = [0]
        for i, x in enumerate(self._xs):
            if x - self._xs[kept[-1]] >= self._gap and i:
                kept.append(i)
        if len(kept) == len(self._xs):  # all at one place
            kept = kept[::2]
        self._xs, self._ys = [self._xs[i] for i in kept], [self._ys[i] for i in kept]


class JobSeries:
    """The series of one job: `loss`, `loss/<term>`, `dice/<organ>`, `agreement/<organ>`; x is the step."""

    def __init__(self) -> None:
        self._series: dict[str, ThinnedSeries] = {}
        self._made: dict[str, tuple[Point, ...]] | None = {}
        self._stride = 1
        self._steps = 0

    def expect(self, steps: int) -> None:
        """About so many step events are now to be read at once: of very many, most need no look."""
        self._stride = 1
        while self._stride * MOST_POINTS < steps:
            self._stride *= 2

    def wantsNextStep(self) -> bool:
        """Whether the next step event would give points; asked once for each."""
        self._steps += 1
        return (self._steps - 1) % self._stride == 0

    def take(self, event: Event) -> None:
        """Take an event's figures; a `started` makes the later steps before it void."""
        if isinstance(event, Started):
            self._cutAfter(-1 if event.resumed_from is None else event.resumed_from)
        elif isinstance(event, Step):
            self._add("loss", event.step, event.total)
            for name, value in event.losses.items():
                self._add(f"loss/{name}", event.step, value)
        elif isinstance(event, Validated):
            for organ, value in event.dice.items():
                self._add(f"dice/{organ}", event.step, value)
            for organ, value in event.agreement.items():
                self._add(f"agreement/{organ}", event.step, value)

    def asDict(self) -> Mapping[str, tuple[Point, ...]]:
        """All series; the same object as long as nothing changes, and not to be changed."""
        if self._made is None:
            self._made = {name: series.points() for name, series in self._series.items()}
        return self._made

    def _add(self, name: str, x: float, y: float | None) -> None:
        if y is None:  # undefined: a gap in the plot
            return
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = ThinnedSeries()
        series.add(float(x), float(y))
        self._made = None

    def _cutAfter(self, step: int) -> None:
        for series in self._series.values():
            series.cutAfter(step)
        self._series = {name: series for name, series in self._series.items() if series.points()}
        self._made = None
