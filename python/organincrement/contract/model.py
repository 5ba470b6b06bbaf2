"""The manifest of a model package, model.json: what the model is, what it needs to run, and where it comes from."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .codec import added
from .errors import ContractError
from .files import check_relative
from .labels import LabelSpace, Organ, check_line
from .preprocessing import STORED, Preprocessing, Vector
from .preprocessing import ConventionName as ConventionName
from .preprocessing import Normalisation as Normalisation
from .results import SummaryRow


@dataclass(frozen=True, kw_only=True)
class Network:
    """A class of the networks' fixed table, its arguments, and how many parameters it has."""

    kind: str
    args: dict[str, Any]
    parameters: int


@dataclass(frozen=True, kw_only=True)
class SoftmaxHead:
    """One softmax over background and all organs."""

    kind: ClassVar[str] = "softmax"


@dataclass(frozen=True, kw_only=True)
class OrganHead:
    """One of several heads: a softmax over background and these organs; `prefix` is of its weights' names."""

    organs: tuple[str, ...]
    prefix: str


@dataclass(frozen=True, kw_only=True)
class MultiHead:
    """Several heads, each with its own background.

    rule: what two of them claim is the more probable organ's, or the last head's.
    """

    kind: ClassVar[str] = "multi-head"
    heads: tuple[OrganHead, ...]
    rule: Literal["confidence", "last"] = added("confidence")


@dataclass(frozen=True, kw_only=True)
class DynamicHead:
    """A head whose weights a controller makes for each task (a list of organs); `width` and `depth` are the head's."""

    kind: ClassVar[str] = "dynamic"
    tasks: tuple[tuple[str, ...], ...]
    width: int
    depth: int


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """One decoder: its organs, temperature, each organ's range along the body in mm, and share of pruned weights."""

    organs: tuple[str, ...]
    temperature: float
    range_mm: dict[str, tuple[float, float]] | None
    sparsity: float

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ContractError(f"temperature {self.temperature} must be above 0")
        if not 0 <= self.sparsity <= 1:
            raise ContractError(f"sparsity {self.sparsity} must lie between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class MultiDecoderHead:
    """Several decoders on one frozen encoder."""

    kind: ClassVar[str] = "multi-decoder"
    decoders: tuple[Decoder, ...]


@dataclass(frozen=True, kw_only=True)
class TorchScriptHead:
    """A network that comes as TorchScript code; it is run only when `confirmed`, by the user, on this computer."""

    kind: ClassVar[str] = "torchscript"
    file: str
    confirmed: bool

    def __post_init__(self) -> None:
        check_relative(self.file)


Head = SoftmaxHead | MultiHead | DynamicHead | MultiDecoderHead | TorchScriptHead


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How the network runs over a scan; `patch` and `mirror_axes` in network axes, `step` as a share of the patch.

    `average`: what of overlapping windows is averaged. `resampled`: what is brought back onto the scan: these averages,
    or the probabilities that they give.
    """

    patch: tuple[int, ...]
    step: float
    window: Literal["gaussian", "constant"]
    mirror_axes: tuple[int, ...]
    average: Literal["logits", "probabilities"]
    temperature: float
    resampled: Literal["averages", "probabilities"] = added("averages")

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1:
            raise ContractError(f"step {self.step} must lie above 0 and at most at 1")
        if self.temperature <= 0:
            raise ContractError(f"temperature {self.temperature} must be above 0")
        if not self.patch or min(self.patch) < 1:
            raise ContractError(f"patch {list(self.patch)} must hold numbers from 1")


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """How uncertainty is measured by default, and over how many perturbed copies."""

    kind: Literal["none", "entropy", "perturbation"]
    perturbations: int


@dataclass(frozen=True, kw_only=True)
class SpacingRange:
    """Spacing of the training scans in mm, per network axis."""

    min: Vector
    median: Vector
    max: Vector


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """What the model was trained on, None where an imported model does not tell; percentile keys are "0.5", "50", …"""

    modality: str
    cases: int | None
    spacing_mm: SpacingRange | None
    intensity_percentiles: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class LineageStep:
    """One ancestor: `sha256` is of its model.json, `made` the day (UTC) on which it was made."""

    name: str
    sha256: str
    method: str
    dataset_sha256: str | None
    made: str

    def __post_init__(self) -> None:
        for what in ("name", "sha256", "method", "made"):
            check_line(getattr(self, what), f"lineage: {what}")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Dice on held-back cases, agreement with the teacher on old organs, and whether the student is recommended."""

    validation: tuple[SummaryRow, ...]
    agreement_with_teacher: tuple[SummaryRow, ...]
    recommended: bool


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One member of the ensemble: its file, SHA-256 and size."""

    file: str
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        check_relative(self.file)


@dataclass(frozen=True, kw_only=True)
class ModelManifest:
    """model.json."""

    schema: ClassVar[str] = "organincrement/model/1"
    name: str
    organs: tuple[Organ, ...]
    network: Network
    head: Head
    preprocessing: Preprocessing
    inference: Inference
    uncertainty: Uncertainty
    trained_on: TrainedOn
    lineage: tuple[LineageStep, ...]
    metrics: Metrics
    licence: str
    citation: str
    weights: tuple[Weights, ...]

    def __post_init__(self) -> None:
        check_line(self.name, "name")
        for channel in (*self.preprocessing.channels, self.trained_on.modality):
            check_line(channel, "channel")
        space = self.label_space
        _check_head(self.head, space)
        if len(set(self.inference.mirror_axes)) != len(self.inference.mirror_axes):  # each doubles the work
            raise ContractError(f"inference.mirror_axes {list(self.inference.mirror_axes)[:6]}: name each axis once")
        for axis in self.inference.mirror_axes:
            if not 0 <= axis < 3:
                raise ContractError(f"inference.mirror_axes: {axis} is no axis; use 0, 1 or 2")
            # a model from elsewhere mirrors as the tool does that it comes from, or its answers would be others
            own = self.preprocessing.convention == "organincrement"
            if own and space.has_laterality and self._runs_left_right(axis):
                raise ContractError(f"inference.mirror_axes: axis {axis} would swap left and right organs; remove it")

    @property
    def label_space(self) -> LabelSpace:
        """The organs with their labels."""
        return LabelSpace(self.organs)

    def _runs_left_right(self, network_axis: int) -> bool:
        if self.preprocessing.orientation == STORED:
            return True  # of some scan it does
        array_axis = self.preprocessing.axis_order[network_axis]
        return self.preprocessing.orientation[::-1][array_axis] in "LR"


def _check_head(head: Head, space: LabelSpace) -> None:
    """Every organ in one group of the head; raises ContractError naming one that is in none, in two, or unknown."""
    groups = _head_organs(head)
    if not groups:
        return
    for organ_id in (organ_id for group in groups for organ_id in group):
        if organ_id not in space.ids:
            raise ContractError(f"head: {organ_id!r} is not among the organs; correct the head or the organs")
    for organ_id in space.ids:
        holding = sum(organ_id in group for group in groups)
        if holding != 1:
            raise ContractError(
                f"head: {organ_id!r} is in {holding} of its parts, but must be in one; correct the head"
            )


def _head_organs(head: Head) -> tuple[tuple[str, ...], ...]:
    """The organs that each part of a head names; none for heads that take all."""
    match head:
        case MultiHead():
            return tuple(part.organs for part in head.heads)
        case MultiDecoderHead():
            return tuple(part.organs for part in head.decoders)
        case DynamicHead():
            return head.tasks
    return ()
