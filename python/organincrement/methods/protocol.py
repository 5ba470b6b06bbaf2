"""What a continual-learning method is.

The trainer owns everything else: data order, precision, schedule, checkpoints. A method derives from ContinualMethod
for the defaults: one phase, one softmax, a student built like its teacher.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from organincrement.contract.labels import LabelSpace, LabelTransition
from organincrement.contract.model import Head, ModelManifest, SoftmaxHead, TorchScriptHead
from organincrement.methods.head_advice import advice_on
from organincrement.methods.teacher import FrozenTeacher
from organincrement.networks.build import SIDE_BY_SIDE
from organincrement.networks.side_by_side import first_part
from organincrement.networks.sizing import NetworkSpec, first_network, network_for_patch


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
    """What a method is given. `old_data` and `exemplars` are False for every data-free method.

    labels: how a batch numbers them: `new` 1..N, the organs that no teacher knows; `student` as the student does, for
    methods that are also given labels of old organs. partial: where some organs were not looked for, the loss wants 0
    for "none of those that were", with `Batch.annotated_BL`; else such voxels are unlabelled. unlabelled: scans
    without any label will do. asked: whether teachers answer in training, so that some organ of theirs must be left.
    """

    teachers: Literal["none", "one", "many"]
    old_data: bool = False
    exemplars: bool = False
    labels: Literal["new", "student"] = "new"
    partial: bool = False
    unlabelled: bool = False
    asked: bool = True


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the trainer runs a preset by default; every field can be changed in the plan. No patch: as memory allows."""

    steps: int
    batch: int
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    ema: float | None = None
    patch: tuple[int, int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that differ from the Config's defaults, the recipe, and why they are as they are."""

    recipe: Recipe
    settings: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of the training; `share` of the steps; `validations`: how many of its own the next is entered by."""

    name: str
    share: float = 1.0
    validations: int = 1


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One mini-batch on the training device.

    image_BCDHW: normalised. labels_BDHW: 0 background, 1..L as `Needs.labels` says, -1 where nobody looked.
    annotated_BL: bool, which of the L organs were looked for in each sample. exemplar: all of it is from the vault.
    step: of the training. generator: CPU generator of this step, from which every draw of the method comes.
    """

    image_BCDHW: Tensor
    labels_BDHW: Tensor
    annotated_BL: Tensor
    case_ids: tuple[str, ...]
    generator: torch.Generator
    exemplar: bool = False
    step: int = 0


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
    head: Head = field(default_factory=SoftmaxHead)

    @property
    def organs(self) -> LabelSpace:
        """The student's."""
        return self.transition.student


@dataclass(frozen=True, kw_only=True)
class Product:
    """What is packaged at the end: a network, how to build it again, and what its channels stand for."""

    network: nn.Module
    spec: NetworkSpec
    head: Head


class ContinualMethod(Protocol):
    """One paper or baseline. Constructed from MethodInputs; holds no other state than its teachers and settings.

    What changes in the course of a training lives in the student, whose weights and buffers the checkpoints hold.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    paper: ClassVar[Citation]
    needs: ClassVar[Needs]
    baseline: ClassVar[bool] = False
    Config: ClassVar[type]
    presets: ClassVar[dict[str, Preset]]

    inputs: MethodInputs

    def __init__(self, inputs: MethodInputs) -> None:
        self.inputs = inputs

    @classmethod
    def plan_head(cls, transition: LabelTransition, teachers: Sequence[ModelManifest]) -> Head:
        """What the student's channels stand for."""
        return SoftmaxHead()

    @classmethod
    def plan_network(
        cls, config: Any, transition: LabelTransition, teachers: Sequence[ModelManifest], channels: int
    ) -> NetworkSpec:
        """The student's network, of so many output channels: as its first teacher's, else as the settings say.

        Raises: MethodError where the method cannot build on such a teacher.
        """
        if not teachers:
            return first_network(config, channels)
        if isinstance(teachers[0].head, TorchScriptHead):  # a program has no weights to start from
            return network_for_patch(teachers[0].inference.patch, channels)
        network = NetworkSpec.of(teachers[0].network)
        if network.kind == SIDE_BY_SIDE:
            return first_part(network).with_outputs(channels)
        if not isinstance(head := teachers[0].head, SoftmaxHead):
            several = cls.needs.teachers == "many"
            raise MethodError(
                f"method '{cls.name}' goes on from a teacher with one softmax; '{teachers[0].name}' has a head of kind "
                f"'{head.kind}': {'name a teacher with one softmax first' if several else advice_on(head)}"
            )
        return network.with_outputs(channels)

    def build_student(self) -> nn.Module:
        """The network to train, started as the method says."""
        ...

    def loss(self, student: nn.Module, batch: Batch) -> LossTerms:
        """The named terms of one mini-batch."""
        ...

    def phases(self) -> Sequence[Phase]:
        """The parts of the training, in order; those after the first where cases are held back."""
        return (Phase(name="increment" if self.inputs.teachers else "training"),)

    def enter(self, student: nn.Module, phase: int, scores: Sequence[float]) -> bool:
        """Prepare the student for a phase after the first; the optimiser, the schedule and the average start anew.

        Args: scores: labelled organs' mean Dice at the validations of the phase that ends.
        Returns: False to end the training here.
        """
        return True

    def freeze(self, student: nn.Module, phase: int) -> None:
        """Say by `requires_grad` which weights are trained in a phase; called at its start and after every restart."""

    def after_step(self, student: nn.Module) -> None:
        """What is to hold of the weights after every step of the optimiser."""

    def settle(self, network: nn.Module, scores: Sequence[float]) -> None:
        """Decide on the network that will be packaged, when all scores are known, before its `product` is taken."""

    def product(self, network: nn.Module) -> Product:
        """What is packaged of the trained network."""
        return Product(network=network, spec=self.inputs.network, head=self.inputs.head)


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
    if about["choices"] and isinstance(default, str):
        value = str(value)  # "2" is typed as a number
    number = isinstance(default, int | float) and not isinstance(default, bool)
    if not _kind_fits(default, value):
        raise MethodError(f"setting '{described.name}' is {value!r}, but must be {_KINDS[type(default)]}")
    if about["choices"] and value not in about["choices"]:
        raise MethodError(f"setting '{described.name}' is '{value}', but must be one of {', '.join(about['choices'])}")
    if number and not (about["low"] is None or value >= about["low"]):
        raise MethodError(f"setting '{described.name}' is {value}, but must be at least {about['low']}")
    if number and not (about["high"] is None or value <= about["high"]):
        raise MethodError(f"setting '{described.name}' is {value}, but must be at most {about['high']}")


_KINDS = {
    bool: "true or false", int: "a whole number", float: "a finite number", str: "a word",
    tuple: "a list of numbers, for example [1,2]",
}  # fmt: skip


def _kind_fits(default: Any, value: Any) -> bool:
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(_is_number(item) for item in value)
    if isinstance(default, bool) or not isinstance(default, int | float):
        return isinstance(value, type(default))
    return _is_number(value) and (isinstance(default, float) or value == int(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
