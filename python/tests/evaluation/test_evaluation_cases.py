"""Rows and summaries of evaluated cases."""

from dataclasses import replace

import numpy as np
import pytest

from organincrement.contract.labels import LabelSpace, Organ
from organincrement.contract.organs import organ_from_name
from organincrement.contract.results import EvaluatedCase, EvaluatedOrgan, Evaluation
from organincrement.evaluation.cases import evaluate_case, evaluation_csv, summarise
from organincrement.evaluation.errors import EvaluationError

SPACING = (2.0, 1.0, 1.0)


def space(*names: str) -> LabelSpace:
    return LabelSpace(tuple(Organ(id=name, name=name.title(), color=(200, 30, 30)) for name in names))


def grid(**labels: tuple[int, slice]) -> np.ndarray:
    array = np.zeros((6, 8, 8), np.uint8)
    for value, rows in labels.values():
        array[1:4, rows, 1:4] = value
    return array


def test_organs_are_matched_by_what_they_are_not_by_their_number():
    predicted = grid(liver=(2, slice(0, 3)), spleen=(1, slice(5, 7)))
    truth = grid(liver=(1, slice(0, 3)), spleen=(2, slice(5, 7)))
    rows = evaluate_case(
        predicted, space("spleen", "liver"), truth, space("liver", "spleen"), ["liver", "spleen"], SPACING
    )
    assert [(row.organ, row.status, row.dice, row.hd95_mm) for row in rows] == [
        ("spleen", "measured", 1.0, 0.0),
        ("liver", "measured", 1.0, 0.0),
    ]
    assert rows[1].volume_mm3 == 3 * 3 * 3 * 2.0


@pytest.mark.parametrize("tumour", ["liver_tumour", "Tumor"])
def test_an_anomaly_is_measured_whatever_its_host_is_called(tumour):
    truth = LabelSpace((organ_from_name("liver"), organ_from_name("liver_tumour")))
    liver, own = truth.organs
    predicted = LabelSpace((replace(liver, id="Leber"), replace(own, id=tumour, host="Leber")))
    array = grid(liver=(1, slice(0, 3)), tumour=(2, slice(5, 7)))
    rows = evaluate_case(array, predicted, array, truth, ["liver", "liver_tumour"], SPACING)
    assert [(row.organ, row.status, row.dice) for row in rows] == [
        ("Leber", "measured", 1.0), (tumour, "measured", 1.0)
    ]  # fmt: skip


def test_each_way_of_having_no_distance_has_its_own_status():
    organs = space("both", "missed", "spurious", "absent", "unasked", "unknown")
    predicted = grid(
        both=(1, slice(0, 1)), spurious=(3, slice(2, 3)), unasked=(5, slice(4, 5)), unknown=(6, slice(6, 7))
    )
    truth = grid(both=(1, slice(0, 1)), missed=(2, slice(2, 3)))
    reference = space("both", "missed", "spurious", "absent", "unasked")
    rows = evaluate_case(predicted, organs, truth, reference, ["both", "missed", "spurious", "absent"], SPACING)
    assert {row.organ: (row.status, row.dice, row.hd95_mm, row.assd_mm) for row in rows} == {
        "both": ("measured", 1.0, 0.0, 0.0),
        "missed": ("missed", 0.0, None, None),
        "spurious": ("spurious", 0.0, None, None),
        "absent": ("both_empty", None, None, None),
        "unasked": ("not_annotated", None, None, None),
        "unknown": ("not_annotated", None, None, None),
    }
    assert {row.organ: row.volume_mm3 for row in rows}["unasked"] == 9 * 2.0


def test_voxels_that_nobody_looked_at_are_neither_right_nor_wrong():
    predicted = grid(organ=(1, slice(0, 8)))
    truth = grid(organ=(1, slice(0, 3)), ignored=(255, slice(3, 8)))
    (row,) = evaluate_case(predicted, space("organ"), truth, space("organ"), ["organ"], SPACING, ignore_value=255)
    assert (row.status, row.dice) == ("measured", 1.0)
    assert row.volume_mm3 == 3 * 8 * 3 * 2.0


def test_other_grids_and_unknown_organs_are_refused():
    labels = grid()
    with pytest.raises(EvaluationError, match=r"\(6, 8, 8\).*\(6, 8, 7\)"):
        evaluate_case(labels, space("a"), labels[..., :7], space("a"), ["a"], SPACING)
    with pytest.raises(EvaluationError, match="'b'"):
        evaluate_case(labels, space("a"), labels, space("a"), ["b"], SPACING)


def row(organ: str, status: str, dice: float | None, mm: float | None) -> EvaluatedOrgan:
    return EvaluatedOrgan(organ=organ, status=status, dice=dice, hd95_mm=mm, assd_mm=mm, volume_mm3=10.0)


def test_a_missed_organ_lowers_the_mean_dice_but_has_no_distance_to_average():
    cases = [
        EvaluatedCase(id="p1", organs=(row("liver", "measured", 0.9, 2.0), row("spleen", "both_empty", None, None))),
        EvaluatedCase(id="p2", organs=(row("liver", "measured", 0.6, 4.0), row("spleen", "measured", 0.5, 1.0))),
        EvaluatedCase(id="p3", organs=(row("liver", "missed", 0.0, None), row("spleen", "not_annotated", None, None))),
    ]
    liver, spleen = summarise(cases)
    assert (liver.organ, liver.n, liver.dice, liver.hd95_mm, liver.assd_mm) == (
        "liver",
        3,
        pytest.approx(0.5),
        3.0,
        3.0,
    )
    assert liver.ci95 is not None and 0.0 <= liver.ci95[0] < 0.5 < liver.ci95[1] <= 0.9
    assert (spleen.n, spleen.dice, spleen.ci95) == (1, 0.5, None)


def test_an_organ_never_measured_has_no_mean():
    (summary,) = summarise([EvaluatedCase(id="p1", organs=(row("liver", "not_annotated", None, None),))])
    assert (summary.n, summary.dice, summary.hd95_mm, summary.ci95) == (0, None, None, None)


def test_the_csv_has_one_line_per_case_and_organ_and_empty_fields_for_what_is_missing():
    case = EvaluatedCase(id="p1", organs=(row("liver", "measured", 0.9, 2.0), row("spleen", "missed", 0.0, None)))
    evaluation = Evaluation(model="m", reference="truth", cases=(case,), summary=summarise([case]))
    assert evaluation_csv(evaluation).splitlines() == [
        "case,organ,status,dice,hd95_mm,assd_mm,volume_mm3",
        "p1,liver,measured,0.9,2.0,2.0,10.0",
        "p1,spleen,missed,0.0,,,10.0",
    ]
