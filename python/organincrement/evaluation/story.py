"""What the training and demo report tells: plain values, ready to be laid out by report.render_story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from organincrement.contract.labels import Organ
from organincrement.contract.results import ComparisonTest, Region
from organincrement.evaluation.calibration import Reliability
from organincrement.evaluation.errors import EvaluationError

Role = Literal["teacher", "student", "baseline", "bound"]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One figure worth a place at the top of a report, for example ("Training time", "12 min", "on 2 CPU cores")."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """Dice (0..1, nan where there is none) of one method by organ id, and its means over old, new and all organs.

    `teacher` and `bound` are for reference: the best value is chosen among `student` and `baseline`. `forgetting` is by
    organ id (teacher's Dice minus this method's, or the best of earlier steps minus it).
    """

    name: str
    role: Role
    dice: Mapping[str, float]
    old_mean: float
    new_mean: float
    average: float
    seconds: float | None = None
    note: str = ""
    forgetting: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How one training went: loss terms at `steps`, and validation Dice (0..1) by organ id as (steps, values)."""

    name: str
    steps: Sequence[int]
    losses: Mapping[str, Sequence[float]]
    dice: Mapping[str, tuple[Sequence[int], Sequence[float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: (len(self.steps), len(values)) for name, values in self.losses.items()}
        lengths |= {name: (len(steps), len(values)) for name, (steps, values) in self.dice.items()}
        for name, (steps, values) in lengths.items():
            if steps != values:
                raise EvaluationError(
                    f"curve {self.name!r}: {name} has {values} values for {steps} steps; give one each"
                )


@dataclass(frozen=True, kw_only=True, eq=False)
class SlicePicture:
    """One slice of a scan with the outlines of a reference and of several predictions.

    image_HW in HU, first row on top. labels_HW, and each overlay's, 0 background, 1.. the story's old organs, then the
    new ones. uncertainty_HW in per cent of log C. spacing_mm of rows and columns. sides: the letters at the left and
    right edge, ("R", "L") for an axial slice seen from the feet.
    """

    title: str
    image_HW: NDArray[np.floating]
    labels_HW: NDArray[np.integer] | None = None
    overlays: Sequence[tuple[str, NDArray[np.integer]]] = ()
    uncertainty_HW: NDArray[np.floating | np.integer] | None = None
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    sides: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Reliability before and after the temperature was fitted."""

    before: Reliability
    after: Reliability
    temperature: float


@dataclass(frozen=True, kw_only=True)
class Link:
    """A place to read on: a file beside the report, or an address."""

    text: str
    href: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Story:
    """One increment from teacher to student; every part that is left empty is left out of the report."""

    title: str
    intro: Sequence[str]
    old: Sequence[Organ]
    new: Sequence[Organ]
    facts: Sequence[Fact] = ()
    methods: Sequence[MethodRow] = ()
    tests: Sequence[ComparisonTest] = ()
    slices: Sequence[SlicePicture] = ()
    regions: Sequence[Region] = ()
    calibration: Calibration | None = None
    curves: Sequence[Curve] = ()
    notes: Sequence[str] = ()
    links: Sequence[Link] = ()
    made: str = ""

    @property
    def organs(self) -> tuple[Organ, ...]:
        """Old organs, then new ones: label value = position + 1."""
        return (*self.old, *self.new)
