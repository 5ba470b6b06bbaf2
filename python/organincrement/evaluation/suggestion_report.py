"""The page that says which scans to annotate next."""

from collections.abc import Sequence
from dataclasses import dataclass

from organincrement.contract.results import SuggestedImage
from organincrement.evaluation.page import render_page
from organincrement.evaluation.slice_pictures import PictureRow, picture_rows
from organincrement.evaluation.story import Fact, SlicePicture, Story

_NOTES = (
    "Uncertainty is the entropy of the model's probabilities, averaged over the body, in per cent of its maximum.",
    "A scan that is broken, or not what the model was made for, is uncertain too: look at it before you annotate it.",
    "The gain is the share of all scans, weighed by likeness, that a line stands for and the lines above do not.",
    "The pictures show patients: keep this page where the scans may be kept.",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownSuggestion:
    """One suggested scan, its name without the ending, and a slice of it."""

    row: SuggestedImage
    name: str
    picture: SlicePicture | None = None


def render_suggestions(shown: Sequence[ShownSuggestion], *, model: str, read: int, left_out: Sequence[str] = ()) -> str:
    """One HTML page. Args: read: how many scans there were to choose from. left_out: why others could not be read."""
    covered = sum(suggestion.row.coverage_gain for suggestion in shown)
    return render_page(
        "suggestions.html",
        title="What to annotate next",
        kind="Suggested scans",
        intro=[
            f"{model} is unsure of these scans, and together they stand for most of the others.",
            "Annotate them from the top; you may stop at any line.",
        ],
        facts=[
            Fact(label="Suggested", value=str(len(shown)), detail=f"of {read} scans"),
            Fact(label="Stand for", value=f"{100 * covered:.0f} %", detail="of the variety of all scans"),
            Fact(label="Not readable", value=str(len(left_out)), detail="named below" if left_out else ""),
        ],
        shown=[(suggestion, _picture(suggestion)) for suggestion in shown],
        left_out=left_out,
        notes=_NOTES,
        links=[],
        made="",
    )


def _picture(suggestion: ShownSuggestion) -> PictureRow | None:
    if suggestion.picture is None:
        return None
    rows, _ = picture_rows(Story(title="", intro=(), old=(), new=(), slices=(suggestion.picture,)))
    return rows[0]
