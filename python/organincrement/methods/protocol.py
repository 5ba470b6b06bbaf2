"""What a continual-learning method is.

The trainer owns everything else: data order, precision, schedule, checkpoints.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from organincrement.contract.labels import LabelTransition
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.sizing import NetworkSpec


class MethodError(ValueError):
    """A method cannot be set up as asked; the message names the setting and says what to do."""


@dataclass(frozen=True, kw_only=True)
class Citation:
    """Where a method comes from."""

    authors: str
    title: str
    venue: str
    year: int
    url: str


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a method is given. `old_data` and `exemplars` are False for every data-free method."""

    teachers: Literal["none", "one", "many"]
    old_data: bool = False
    exemplars: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the trainer runs a preset by default; every field can be changed in the plan."""

    steps: int
    batch: int
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    ema: float | None = None


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that differ from the Config's defaults, the recipe, and why they are as they are."""

    recipe: Recipe
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of the training; `share` of the steps."""

    name: str
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One mini-batch on the training device.

    image_BCDHW: normalised. labels_BDHW: 0 background, 1..N the dataset's organs, -1 where nobody looked.
    generator: CPU generator of this step, from which every draw of the method comes.
    """

    image_BCDHW: Tensor
    labels_BDHW: Tensor
    case_ids: tuple[str, ...]
    generator: torch.Generator


@dataclass(frozen=True, kw_only=True)
class LossTerms:
    """Named, weighted scalars; `total` is what is minimised."""

    terms: Mapping[str, Tensor]

    @property
    def total(self) -> Tensor:
        """The sum of all terms."""
        return torch.stack(list(self.terms.values())).sum()

    def values(self) -> dict[str, float]:
        """The terms as numbers."""
        return {name: float(term.detach()) for name, term in self.terms.items()}


@dataclass(frozen=True, kw_only=True)
class MethodInputs:
    """What the trainer hands to a method: labels, frozen teachers, the network to build, and the method's settings."""

    transition: LabelTransition
    teachers: Sequence[FrozenTeacher]
    network: NetworkSpec
    config: Any
    device: torch.device


class ContinualMethod(Protocol):
    """One paper or baseline. Constructed from MethodInputs; holds no other state than its teachers and settings."""

    name: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[Citation]
    needs: ClassVar[Needs]
    Config: ClassVar[type]
    presets: ClassVar[dict[str, Preset]]

    def __init__(self, inputs: MethodInputs) -> None: ...

    def build_student(self) -> nn.Module:
        """The network to train, started as the method says."""
        ...

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """The named terms of one mini-batch."""
        ...

    def phases(self) -> Sequence[Phase]:
        """The parts of the training, in order."""
        ...


def setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
) -> Any:
    """A Config field with what the settings form and the docs need to know of it."""
    return field(default=default, metadata={"help": text, "low": low, "high": high, "unit": unit, "choices": choices})


def configure(config_type: type, values: Mapping[str, Any]) -> Any:
    """A Config from named values, checked against types, ranges and choices.

    Raises: MethodError naming the setting.
    """
    fields = {f.name: f for f in dataclasses.fields(config_type)}
    for name, value in values.items():
        if name not in fields:
            raise MethodError(f"setting '{name}' is unknown; there are: {', '.join(fields)}")
        _check_setting(fields[name], value)
    defaults: dict[str, Any] = {name: described.default for name, described in fields.items()}
    return config_type(**{name: type(defaults[name])(value) for name, value in values.items()})


def _check_setting(described: "dataclasses.Field[Any]", value: Any) -> None:
    default, about = described.default, described.metadata
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if not _kind_fits(default, value):
        raise MethodError(f"setting '{described.name}' is {value!r}, but must be of the kind of {default!r}")
    if about["choices"] and value not in about["choices"]:
        raise MethodError(f"setting '{described.name}' is '{value}', but must be one of {', '.join(about['choices'])}")
    if number and not (about["low"] is None or value >= about["low"]):
        raise MethodError(f"setting '{described.name}' is {value}, but must be at least {about['low']}")
    if number and not (about["high"] is None or value <= about["high"]):
        raise MethodError(f"setting '{described.name}' is {value}, but must be at most {about['high']}")


def _kind_fits(default: Any, value: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(_is_number(item) for item in value)
    if isinstance(default, bool) or not isinstance(default, int | float):
        return isinstance(value, type(default))
    return _is_number(value) and (isinstance(default, float) or value == int(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
