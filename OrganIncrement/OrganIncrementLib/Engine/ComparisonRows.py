"""Student against teacher, organ by organ, from what packages and evaluations say of themselves."""

from dataclasses import dataclass

from organincrement.contract.labels import Organ
from organincrement.contract.model import ModelManifest
from organincrement.contract.results import Evaluation, SummaryRow

# why a value is missing; panels have words for each
MEASURED = "measured"
REFERENCE = "reference"  # the teacher's own result is what the student is compared with
NOT_IN_MODEL = "not_in_model"
NOT_MEASURED = "not_measured"  # the training held no scan back on which this organ could be measured
NOT_LABELLED = "not_labelled"  # the dataset has no label of this organ
NOWHERE = "nowhere"  # looked for, and in none of the scans
ALIKE = "alike"  # a change that is a distance from the teacher's own result, not a loss: which is better is not known
NO_CHANGE = "no_change"  # one of the two values is missing


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One value (Dice, 0 to 1, or a difference of two), or the reason why there is none; `cases` were measured."""

    status: str
    value: float | None = None
    cases: int | None = None


@dataclass(frozen=True, kw_only=True)
class OrganComparison:
    """One organ of the student, its values and the change from teacher to student."""

    id: str
    name: str
    color: tuple[int, int, int]
    isNew: bool
    teacher: Measure
    student: Measure
    change: Measure


def fromTraining(student: ModelManifest, teacher: ModelManifest | None) -> tuple[OrganComparison, ...]:
    """Rows from the student's own package: old organs by their agreement with the teacher, new ones by their Dice.

    teacher: None where its package is not at hand; an organ is then old when the agreement names it.
    """
    dice, agreement = _byOrgan(student.metrics.validation), _byOrgan(student.metrics.agreement_with_teacher)
    rows = []
    for organ in student.organs:
        isNew = not _known(organ, teacher) if teacher else bool(student.lineage) and organ.id not in agreement
        if isNew or not student.lineage:
            mine = _measure(dice.get(organ.id), NOT_MEASURED)
            rows.append(_row(organ, isNew, Measure(status=NOT_IN_MODEL), mine))
            continue
        mine = _measure(agreement.get(organ.id), NOT_MEASURED)
        change = Measure(status=NO_CHANGE)
        if mine.value is not None:
            change = Measure(status=ALIKE, value=mine.value - 1.0, cases=mine.cases)
        rows.append(_row(organ, isNew, Measure(status=REFERENCE), mine, change))
    return tuple(rows)


def fromEvaluations(
    student: ModelManifest, studentResult: Evaluation | None, teacher: ModelManifest | None,
    teacherResult: Evaluation | None,
) -> tuple[OrganComparison, ...]:  # fmt: skip
    """Rows from `organincrement evaluate` of both on one dataset; a result that is None: not measured."""
    mine, theirs = _evaluated(studentResult), _evaluated(teacherResult)
    otherwise = NOT_MEASURED if studentResult is None else NOT_LABELLED
    rows = []
    for organ in student.organs:
        old = _known(organ, teacher) if teacher else None
        isNew = bool(student.lineage) and old is None and teacher is not None
        if isNew:
            before = Measure(status=NOT_IN_MODEL)
        elif old is None or teacherResult is None:
            before = Measure(status=NOT_MEASURED)
        else:
            before = theirs.get(old.id, Measure(status=NOT_LABELLED))
        rows.append(_row(organ, isNew, before, mine.get(organ.id, Measure(status=otherwise))))
    return tuple(rows)


def lowestAgreement(student: ModelManifest) -> tuple[str, float] | None:
    """Name of the old organ that agrees least with the teacher, and its Dice; None where nothing was measured."""
    names = {organ.id: organ.name for organ in student.organs}
    measured = [(row.dice, row.organ) for row in student.metrics.agreement_with_teacher if row.dice is not None]
    if not measured:
        return None
    dice, organ = min(measured)
    return names.get(organ, organ), dice


def _known(organ: Organ, model: ModelManifest | None) -> Organ | None:
    return next((other for other in model.organs if organ.same_as(other)), None) if model else None


def _row(
    organ: Organ, isNew: bool, teacher: Measure, student: Measure, change: Measure | None = None
) -> OrganComparison:
    if change is None:
        change = Measure(status=NO_CHANGE)
        if teacher.value is not None and student.value is not None:
            change = Measure(status=MEASURED, value=student.value - teacher.value)
    return OrganComparison(
        id=organ.id, name=organ.name, color=organ.color, isNew=isNew, teacher=teacher, student=student, change=change
    )


def _byOrgan(rows: tuple[SummaryRow, ...]) -> dict[str, SummaryRow]:
    return {row.organ: row for row in rows}


def _measure(row: SummaryRow | None, otherwise: str) -> Measure:
    if row is None or row.dice is None:
        return Measure(status=otherwise)
    return Measure(status=MEASURED, value=row.dice, cases=row.n)


def _evaluated(evaluation: Evaluation | None) -> dict[str, Measure]:
    """Each organ's mean Dice; an organ that was looked for but is in no scan and no result has none."""
    if evaluation is None:
        return {}
    lookedFor = {organ.organ for case in evaluation.cases for organ in case.organs if organ.status != "not_annotated"}
    return {row.organ: _measure(row, NOWHERE if row.organ in lookedFor else NOT_LABELLED) for row in evaluation.summary}
