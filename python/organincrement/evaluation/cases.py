"""One predicted case against its reference, organ by organ, and the summary over cases."""

import csv
import io
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.results import EvaluatedCase, EvaluatedOrgan, Evaluation, SummaryRow
from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.metrics import Mask, measure
from organincrement.evaluation.statistics import bootstrap_ci

Labels = NDArray[np.integer]
Status = Literal["both_empty", "missed", "spurious", "not_annotated"]  # of an organ without distances


def evaluate_case(
    predicted_DHW: Labels,
    predicted_space: LabelSpace,
    truth_DHW: Labels,
    truth_space: LabelSpace,
    annotated: Collection[str],
    spacing_mm: Sequence[float],
    *,
    ignore_value: int | None = None,
) -> tuple[EvaluatedOrgan, ...]:
    """Measure every organ of the model on one case; organs are matched by their codes, else by id.

    An organ that nobody looked for is `not_annotated`: its voxels in the prediction are neither right nor wrong.
    Voxels where the reference has `ignore_value` count in neither mask. An organ found on one side only has Dice 0 and
    no distance.

    Args: predicted_DHW, truth_DHW labels on one grid, in the values of their spaces. annotated: ids of truth_space that
        were looked for. spacing_mm per array axis.
    Returns: one row per organ of predicted_space, in its order; volume_mm3 is that of the whole prediction.
    Raises: EvaluationError on differing grids, or an annotated id that truth_space lacks.
    """
    _check(predicted_DHW, truth_DHW, truth_space, annotated)
    truth_space = LabelSpace(truth_space.hosted_in(predicted_space.organs))  # whatever an anomaly's host is called
    looked_at = None if ignore_value is None else truth_DHW != ignore_value
    voxel_mm3 = math.prod(spacing_mm)
    rows = []
    for label, organ in enumerate(predicted_space.organs, start=1):
        predicted = predicted_DHW == label
        volume_mm3 = float(np.count_nonzero(predicted) * voxel_mm3)
        partner = _partner(organ, truth_space)
        if partner is None or partner not in annotated:
            rows.append(_row(organ.id, "not_annotated", volume_mm3))
            continue
        truth = truth_DHW == truth_space.index(partner)
        if looked_at is not None:
            predicted &= looked_at
            truth &= looked_at
        rows.append(_compare(organ.id, predicted, truth, spacing_mm, volume_mm3))
    return tuple(rows)


def summarise(cases: Iterable[EvaluatedCase]) -> tuple[SummaryRow, ...]:
    """Mean of each organ over the cases, in the order in which the organs first appear.

    n and Dice: cases with a Dice, missed and spurious ones counting 0. HD95 and ASSD: cases where both sides have the
    organ. ci95: percentile bootstrap of the mean Dice, None below two cases.
    """
    by_organ: dict[str, list[EvaluatedOrgan]] = {}
    for case in cases:
        for row in case.organs:
            by_organ.setdefault(row.organ, []).append(row)
    return tuple(_summary_row(organ, rows) for organ, rows in by_organ.items())


def evaluation_csv(evaluation: Evaluation) -> str:
    """One line per case and organ with a header; an empty field is a measure without a value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "organ", "status", "dice", "hd95_mm", "assd_mm", "volume_mm3"])
    for case in evaluation.cases:
        for row in case.organs:
            writer.writerow([case.id, row.organ, row.status, row.dice, row.hd95_mm, row.assd_mm, row.volume_mm3])
    return text.getvalue()


def _check(predicted_DHW: Labels, truth_DHW: Labels, truth_space: LabelSpace, annotated: Collection[str]) -> None:
    if predicted_DHW.shape != truth_DHW.shape:
        raise EvaluationError(
            f"prediction {predicted_DHW.shape} and reference {truth_DHW.shape} differ: resample to one grid first"
        )
    for organ in annotated:
        if organ not in truth_space.ids:
            raise EvaluationError(f"annotated organ {organ!r} is not one of the dataset's: correct the case")


def _partner(organ: Organ, space: LabelSpace) -> str | None:
    """The id under which another label space has this organ."""
    return next((other.id for other in space.organs if organ.same_as(other)), None)


def _compare(
    organ: str, predicted: Mask, truth: Mask, spacing_mm: Sequence[float], volume_mm3: float
) -> EvaluatedOrgan:
    found, exists = bool(predicted.any()), bool(truth.any())
    if not (found and exists):
        status: Status = "missed" if exists else "spurious" if found else "both_empty"
        return _row(organ, status, volume_mm3, dice=0.0 if found or exists else None)
    measures = measure(predicted, truth, spacing_mm)
    return EvaluatedOrgan(
        organ=organ,
        status="measured",
        dice=measures.dice,
        hd95_mm=measures.hd95_mm,
        assd_mm=measures.assd_mm,
        volume_mm3=volume_mm3,
    )


def _row(organ: str, status: Status, volume_mm3: float, *, dice: float | None = None) -> EvaluatedOrgan:
    return EvaluatedOrgan(organ=organ, status=status, dice=dice, hd95_mm=None, assd_mm=None, volume_mm3=volume_mm3)


def _summary_row(organ: str, rows: Sequence[EvaluatedOrgan]) -> SummaryRow:
    dice = [row.dice for row in rows if row.dice is not None]
    interval = bootstrap_ci(dice) if len(dice) > 1 else None
    return SummaryRow(
        organ=organ,
        n=len(dice),
        dice=_mean(dice),
        hd95_mm=_mean([row.hd95_mm for row in rows if row.hd95_mm is not None]),
        assd_mm=_mean([row.assd_mm for row in rows if row.assd_mm is not None]),
        ci95=interval,
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
