"""What an audit holds against one scan, and how badly it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from organincrement.contract.results import LabelConflict
from organincrement.planning.label_facts import LabelFacts
from organincrement.planning.scan_facts import ScanFacts
from organincrement.planning.teacher_view import TeacherView

Triple = tuple[float, float, float]
Verdict = Literal["fits", "doubtful", "unusable"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One reason against a scan, in words for the person who has to act on it."""

    verdict: Literal["doubtful", "unusable"]
    words: str


@dataclass(frozen=True, kw_only=True)
class CaseEvidence:
    """Everything measured of one case; what could not be measured is None or empty.

    failure: why the case cannot be read. orientation: where its axes point as the model sees them. stored_spacing_mm,
    stored_extent_mm: by the header, D, H, W of the model's orientation. scan: of the scan on the model's grid. views:
    the teacher's, as stored first.
    """

    id: str
    failure: str | None = None
    orientation: str | None = None
    stored_spacing_mm: Triple | None = None
    stored_extent_mm: Triple | None = None
    scan: ScanFacts | None = None
    views: tuple[TeacherView, ...] = ()
    labels: tuple[LabelFacts, ...] = ()
    conflicts: tuple[LabelConflict, ...] = ()


def worst(findings: Sequence[Finding]) -> Verdict:
    """The verdict that all findings together give."""
    found = {finding.verdict for finding in findings}
    return "unusable" if "unusable" in found else "doubtful" if "doubtful" in found else "fits"
