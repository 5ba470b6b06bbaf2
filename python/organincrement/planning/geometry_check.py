"""Does a scan lie as its header says, and are its voxels as large? Asked of the body, and of the teacher's eye."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from organincrement.contract.model import ModelManifest
from organincrement.planning.findings import Finding
from organincrement.planning.scan_facts import ScanFacts
from organincrement.planning.teacher_view import Reading, TeacherView

Triple = tuple[float, float, float]
TURNS = (Reading(flipped=(0,)), Reading(flipped=(1,)), Reading(flipped=(0, 1)), Reading(flipped=(2,)))
CLEARER = 0.2  # of the recognition 0..1: true readings lead false ones by 0.3 and more, and false ones never lead
CLEARER_MIRRORED = 0.35  # left and right differ least
WIDEST_MM, LONGEST_MM = 850.0, 2500.0  # no scanner's field of view is wider; no patient longer
NARROWEST_MM = 70.0
BODY_MM = (80.0, 460.0)  # the thinner side of a body within its slices
STRETCH = (-1.0, 1.6)  # octaves; good scans of head and neck lie in -0.6 to 0.5, of the trunk up to 1
TRY_SPACING = 0.2  # octaves outside the teacher's range from which another spacing is tried
_SURE_PERCENT = 50.0  # an organ this uncertain counts nothing
_LEAST_ORGAN_MM3 = 200.0
_MOST, _SURE_ENOUGH = 0.6, 32.0


def extent_findings(extent_mm: Triple, spacing_mm: Triple) -> list[Finding]:
    """Sizes that no scan has, asked before anything is resampled. Axes D, H, W."""
    along, across = extent_mm[0], max(extent_mm[1:])
    size = f"measures {across:.0f} mm across and {along:.0f} mm along by the header"
    size += f" (voxels of {_times(spacing_mm[::-1])} mm)"
    if across > WIDEST_MM or along > LONGEST_MM:
        words = f"{size}, more than any scanner's: the spacing is wrong; export it again"
    elif across < NARROWEST_MM:
        words = f"{size}: is the spacing in centimetres? Export it again in millimetres"
    else:
        return []
    return [Finding(verdict="unusable", words=words)]


def spacing_distance(spacing_mm: Triple, manifest: ModelManifest) -> float:
    """Octaves by which the spacing lies outside the teacher's range, on the worst axis: 0 inside, 1 a factor of two.

    Args: spacing_mm: D, H, W of the model's orientation, as stored. Where the package records no range, the network's
    own spacing stands for it.
    """
    low, high = _trained_range(manifest)
    outside = [max(math.log2(a / mm), math.log2(mm / b), 0.0) for mm, a, b in zip(spacing_mm, low, high, strict=True)]
    return max(outside)


def spacings_to_try(spacing_mm: Triple, scan: ScanFacts, manifest: ModelManifest) -> tuple[Reading, ...]:
    """The reading with the teacher's median spacing, where the scan's own gives reason for doubt."""
    if spacing_distance(spacing_mm, manifest) < TRY_SPACING and _body_is_plausible(scan):
        return ()
    known = manifest.trained_on.spacing_mm
    usual = in_array_order(known.median if known else manifest.preprocessing.spacing_mm, manifest)
    d, h, w = (b / a for a, b in zip(spacing_mm, usual, strict=True))
    return (Reading(scale=(d, h, w)),)


def recognition(views: Sequence[TeacherView]) -> list[float]:
    """How well the teacher recognises its organs under each reading, 0..1, each organ against its best reading.

    An organ counts by the voxels that it fills times the certainty inside it: turned round or out of scale, organs
    shrink or vanish, and what is left of them is uncertain.
    """
    if not views:
        return []
    sure = np.array([[_evidence(view, i) for i in range(len(view.organs))] for view in views])
    best = sure.max(0)
    seen = best > _LEAST_ORGAN_MM3 / 2
    if not seen.any():
        return [0.0] * len(views)
    return [float(value) for value in (sure[:, seen] / best[seen]).mean(1)]


def reading_findings(
    views: Sequence[TeacherView], spacing_mm: Triple, orientation: str, *, as_stored: bool = False
) -> list[Finding]:
    """Another reading in which the teacher recognises its organs far better.

    Args: views: as stored first. orientation: of the scan as the teacher sees it. as_stored: nobody turned it.
    """
    if len(views) < 2:
        return []
    scores = recognition(views)
    best = int(np.argmax(scores))
    reading = views[best].reading
    lead = CLEARER_MIRRORED if _only_sides(reading, orientation) else CLEARER
    if scores[best] < scores[0] + lead or not _knows_its_organs(views[best]):
        return []
    against = f"(recognition {100 * scores[best]:.0f} of 100, as stored {100 * scores[0]:.0f})"
    if reading.flipped:
        words = f"{_turn_in_words(reading.flipped, orientation)}: turned back, the teacher knows its organs {against}; "
        remedy = "correct the orientation in the header or export it again"
        if as_stored:
            seen = _turned_code(orientation, reading.flipped)
            remedy = f"the teacher takes axes as they are stored: import it again with --orientation {seen}"
        return [Finding(verdict="unusable", words=words + remedy)]
    true_mm = [mm * factor for mm, factor in zip(spacing_mm, reading.scale, strict=True)]
    words = f"has a wrong spacing: the header says {_times(spacing_mm[::-1])} mm, but only with about "
    words += f"{_times(true_mm[::-1])} mm does the teacher know its organs {against}"
    return [Finding(verdict="unusable", words=f"{words}; correct the spacing or export it again")]


def shape_findings(scan: ScanFacts, orientation: str) -> list[Finding]:
    """A body of no human size, or out of proportion."""
    found = []
    if not _body_is_plausible(scan) and scan.body_mm is not None:
        words = f"the body is {min(scan.body_mm[1:]):.0f} mm thick by the header; check spacing and units"
        found.append(Finding(verdict="doubtful", words=words))
    if scan.stretch is not None and orientation[2] in "SI" and not STRETCH[0] <= scan.stretch <= STRETCH[1]:
        way = "stretched" if scan.stretch > 0 else "squeezed"
        words = f"looks {way} from head to feet by about {2 ** abs(scan.stretch - 0.3):.1f}; check the slice spacing"
        found.append(Finding(verdict="doubtful", words=words))
    return found


def _knows_its_organs(view: TeacherView) -> bool:
    """Most of them, and surely: of a scan that shows few of them a turn explains nothing."""
    sure = [
        organ.volume_mm3 >= _LEAST_ORGAN_MM3 and organ.uncertainty is not None and organ.uncertainty <= _SURE_ENOUGH
        for organ in view.organs
    ]
    return sum(sure) >= _MOST * len(sure)


def _body_is_plausible(scan: ScanFacts) -> bool:
    return scan.body_mm is None or BODY_MM[0] <= min(scan.body_mm[1:]) <= BODY_MM[1]


def _evidence(view: TeacherView, organ: int) -> float:
    seen = view.organs[organ]
    if seen.uncertainty is None:
        return 0.0
    certainty = max(0.0, 1 - seen.uncertainty / _SURE_PERCENT)
    return seen.volume_mm3 / float(np.prod(view.reading.scale)) * certainty


def _trained_range(manifest: ModelManifest) -> tuple[Triple, Triple]:
    known = manifest.trained_on.spacing_mm
    own = manifest.preprocessing.spacing_mm
    low, high = (known.min, known.max) if known else (own, own)
    return in_array_order(low, manifest), in_array_order(high, manifest)


def in_array_order(of_network_axes: Iterable[float], manifest: ModelManifest) -> Triple:
    """Values of the network's axes as those of D, H, W of the model's orientation."""
    placed = [0.0, 0.0, 0.0]
    for value, array_axis in zip(of_network_axes, manifest.preprocessing.axis_order, strict=True):
        placed[array_axis] = value
    return placed[0], placed[1], placed[2]


def _letters(flipped: Sequence[int], orientation: str) -> set[str]:
    """The body's axes, as S, P, L, that these array axes run along."""
    return {orientation[2 - axis].translate(str.maketrans("IAR", "SPL")) for axis in flipped}


def _turned_code(orientation: str, flipped: Sequence[int]) -> str:
    """The orientation that a scan has with some of its array's axes turned round."""
    letters = list(orientation)
    for axis in flipped:
        letters[2 - axis] = letters[2 - axis].translate(str.maketrans("LRPASI", "RLAPIS"))
    return "".join(letters)


def _only_sides(reading: Reading, orientation: str) -> bool:
    return _letters(reading.flipped, orientation) == {"L"}


def _turn_in_words(flipped: Sequence[int], orientation: str) -> str:
    letters = _letters(flipped, orientation)
    if letters == {"S"}:
        return "lies upside down, head and feet exchanged"
    if letters == {"P"}:
        return "lies front to back (on the belly, or mirrored)"
    if letters == {"L"}:
        return "is mirrored, left and right exchanged"
    return "lies upside down and front to back"


def _times(values: Sequence[float]) -> str:
    return " × ".join(f"{value:.3g}" for value in values)
