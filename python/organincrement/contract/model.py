"""The manifest of a model package, model.json: what the model is, what it needs to run, and where it comes from."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from .codec import added
from .errors import ContractError
from .files import check_relative
from .labels import LabelSpace, Organ
from .results import SummaryRow

Vector = tuple[float, float, float]


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
    """Several heads on one trunk, each with its own background."""

    kind: ClassVar[str] = "multi-head"
    heads: tuple[OrganHead, ...]


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


ConventionName = Literal["organincrement", "nnunet", "nnunet1", "totalsegmentator", "monai"]
STORED = "stored"  # the orientation of models that take a scan's axes as they come


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How intensities are scaled: ct clips, then (x - mean) / std; zscore takes each scan's own mean and std.

    masked: zscore looks at what is not 0 (holes included) alone, and leaves the rest at 0.
    """

    kind: Literal["ct", "zscore", "none"]
    clip_hu: tuple[float, float] | None = None
    mean: float | None = None
    std: float | None = None
    masked: bool = added(False)

    def __post_init__(self) -> None:
        if self.masked and self.kind != "zscore":
            raise ContractError(f"{self.kind} has no mask; leave `masked` out")
        values = (self.clip_hu, self.mean, self.std)
        if self.kind == "ct" and (self.clip_hu is None or self.mean is None or self.std is None):
            raise ContractError("ct needs clip_hu, mean and std; give all three")
        if self.kind != "ct" and values != (None, None, None):
            raise ContractError(f"{self.kind} takes no clip_hu, mean or std; write null")
        if self.std is not None and self.std <= 0:
            raise ContractError(f"std {self.std} must be above 0")
        if self.clip_hu is not None and self.clip_hu[0] >= self.clip_hu[1]:
            raise ContractError(f"clip_hu {list(self.clip_hu)} must rise; swap the two")


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From a scan to the network's input.

    `axis_order`: network axis i is array axis axis_order[i] (0 D, 1 H, 2 W) of the scan in `orientation`, where D runs
    along the orientation's last letter; "stored": axes as the file has them, nothing turned. `spacing_mm`: in network
    axis order. `keep_axes`: network axes along which a scan keeps its own spacing. `convention`: whose rules of
    cropping, resampling, padding and windows hold.
    """

    orientation: str
    spacing_mm: Vector
    axis_order: tuple[int, int, int]
    channels: tuple[str, ...]
    order: Literal["normalise-then-resample", "resample-then-normalise"]
    normalisation: Normalisation
    image_resampling: Literal["cubic", "linear", "nearest"]
    output_resampling: Literal["cubic", "linear", "nearest"]
    convention: ConventionName = added("organincrement")  # noqa: RUF009
    keep_axes: tuple[int, ...] = added(())

    def __post_init__(self) -> None:
        if self.orientation != STORED and sorted(
            "RAS".find(letter.translate(_OPPOSITE)) for letter in self.orientation
        ) != [0, 1, 2]:
            raise ContractError(f"orientation {self.orientation!r} must name three axes of the body, such as LPS")
        if len({*self.keep_axes} & {0, 1, 2}) != len(self.keep_axes):
            raise ContractError(f"keep_axes {list(self.keep_axes)} must be axes out of 0, 1 and 2, each once")
        if sorted(self.axis_order) != [0, 1, 2]:
            raise ContractError(f"axis_order {list(self.axis_order)} must hold 0, 1 and 2")
        if min(self.spacing_mm) < _FINEST_MM:
            raise ContractError(f"spacing_mm {list(self.spacing_mm)} must be at least {_FINEST_MM}")


_FINEST_MM = 0.05  # a scan on a finer grid would fill any disk
_OPPOSITE = str.maketrans("LPI", "RAS")


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How the network runs over a scan; `patch` and `mirror_axes` in network axes, `step` as a share of the patch."""

    patch: tuple[int, ...]
    step: float
    window: Literal["gaussian", "constant"]
    mirror_axes: tuple[int, ...]
    average: Literal["logits", "probabilities"]
    temperature: float

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
        space = self.label_space
        _check_head(self.head, space)
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
