"""The page that says which scans fit a teacher, and what is wrong with the others."""

from collections.abc import Sequence

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import Audit, AuditedCase
from organincrement.evaluation.page import render_page
from organincrement.evaluation.slice_pictures import picture_rows
from organincrement.evaluation.story import Fact, SlicePicture, Story

VERDICTS = ("unusable", "doubtful", "fits")
_WORDS = {
    "unusable": "Unusable: put these right, or leave them out of the training",
    "doubtful": "Doubtful: look at these",
    "fits": "These fit",
}
_NOTES = (
    "Uncertainty is the entropy of the teacher's probabilities, averaged over the body, in per cent of its maximum.",
    "Intensity is the mean shift of the scan's intensities from the teacher's training scans, after the clipping that "
    "the network does anyway; good scans stay below 30 HU.",
    "Spacing is how far the voxels are from the training scans': 0 within their range, 1 a factor of two outside.",
    "What the teacher calls an organ can be wrong. A conflict says that two opinions differ, not whose is right.",
    "Left and right of a body part that is nearly symmetric cannot be told apart by its picture: the audit may miss "
    "a mirrored scan. What fits here may still be of poor quality.",
    "The pictures show patients: keep this page where the scans may be kept.",
)


def render_audit(
    audit: Audit,
    *,
    teacher: str,
    dataset: str,
    old: LabelSpace,
    new: LabelSpace,
    pictures: Sequence[SlicePicture] = (),
    poorly_known: Sequence[str] = (),
) -> str:
    """One HTML page.

    Args: pictures: titled by case id; label values: the teacher's organs, then the dataset's. poorly_known: names of
    organs that the teacher finds badly, so that they were not asked about.
    """
    cases = {verdict: [case for case in audit.cases if case.verdict == verdict] for verdict in VERDICTS}
    organs = (*old.organs, *new.organs)
    story = Story(title="", intro=(), old=old.organs, new=new.organs, slices=pictures)
    rows = {row.title: row for row in picture_rows(story)[0]}
    verdict_of = {case.id: case for case in audit.cases}
    return render_page(
        "audit.html",
        title=f"Do the scans of {dataset} fit {teacher}?",
        kind="Audit before training",
        intro=[_summary(cases, len(audit.cases))],
        facts=_facts(cases, audit),
        groups=[(_WORDS[verdict], verdict, cases[verdict]) for verdict in VERDICTS if cases[verdict]],
        conflicts=[(case.id, conflict) for case in audit.cases for conflict in case.conflicts],
        names={organ.id: organ for organ in organs},
        organs=organs,
        pictures=[(verdict_of[title], row) for title, row in rows.items()],
        notes=[*_notes_on(poorly_known), *_NOTES],
        links=[],
        made="",
    )


def _summary(cases: dict[str, list[AuditedCase]], count: int) -> str:
    bad = count - len(cases["fits"])
    if not bad:
        return f"All {count} scans look like what the teacher was trained on." if count > 1 else "The scan fits."
    return f"{bad} of {count} {'needs' if bad == 1 else 'need'} a look before anything is trained on them."


def _notes_on(poorly_known: Sequence[str]) -> list[str]:
    if not poorly_known:
        return []
    return [f"The teacher's own validation is poor for {', '.join(poorly_known)}: no scan is judged by it."]


def _facts(cases: dict[str, list[AuditedCase]], audit: Audit) -> list[Fact]:
    known = [case.uncertainty for case in audit.cases if case.uncertainty is not None]
    highest = f"{max(known):.2f} %" if known else "–"
    return [
        Fact(label="Fit", value=str(len(cases["fits"])), detail=f"of {len(audit.cases)}"),
        Fact(label="Doubtful", value=str(len(cases["doubtful"]))),
        Fact(label="Unusable", value=str(len(cases["unusable"]))),
        Fact(label="Highest uncertainty", value=highest, detail="mean over the body"),
    ]
