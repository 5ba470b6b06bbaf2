"""Does a scan fit the teacher that is to be taught with it? The verdict, from everything measured of all cases."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import STORED, ModelManifest
from organincrement.contract.results import Audit, AuditedCase
from organincrement.planning.dataset_check import (
    conflict_findings,
    label_findings,
    proportion_findings,
    recognition_findings,
)
from organincrement.planning.findings import CaseEvidence, Finding, worst
from organincrement.planning.geometry_check import extent_findings, reading_findings, shape_findings, spacing_distance
from organincrement.planning.intensity_check import intensity_distance, intensity_findings

FITS = "nothing unusual found"
POOR_DICE = 0.3


def judge(cases: Sequence[CaseEvidence], manifest: ModelManifest, new: LabelSpace) -> Audit:
    """The verdict on every case, in the order given.

    First each case by itself; then what is left is compared with the rest of the dataset, so that broken scans do not
    set the standard. Args: new: the dataset's organs.
    """
    kept = _well_known(manifest)
    known = LabelSpace(tuple(manifest.organs[i] for i in kept))
    cases = [_with_organs(case, kept) for case in cases]
    alone = {case.id: findings_alone(case, manifest) + _lies_otherwise(case, cases, manifest) for case in cases}
    sound = [case for case in cases if not alone[case.id]]
    names = {organ.id: organ.name for organ in (*manifest.organs, *new.organs)}
    audited = [_audited(case, alone[case.id], sound, manifest, known, names) for case in cases]
    return Audit(cases=tuple(audited))


def poorly_known(manifest: ModelManifest) -> tuple[str, ...]:
    """Names of organs that the teacher itself finds badly: what it says of them says nothing of a scan."""
    return tuple(organ.name for i, organ in enumerate(manifest.organs) if i not in _well_known(manifest))


def _well_known(manifest: ModelManifest) -> list[int]:
    """Positions of the organs whose validation Dice is not poor; all of them where none is any better."""
    dice = {row.organ: row.dice for row in manifest.metrics.validation if row.dice is not None}
    known = [i for i, organ in enumerate(manifest.organs) if dice.get(organ.id, 1.0) >= POOR_DICE]
    return known or list(range(len(manifest.organs)))


def _with_organs(case: CaseEvidence, kept: Sequence[int]) -> CaseEvidence:
    views = tuple(replace(view, organs=tuple(view.organs[i] for i in kept)) for view in case.views)
    return replace(case, views=views)


def findings_alone(case: CaseEvidence, manifest: ModelManifest) -> list[Finding]:
    """What a case shows without any other case."""
    if case.failure is not None or case.stored_extent_mm is None or case.stored_spacing_mm is None:
        return [Finding(verdict="unusable", words=f"cannot be read: {case.failure or 'nothing was measured'}")]
    found = extent_findings(case.stored_extent_mm, case.stored_spacing_mm)
    if case.scan is None:
        return found
    found += intensity_findings(case.scan, manifest)
    if worst(found) == "unusable":
        return found
    as_stored = manifest.preprocessing.orientation == STORED
    orientation = case.orientation or manifest.preprocessing.orientation
    found += reading_findings(case.views, case.stored_spacing_mm, orientation, as_stored=as_stored)
    # what explains a scan best is said alone: of one that lies upside down every figure is strange
    return found or shape_findings(case.scan, orientation)


def _lies_otherwise(case: CaseEvidence, cases: Sequence[CaseEvidence], manifest: ModelManifest) -> list[Finding]:
    """A case stored unlike most, of a teacher that takes a scan's axes as they are stored."""
    ways = Counter(one.orientation for one in cases if one.stored_spacing_mm is not None)
    if manifest.preprocessing.orientation != STORED or case.stored_spacing_mm is None or len(ways) < 2:
        return []
    usual, count = ways.most_common(1)[0]
    if case.orientation == usual:
        return []
    words = f"is stored as {case.orientation}, but {count} of {len(cases)} scans as {usual}, and the teacher takes "
    words += "axes as they are stored: import it again with --orientation, or store all scans alike"
    return [Finding(verdict="doubtful", words=words)]


def _audited(
    case: CaseEvidence,
    alone: Sequence[Finding],
    sound: Sequence[CaseEvidence],
    manifest: ModelManifest,
    known: LabelSpace,
    names: Mapping[str, str],
) -> AuditedCase:
    found = list(alone)
    if worst(found) != "unusable":
        others = [other for other in sound if other.id != case.id]
        found += proportion_findings(case, others)
        found += recognition_findings(case, others, known)
        found += label_findings(case, others, names)
        found += conflict_findings(case, known, names)
    spacing_mm = case.stored_spacing_mm
    return AuditedCase(
        id=case.id,
        verdict=worst(found),
        uncertainty=_rounded(case.views[0].uncertainty if case.views else None),
        intensity_distance=_rounded(intensity_distance(case.scan, manifest) if case.scan else None),
        spacing_distance=_rounded(spacing_distance(spacing_mm, manifest) if spacing_mm else None),
        conflicts=case.conflicts,
        reason=_sentence("; ".join(finding.words for finding in found)) if found else FITS,
    )


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
