"""Self-contained HTML reports: an evaluation, and the story of one increment."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.results import Evaluation
from organincrement.evaluation.curve_charts import dice_chart, loss_chart, reliability_chart
from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.organ_charts import MAX_POINTS, StripChart, dot_chart, strip_chart
from organincrement.evaluation.page import render_page
from organincrement.evaluation.slice_pictures import picture_rows
from organincrement.evaluation.story import Fact, Link, Story
from organincrement.evaluation.tables import case_tables, forgetting_lines, method_lines


def render_evaluation(
    evaluation: Evaluation,
    organs: LabelSpace,
    *,
    title: str = "",
    intro: Sequence[str] = (),
    facts: Sequence[Fact] = (),
    notes: Sequence[str] = (),
    links: Sequence[Link] = (),
    made: str = "",
) -> str:
    """One HTML page with the summary, its distribution over cases, and every case.

    Args: organs: the model's, for names and colours. facts are added to the figures that the evaluation gives itself.
    Raises: EvaluationError when the evaluation has an organ that `organs` lacks.
    """
    known = _organs_of(evaluation, organs)
    against = "the reference contours" if evaluation.reference == "truth" else "its teacher"
    return render_page(
        "evaluation.html",
        title=title or f"{evaluation.model} against {against}",
        kind="Evaluation report",
        intro=intro,
        facts=[*_evaluation_facts(evaluation), *facts],
        summary=[(known[row.organ], row) for row in evaluation.summary],
        charts=_evaluation_charts(evaluation, list(known.values())),
        organs=list(known.values()),
        tables=case_tables(evaluation, list(known.values())),
        all_drawn=len(evaluation.cases) <= MAX_POINTS,
        against=against,
        notes=notes,
        links=links,
        made=made,
    )


def render_story(story: Story) -> str:
    """One HTML page that tells an increment from teacher to student: figures, slices, regions, curves, limits.

    Raises: EvaluationError when a slice does not fit, or a region or test names an organ that the story lacks.
    """
    names = {organ.id: organ for organ in story.organs}
    for organ in (*(region.organ for region in story.regions), *(test.organ for test in story.tests)):
        if organ not in names:
            raise EvaluationError(f"the story has no organ {organ!r}: list it under old or new")
    pictures, bar = picture_rows(story)
    curves = [(c.name, [x for x in (dice_chart(c, story.organs), loss_chart(c)) if x]) for c in story.curves]
    calibration = story.calibration
    return render_page(
        "story.html",
        kind="Increment report",
        title=story.title,
        intro=story.intro,
        facts=story.facts,
        story=story,
        names=names,
        methods=method_lines(story),
        dots=dot_chart(story.organs, story.methods) if len(story.methods) > 1 and story.organs else None,
        forgetting=forgetting_lines(story),
        pictures=pictures,
        bar=bar,
        reliability=calibration
        and [
            reliability_chart("Before: temperature 1", calibration.before),
            reliability_chart(f"After: temperature {calibration.temperature:.2f}", calibration.after),
        ],
        curves=[(name, charts) for name, charts in curves if charts],
        notes=story.notes,
        links=story.links,
        made=story.made,
    )


def _organs_of(evaluation: Evaluation, organs: LabelSpace) -> Mapping[str, Organ]:
    """The organs of an evaluation by id, in the order of its summary."""
    found = {}
    for row in evaluation.summary:
        if row.organ not in organs.ids:
            raise EvaluationError(
                f"the evaluation has organ {row.organ!r} that the model lacks: pass its own label space"
            )
        found[row.organ] = organs.organs[organs.index(row.organ) - 1]
    return found


def _evaluation_facts(evaluation: Evaluation) -> list[Fact]:
    rows = [row for case in evaluation.cases for row in case.organs]
    dice = [row.dice for row in evaluation.summary if row.dice is not None]
    hd95 = [row.hd95_mm for row in evaluation.summary if row.hd95_mm is not None]
    missed, spurious = (sum(row.status == status for row in rows) for status in ("missed", "spurious"))
    return [
        Fact(
            label="Mean Dice", value=f"{100 * fmean(dice):.1f} %" if dice else "–", detail="mean of the organs' means"
        ),
        Fact(label="Mean HD95", value=f"{fmean(hd95):.1f} mm" if hd95 else "–", detail="mean of the organs' means"),
        Fact(label="Cases", value=str(len(evaluation.cases)), detail=f"{len(evaluation.summary)} organs"),
        Fact(label="Missed organs", value=str(missed), detail=f"and {spurious} spurious, of {len(rows)}"),
    ]


def _evaluation_charts(evaluation: Evaluation, organs: Sequence[Organ]) -> list[StripChart]:
    def values(name: str) -> dict[str, list[tuple[str, float]]]:
        found: dict[str, list[tuple[str, float]]] = {organ.id: [] for organ in organs}
        for case in evaluation.cases:
            for row in case.organs:
                if (value := getattr(row, name)) is not None:
                    found[row.organ].append((case.id, value))
        return found

    return [
        strip_chart("Dice (%)", organs, values("dice"), as_percent=True, width=940.0),
        strip_chart("HD95 (mm)", organs, values("hd95_mm"), as_percent=False),
        strip_chart("ASSD (mm)", organs, values("assd_mm"), as_percent=False),
    ]
