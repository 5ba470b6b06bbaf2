"""Results: what segment, evaluate, compare, audit, suggest and merge write. None is a measure without a value."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .codec import added
from .labels import Organ

Point = tuple[float, float, float]
Bounds = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class SegmentedOrgan:
    """One organ in a report: its volume and the mean of the uncertainty (per cent of log C) inside it."""

    id: str
    volume_mm3: float
    mean_uncertainty: float | None


@dataclass(frozen=True, kw_only=True)
class SegmentReport:
    """report.json of one segmented case. input_is_dicom: whether `input_sha256` is of the files of a DICOM series."""

    schema: ClassVar[str] = "organincrement/report/1"
    model: str
    model_sha256: str
    input_sha256: str
    organs: tuple[SegmentedOrgan, ...]
    seconds: float
    device: str
    versions: dict[str, str]
    input_is_dicom: bool = added(False)


@dataclass(frozen=True, kw_only=True)
class Region:
    """One uncertain region: centre r, a, s and bounds (minimum, maximum of r, a, s) in mm; mean and max in per cent."""

    organ: str
    center_ras_mm: Point
    bounds_ras_mm: Bounds
    volume_mm3: float
    mean: float
    max: float


@dataclass(frozen=True, kw_only=True)
class Regions:
    """regions.json: uncertain regions, the largest uncertain volume first."""

    schema: ClassVar[str] = "organincrement/regions/1"
    regions: tuple[Region, ...]


@dataclass(frozen=True, kw_only=True)
class LabelledOrgan:
    """What one value of a label map stands for."""

    value: int
    organ: Organ


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """labels.json beside a label map that cannot name its organs itself, such as NIfTI."""

    schema: ClassVar[str] = "organincrement/labels/1"
    labels: tuple[LabelledOrgan, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluatedOrgan:
    """One organ of one case against the reference; `status` says why a measure is missing."""

    organ: str
    status: Literal["measured", "both_empty", "missed", "spurious", "not_annotated"]
    dice: float | None
    hd95_mm: float | None
    assd_mm: float | None
    volume_mm3: float | None


@dataclass(frozen=True, kw_only=True)
class EvaluatedCase:
    """One case against its reference."""

    id: str
    organs: tuple[EvaluatedOrgan, ...]


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """Means of one organ over `n` cases; `ci95` is the 95 % interval of the mean Dice."""

    organ: str
    n: int
    dice: float | None
    hd95_mm: float | None
    assd_mm: float | None
    ci95: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """evaluation.json."""

    schema: ClassVar[str] = "organincrement/evaluation/1"
    model: str
    reference: Literal["truth", "teacher"]
    cases: tuple[EvaluatedCase, ...]
    summary: tuple[SummaryRow, ...]


@dataclass(frozen=True, kw_only=True)
class ComparisonRow:
    """One organ under one method and seed."""

    method: str
    preset: str
    seed: int
    organ: str
    group: Literal["old", "new"]
    dice: float | None
    hd95_mm: float | None
    assd_mm: float | None
    forgetting: float | None
    seconds: float | None
    ram_bytes: int | None
    gpu_bytes: int | None
    parameters: int | None
    package_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class ComparisonTest:
    """Method `a` minus method `b` in Dice of one organ, paired by case."""

    a: str
    b: str
    organ: str
    difference: float | None
    ci95: tuple[float, float] | None
    p: float | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """comparison.json."""

    schema: ClassVar[str] = "organincrement/comparison/1"
    rows: tuple[ComparisonRow, ...]
    tests: tuple[ComparisonTest, ...]


@dataclass(frozen=True, kw_only=True)
class LabelConflict:
    """Where the label of `new` lies on what the teacher calls `old`; `fraction` is of the new organ's volume."""

    new: str
    old: str
    volume_mm3: float
    fraction: float


@dataclass(frozen=True, kw_only=True)
class AuditedCase:
    """Whether one scan fits the teacher, and the reason in words."""

    id: str
    verdict: Literal["fits", "doubtful", "unusable"]
    uncertainty: float | None
    intensity_distance: float | None
    spacing_distance: float | None
    conflicts: tuple[LabelConflict, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Audit:
    """audit.json."""

    schema: ClassVar[str] = "organincrement/audit/1"
    cases: tuple[AuditedCase, ...]


@dataclass(frozen=True, kw_only=True)
class SuggestedImage:
    """A scan to annotate next; rank 1 is the first."""

    path: str
    rank: int
    uncertainty: float
    coverage_gain: float


@dataclass(frozen=True, kw_only=True)
class Suggestions:
    """suggestions.json."""

    schema: ClassVar[str] = "organincrement/suggestions/1"
    images: tuple[SuggestedImage, ...]


@dataclass(frozen=True, kw_only=True)
class MergeConflict:
    """Voxels that two segmentations claim, and which of them won by which rule."""

    a: str
    b: str
    volume_mm3: float
    center_ras_mm: Point
    winner: str
    rule: str


MOST_CONFLICTS = 1000


@dataclass(frozen=True, kw_only=True)
class Conflicts:
    """conflicts.json: the largest 1000 (MOST_CONFLICTS)."""

    schema: ClassVar[str] = "organincrement/conflicts/1"
    conflicts: tuple[MergeConflict, ...]
