"""What the checks of a label find, on arrays with a known fault each."""

import numpy as np
import pytest

from fixtures.phantoms import liverMask, obliqueDirections, phantomArray
from organincrement.contract.organs import organ_from_name
from OrganIncrementLib.Logics.CaseChecks import checkCase, withoutSpecks
from OrganIncrementLib.Logics.CaseLabels import CaseArrays, labelArray
from OrganIncrementLib.Logics.ConnectedParts import connectedParts
from OrganIncrementLib.Logics.Grid import Grid

SHAPE = (20, 28, 32)
LIVER, LEFT, RIGHT = (organ_from_name(name) for name in ("liver", "left kidney", "right kidney"))


def grid(directions=None):
    """Of the phantom; by default x of the array runs to the patient's left, as scanners write it."""
    matrix = np.eye(4)
    matrix[:3, :3] = (np.diag([-1.0, -1.0, 1.0]) if directions is None else directions) * np.array([6.0, 7.0, 9.0])
    matrix[:3, 3] = matrix[:3, :3] @ (-np.array(SHAPE[::-1]) / 2)
    return Grid(SHAPE, matrix)


def arrays(directions=None, **masks):
    """A case with these organs drawn."""
    return CaseArrays(image_KJI=phantomArray(), grid=grid(directions), masks=masks)


def box(k, j, i):
    mask = np.zeros(SHAPE, bool)
    mask[k, j, i] = True
    return mask


def codes(checks):
    return {(check.code, check.level, check.organ) for check in checks}


def test_a_good_label_gets_one_line_with_its_volume():
    checks = checkCase(arrays(liver=liverMask()), [LIVER], "CT")
    assert codes(checks) == {("grid", "ok", ""), ("organ", "ok", "liver")}
    volume_ml = liverMask().sum() * 6 * 7 * 9 / 1000
    assert f"{volume_ml:.1f} mL" in checks[-1].text or f"{volume_ml:.1f} mL" in checks[0].text


def test_specks_are_counted_and_can_be_removed():
    mask = liverMask() | box(15, 14, 20) | box(4, 10, 24)
    found = [check for check in checkCase(arrays(liver=mask), [LIVER], "CT") if check.code == "specks"]
    assert (found[0].level, found[0].mend) == ("confirm", "removeSpecks")
    assert "2" in found[0].text
    assert (withoutSpecks(mask) == liverMask()).all()


def test_two_large_parts_are_a_note_and_stay():
    mask = box(slice(8, 12), slice(10, 18), slice(6, 12)) | box(slice(8, 12), slice(10, 18), slice(20, 26))
    assert ("parts", "note", "liver") in codes(checkCase(arrays(liver=mask), [LIVER], "CT"))
    assert (withoutSpecks(mask) == mask).all()


def test_a_label_in_the_air_around_the_patient_is_named_but_air_inside_is_not():
    outside = box(slice(2, 10), slice(0, 3), slice(0, 3))
    assert ("outside", "confirm", "liver") in codes(checkCase(arrays(liver=outside), [LIVER], "CT"))
    image = phantomArray()
    hollow = box(slice(6, 12), slice(12, 16), slice(12, 20))
    image[hollow] = -1000
    case = CaseArrays(image_KJI=image, grid=grid(), masks={"liver": hollow})
    assert "outside" not in {check.code for check in checkCase(case, [LIVER], "CT")}


def test_a_windpipe_that_reaches_the_lower_edge_of_the_scan_is_inside():
    image = phantomArray()
    pipe = box(slice(0, 12), slice(12, 16), slice(14, 18))
    image[pipe] = -1000
    case = CaseArrays(image_KJI=image, grid=grid(), masks={"liver": pipe})
    assert "outside" not in {check.code for check in checkCase(case, [LIVER], "CT")}


@pytest.mark.parametrize("directions", [None, obliqueDirections(), np.eye(3)])
def test_left_and_right_follow_the_patient_whatever_the_grid(directions):
    low, high = box(slice(6, 12), slice(12, 16), slice(6, 10)), box(slice(6, 12), slice(12, 16), slice(22, 26))
    towardsRight = (grid(directions).ijkToRas[:3, :3] @ np.array([1, 0, 0]))[0] > 0
    left, right = (low, high) if towardsRight else (high, low)
    good = checkCase(arrays(directions, kidney_left=left, kidney_right=right), [LEFT, RIGHT], "CT")
    assert "side" not in {check.code for check in good}
    bad = checkCase(arrays(directions, kidney_left=right, kidney_right=left), [LEFT, RIGHT], "CT")
    assert {("side", "confirm", "kidney_left"), ("side", "confirm", "kidney_right")} <= codes(bad)


def test_nothing_drawn_asks_and_an_absent_organ_is_an_answer():
    asked = checkCase(arrays(), [LIVER], "CT")
    assert ("empty", "confirm", "liver") in codes(asked)
    answered = checkCase(arrays(), [LIVER], "CT", absent={"liver"})
    assert ("absent", "ok", "liver") in codes(answered)


def test_one_of_two_organs_drawn_leaves_the_other_unknown_with_a_note():
    checks = checkCase(arrays(liver=liverMask()), [LIVER, LEFT], "CT")
    assert ("empty", "note", "kidney_left") in codes(checks)
    assert not any(check.level in ("confirm", "problem") for check in checks)


def test_overlapping_organs_are_named_and_the_later_one_wins():
    mask = box(slice(6, 12), slice(12, 16), slice(22, 26))
    case = arrays(liver=mask, kidney_left=mask)
    assert "overlap" in {check.code for check in checkCase(case, [LIVER, LEFT], "CT")}
    assert set(np.unique(labelArray(case, [LIVER, LEFT], 255))) == {0, 2}


def test_what_asks_for_an_answer_comes_first():
    checks = checkCase(arrays(liver=liverMask() | box(15, 14, 20)), [LIVER, LEFT], "CT")
    assert [check.level for check in checks] == ["confirm", "note", "ok"]


def test_parts_are_ranked_by_size():
    regions, sizes = connectedParts(liverMask() | box(15, 14, 20))
    assert sizes == [int(liverMask().sum()), 1]
    assert regions[15, 14, 20] == 2


def test_mr_scans_have_a_body_too():
    image = np.clip(phantomArray().astype(np.float32) + 1000, 0, None)
    outside = box(slice(2, 10), slice(0, 3), slice(0, 3))
    case = CaseArrays(image_KJI=image, grid=grid(), masks={"liver": outside})
    assert "outside" in {check.code for check in checkCase(case, [LIVER], "MR")}
