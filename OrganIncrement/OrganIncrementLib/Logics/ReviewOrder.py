"""In which order cases are reviewed: the most uncertain first, those without results last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

REVIEWED = ("approved", "flagged")
TO_REVIEW, FLAGGED, ALL = "to review", "flagged", "all"
FILTERS = (TO_REVIEW, FLAGGED, ALL)


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """What the table knows of a case.

    status: "" where the case file cannot be read; `problem` then says why. uncertainty: organ id to the mean in per
    cent, of the chosen model. absent: organs that it looked for and did not find. resultsProblem: why there is none.
    """

    id: str
    status: str
    flags: tuple[str, ...] = ()
    comments: int = 0
    uncertainty: Mapping[str, float] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    resultsProblem: str = ""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far the review is; `handedIn` are the cases that a reviewer can decide on."""

    reviewed: int
    handedIn: int
    approved: int
    flagged: int
    drafts: int
    unread: int


def uncertaintyOf(row: CaseRow, organ: str, organs: Sequence[str]) -> float | None:
    """The uncertainty by which a case is ordered, in per cent; None where there is none.

    organ: this organ's mean; "": the mean over those of the dataset's `organs` that the model found, and over all
    organs of the model where it knows none of them (a teacher, before it has learned the new organ).
    """
    if organ:
        return row.uncertainty.get(organ)
    ours = [row.uncertainty[one] for one in organs if one in row.uncertainty]
    values = ours or list(row.uncertainty.values())
    return sum(values) / len(values) if values else None


def ordered(rows: Sequence[CaseRow], organ: str, organs: Sequence[str]) -> list[CaseRow]:
    """The most uncertain first; then cases in which the model missed the organ, then those without results, by id."""

    def place(row: CaseRow) -> tuple[int, float, str]:
        value = uncertaintyOf(row, organ, organs)
        if value is not None:
            return 0, -value, row.id
        missed = organ in row.absent if organ else bool(row.absent)
        return (1 if missed else 2), 0.0, row.id

    return sorted(rows, key=place)


def shown(rows: Sequence[CaseRow], which: str) -> list[CaseRow]:
    """The rows that a filter lets through; a case that cannot be read is in every list but the flagged ones."""
    if which == TO_REVIEW:
        return [row for row in rows if row.status in ("submitted", "")]
    if which == FLAGGED:
        return [row for row in rows if row.status == "flagged"]
    return list(rows)


def nextToReview(rows: Sequence[CaseRow], after: str) -> str | None:
    """The id of the next case that awaits a decision, in the given order, from `after` on and round once."""
    ids = [row.id for row in rows]
    start = ids.index(after) + 1 if after in ids else 0
    turned = [*rows[start:], *rows[:start]]
    return next((row.id for row in turned if row.status == "submitted" and row.id != after), None)


def progress(rows: Sequence[CaseRow]) -> Progress:
    """Counts over all cases of a dataset."""
    count = {status: sum(row.status == status for row in rows) for status in ("submitted", *REVIEWED, "draft", "")}
    reviewed = count["approved"] + count["flagged"]
    return Progress(
        reviewed=reviewed,
        handedIn=reviewed + count["submitted"],
        approved=count["approved"],
        flagged=count["flagged"],
        drafts=count["draft"],
        unread=count[""],
    )
