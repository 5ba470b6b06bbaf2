"""The tables of a report: which value is best, which is unusual, and the words for what could not be measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from organincrement.contract.labels import Organ
from organincrement.contract.results import EvaluatedCase, EvaluatedOrgan, Evaluation
from organincrement.evaluation.number_format import MISSING, decimal, duration, exists, percent, signed_percent
from organincrement.evaluation.organ_charts import tukey
from organincrement.evaluation.story import MethodRow, Role, Story

MAX_CELLS = 4000  # of one case table; beyond it the hardest cases are shown
ROLE_NOTES: Mapping[Role, str] = {
    "teacher": "before: knows the old organs only",
    "student": "after: old and new organs",
    "baseline": "for comparison",
    "bound": "upper bound, for reference",
}
STATUS_WORDS = {
    "missed": ("missed", "in the reference, not found by the model"),
    "spurious": ("spurious", "found by the model, not in the reference"),
    "both_empty": ("absent", "in neither: nothing to measure"),
    "not_annotated": ("·", "not looked for in this case"),
}


@dataclass(frozen=True)
class Cell:
    """One value as text, how it is set (best | low | status | plain) and what it says when pointed at."""

    text: str
    look: str = "plain"
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class MethodLine:
    """One row of the table of methods."""

    name: str
    role: Role
    note: str
    organs: Sequence[Cell]
    old_mean: Cell
    change: Cell
    new_mean: Cell
    average: Cell
    time: str


@dataclass(frozen=True, kw_only=True)
class CaseLine:
    """One row of a table of cases."""

    id: str
    cells: Sequence[Cell]
    mean: str


@dataclass(frozen=True, kw_only=True)
class CaseTable:
    """One measure of every case and organ; `left_out` counts the cases that did not fit."""

    title: str
    lines: Sequence[CaseLine]
    left_out: int


def method_lines(story: Story) -> list[MethodLine]:
    """Rows of the table of methods, in per cent; the best of students and baselines is marked, equal ones together."""
    teacher = next((row for row in story.methods if row.role == "teacher"), None)
    columns = [[row.dice.get(organ.id) for row in story.methods] for organ in story.organs]
    means = [[getattr(row, name) for row in story.methods] for name in ("old_mean", "new_mean", "average")]
    cells = [_best_marked(column, story.methods) for column in (*columns, *means)]
    lines = []
    for number, row in enumerate(story.methods):
        *organs, old_mean, new_mean, average = (column[number] for column in cells)
        change = row.old_mean - teacher.old_mean if teacher and row is not teacher else None
        lines.append(
            MethodLine(
                name=row.name,
                role=row.role,
                note=row.note or ROLE_NOTES[row.role],
                organs=organs,
                old_mean=old_mean,
                change=Cell(signed_percent(change), "low" if exists(change) and change <= -0.02 else "plain"),
                new_mean=new_mean,
                average=average,
                time=duration(row.seconds),
            )
        )
    return lines


def forgetting_lines(story: Story) -> list[tuple[str, list[Cell]]]:
    """Rows of the forgetting matrix, methods by old organs, in percentage points; 2 points lost and more are marked."""
    lines = []
    for row in story.methods:
        if row.forgetting:
            values = [row.forgetting.get(organ.id) for organ in story.old]
            lines.append(
                (row.name, [Cell(signed_percent(v), "low" if exists(v) and v >= 0.02 else "plain") for v in values])
            )
    return lines


def case_tables(evaluation: Evaluation, organs: Sequence[Organ]) -> list[CaseTable]:
    """Dice, HD95, ASSD and volume of every case and organ; a Dice below its organ's lower whisker is marked."""
    cases, left_out = _shown(evaluation.cases, len(organs))
    fences = {organ.id: _fence(evaluation, organ.id) for organ in organs}

    def table(title: str, name: str, digits: int, factor: float) -> CaseTable:
        lines = []
        for case in cases:
            rows = {row.organ: row for row in case.organs}
            cells = [_case_cell(rows.get(o.id), name, digits, factor, fences[o.id]) for o in organs]
            values = [v for row in case.organs if (v := getattr(row, name)) is not None]
            mean = decimal(factor * sum(values) / len(values), digits) if values else MISSING
            lines.append(CaseLine(id=case.id, cells=cells, mean=mean))
        return CaseTable(title=title, lines=lines, left_out=left_out)

    return [
        table("Dice (%)", "dice", 1, 100.0),
        table("HD95 (mm)", "hd95_mm", 1, 1.0),
        table("ASSD (mm)", "assd_mm", 2, 1.0),
        table("Predicted volume (cm³)", "volume_mm3", 1, 1e-3),
    ]


def _best_marked(values: Sequence[float | None], methods: Sequence[MethodRow]) -> list[Cell]:
    ranked = [row.role in ("student", "baseline") for row in methods]
    texts = [percent(value) for value in values]
    found = [v for v, counts in zip(values, ranked, strict=True) if counts and v is not None and exists(v)]
    best = percent(max(found)) if len(found) > 1 else None  # one value alone is not the best of anything
    return [
        Cell(text, "best" if counts and text == best else "plain") for text, counts in zip(texts, ranked, strict=True)
    ]


def _shown(cases: Sequence[EvaluatedCase], organs: int) -> tuple[Sequence[EvaluatedCase], int]:
    """The cases to print: all, or the hardest (lowest mean Dice) when the table would be too long to read."""
    most = max(MAX_CELLS // max(organs, 1), 10)
    if len(cases) <= most:
        return cases, 0

    def mean_dice(case: EvaluatedCase) -> float:
        values = [row.dice for row in case.organs if row.dice is not None]
        return sum(values) / len(values) if values else 2.0

    return sorted(cases, key=mean_dice)[:most], len(cases) - most


def _fence(evaluation: Evaluation, organ: str) -> float:
    """The lower whisker of an organ's Dice; below it a case is unusual. No case is when there are fewer than five."""
    values = [
        row.dice for case in evaluation.cases for row in case.organs if row.organ == organ and row.dice is not None
    ]
    return tukey(values)[0] if len(values) >= 5 else 0.0


def _case_cell(row: EvaluatedOrgan | None, name: str, digits: int, factor: float, fence: float) -> Cell:
    if row is None:
        return Cell(MISSING)
    value = getattr(row, name)
    if name != "volume_mm3" and row.status != "measured":
        text, title = STATUS_WORDS[row.status]
        return Cell(text, f"status {row.status}", title)
    low = name == "dice" and value is not None and value < fence
    return Cell(decimal(None if value is None else factor * value, digits), "low" if low else "plain")
