"""What is strange about one case among the others of its dataset: missing organs, misplaced labels, conflicts."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import LabelConflict
from organincrement.planning.findings import CaseEvidence, Finding
from organincrement.planning.geometry_check import recognition
from organincrement.planning.label_facts import LabelFacts
from organincrement.planning.teacher_view import TeacherView

Triple = tuple[float, float, float]
FEWEST_OTHERS = 4  # fewer cases are no company to be strange in
SEEN_MM3 = 200.0
UNSURE_PERCENT = 32.0  # mean inside the organs; good scans stay below 20
CONFLICT, CONFLICT_OF_OLD = 0.05, 0.1  # of the label, of the old organ; neighbours that touch share less
OUTSIDE = 0.5
STRANGE, FEW = 5.0, 3.0  # robust standard deviations, and more of them where few cases tell how large one is
_HEADER_OCTAVES, _ALONE_OCTAVES = 0.45, 0.85
_USUAL_STRETCH = (-0.7, 1.08)  # of good trunks up to 1.07; of heads with doubled slices from 1.09
_LEAST_SPREAD_HU, _LEAST_SPREAD_MM = 40.0, 4.0


def recognition_findings(case: CaseEvidence, others: Sequence[CaseEvidence], organs: LabelSpace) -> list[Finding]:
    """Organs that the teacher does not find, or finds without being sure. Args: others: the fitting rest."""
    if not case.views:
        return []
    view = case.views[0]
    missing = [organ.name for organ, seen in zip(organs.organs, view.organs, strict=True) if seen.volume_mm3 < SEEN_MM3]
    found = []
    if 2 * len(missing) >= len(organs):
        words = f"the teacher finds {len(organs) - len(missing)} of its {len(organs)} organs: {_is_it_there(missing)}"
        found.append(Finding(verdict="doubtful", words=words))
    elif missing and len(others) >= FEWEST_OTHERS:
        usual = [name for name in missing if _usually_seen(name, others, organs)]
        if usual:
            words = f"the teacher finds no {', no '.join(usual)}, which it finds in the other scans: "
            found.append(Finding(verdict="doubtful", words=words + _is_it_there(usual)))
    unsure = _mean_uncertainty(view)
    if unsure is not None and unsure > UNSURE_PERCENT:
        words = f"the teacher is unsure of its own organs here ({unsure:.0f} % inside them): look at its segmentation"
        found.append(Finding(verdict="doubtful", words=words))
    return found


def proportion_findings(case: CaseEvidence, others: Sequence[CaseEvidence]) -> list[Finding]:
    """A slice spacing by which the body is longer or shorter, against its thickness, than in the other scans."""
    mine, spacing = case.scan and case.scan.stretch, case.stored_spacing_mm
    theirs = [other.scan.stretch for other in others if other.scan and other.scan.stretch is not None]
    if mine is None or spacing is None:
        return []
    if len(theirs) < FEWEST_OTHERS:
        return _proportion_alone(case, mine, spacing)
    octaves = mine - float(np.median(theirs))
    usual = np.median([_slice_to_pixel(other.stored_spacing_mm) for other in others if other.stored_spacing_mm])
    by_header = _slice_to_pixel(spacing) - float(usual)
    # the header is the suspect where it changes the proportion just as the picture shows it
    limit = _HEADER_OCTAVES if by_header * octaves > 0 and abs(by_header) > _HEADER_OCTAVES else _ALONE_OCTAVES
    if abs(octaves) <= limit:
        return []
    words = f"{_longer(octaves, spacing)}, against its width, than in the other scans: check the spacing"
    return [_doubtful(words)]


def _proportion_alone(case: CaseEvidence, stretch: float, spacing_mm: Triple) -> list[Finding]:
    """Without company: an unusual proportion, where the teacher does not mind the spacing that it is used to."""
    if _USUAL_STRETCH[0] <= stretch <= _USUAL_STRETCH[1]:
        return []
    scores = recognition(case.views)
    scaled = [score for score, view in zip(scores, case.views, strict=True) if not view.reading.flipped][1:]
    if not scaled or max(scaled) < scores[0]:
        return []
    words = f"{_longer(stretch - 0.2, spacing_mm)}, against its width, than bodies are, and the slice spacing is not"
    return [_doubtful(f"{words} what the teacher was trained on: check it")]


def _longer(octaves: float, spacing_mm: Triple) -> str:
    way = "longer" if octaves > 0 else "shorter"
    return f"by its slice spacing of {spacing_mm[0]:.3g} mm the body is about {2 ** abs(octaves):.1f} times {way}"


def conflict_findings(case: CaseEvidence, organs: LabelSpace, names: Mapping[str, str]) -> list[Finding]:
    """Labels that lie on organs which the teacher knows well. Args: organs: those. names: of all organs by id."""
    return [
        Finding(
            verdict="doubtful",
            words=f"the label of {names[conflict.new]} lies on the teacher's {names[conflict.old]} with "
            f"{conflict.volume_mm3 / 1000:.1f} ml ({100 * conflict.fraction:.0f} % of the label): correct one of them",
        )
        for conflict in case.conflicts
        if conflict.old in organs.ids
        and (conflict.fraction >= CONFLICT or _of_old(conflict, case, organs) >= CONFLICT_OF_OLD)
    ]


def _of_old(conflict: LabelConflict, case: CaseEvidence, organs: LabelSpace) -> float:
    """The share of the teacher's organ that the label covers."""
    if not case.views:
        return 0.0
    volume_mm3 = case.views[0].organs[organs.index(conflict.old) - 1].volume_mm3
    return conflict.volume_mm3 / volume_mm3 if volume_mm3 else 0.0


def label_findings(case: CaseEvidence, others: Sequence[CaseEvidence], names: Mapping[str, str]) -> list[Finding]:
    """Labels in the air, or with other tissue in them or at another place than in the other cases."""
    found = []
    for label in case.labels:
        name = names[label.organ]
        if label.off_body_share > OUTSIDE:
            found.append(_doubtful(f"{100 * label.off_body_share:.0f} % of the label of {name} lies outside the body"))
        company = [(other, theirs) for other in others for theirs in other.labels if theirs.organ == label.organ]
        if len(company) < FEWEST_OTHERS:
            continue
        found += [_doubtful(words) for words in _strange_label(case, label, company, name)]
    return found


def _strange_label(
    case: CaseEvidence, label: LabelFacts, company: Sequence[tuple[CaseEvidence, LabelFacts]], name: str
) -> Iterator[str]:
    means = np.array([theirs.mean for _, theirs in company])
    if abs(label.mean - np.median(means)) > _strange(means) * max(_spread(means), _LEAST_SPREAD_HU):
        yield (
            f"in the label of {name} lie {label.mean:.0f} HU on average, in the other cases {np.median(means):.0f}: "
            "check whether it is misplaced"
        )
    mine = _place(case, label)
    places = [place for place in (_place(*pair) for pair in company) if place is not None]
    if mine is None or len(places) < FEWEST_OTHERS:
        return
    usual = np.median(places, axis=0)
    apart = np.linalg.norm(mine - usual)
    distances = np.linalg.norm(places - usual, axis=1)
    if apart > _strange(distances) * max(_spread(distances, about=0.0), _LEAST_SPREAD_MM):
        yield f"the label of {name} lies {apart:.0f} mm from its usual place among the teacher's organs"


def _slice_to_pixel(spacing_mm: Triple) -> float:
    """Octaves."""
    return float(np.log2(spacing_mm[0]) - np.mean(np.log2(spacing_mm[1:])))


def _place(case: CaseEvidence, label: LabelFacts) -> np.ndarray | None:
    """Where the label lies, from the middle of the teacher's organs, in mm; None where an organ is missing."""
    centres = [organ.centre_mm for organ in case.views[0].organs] if case.views else []
    known = [centre for centre in centres if centre is not None]
    if not known or len(known) < len(centres):
        return None
    return np.array(label.centre_mm) - np.mean(known, axis=0)


def _strange(values: np.ndarray) -> float:
    return STRANGE * (1 + FEW / len(values))


def _spread(values: np.ndarray, about: float | None = None) -> float:
    """A standard deviation that a few strange values do not widen."""
    middle = np.median(values) if about is None else about
    return float(1.4826 * np.median(np.abs(values - middle)))


def _usually_seen(name: str, others: Sequence[CaseEvidence], organs: LabelSpace) -> bool:
    index = organs.names.index(name)
    seen = [other.views[0].organs[index].volume_mm3 >= SEEN_MM3 for other in others if other.views]
    return len(seen) >= FEWEST_OTHERS and np.mean(seen) >= 0.8


def _mean_uncertainty(view: TeacherView) -> float | None:
    known = [organ.uncertainty for organ in view.organs if organ.uncertainty is not None]
    return float(np.mean(known)) if known else None


def _is_it_there(names: Sequence[str]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)} on the scan, or cut off?"


def _doubtful(words: str) -> Finding:
    return Finding(verdict="doubtful", words=words)
