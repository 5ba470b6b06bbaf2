"""Dice and surface distances against masks measured by hand, and against the reference vectors where they lie."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.metrics import assd_mm, dice, hausdorff_mm, hd95_mm, measure, surface_distances_mm

Load = Callable[[str, str], Mapping[str, np.ndarray]]
CASES = ("iso", "aniso", "flat", "identical", "one_voxel", "touching_border", "both_empty", "one_empty")


def box(shape: tuple[int, ...], *sides: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def test_dice_counts_the_shared_voxels_twice():
    a, b = box((4, 6), (0, 2), (0, 4)), box((4, 6), (1, 2), (1, 5))  # 8 and 4 voxels, 3 shared
    assert dice(a, b) == pytest.approx(6 / 12)


def test_distances_follow_the_spacing_of_each_axis():
    a, b = box((9, 9, 9), (1, 2), (1, 2), (1, 2)), box((9, 9, 9), (3, 4), (5, 6), (1, 2))
    assert hausdorff_mm(a, b, (3.0, 0.5, 1.0)) == pytest.approx(math.hypot(2 * 3.0, 4 * 0.5))


def test_a_bar_one_voxel_longer_has_one_surface_voxel_one_spacing_away():
    a, b = box((1, 12), (0, 1), (1, 11)), box((1, 12), (0, 1), (1, 12))  # 10 and 11 voxels, all of them surface
    spacing = (1.0, 2.0)
    assert hausdorff_mm(a, b, spacing) == pytest.approx(2.0)
    assert assd_mm(a, b, spacing) == pytest.approx(2.0 / 21)
    # b to a: ten zeros and a 2; the 95th percentile lies at position 9.5 of 0..10, half way from 0 to 2
    assert hd95_mm(a, b, spacing) == pytest.approx(1.0)


def test_the_inside_of_an_organ_is_not_surface():
    a = box((7, 7, 7), (1, 6), (1, 6), (1, 6))
    b = a.copy()
    b[3, 3, 3] = False  # the six neighbours of the hole become surface, two voxels below a's
    distances = surface_distances_mm(a, b, (1.0, 1.0, 1.0))
    assert len(distances.a_to_b_mm) == 5**3 - 3**3
    assert distances.b_to_a_mm[distances.b_to_a_mm > 0].tolist() == [1.0] * 6


def test_an_organ_cut_by_the_end_of_the_scan_has_its_surface_there():
    whole = np.ones((3, 3), bool)
    distances = surface_distances_mm(whole, box((3, 3), (1, 2), (1, 2)), (1.0, 1.0))
    assert len(distances.a_to_b_mm) == 8


def test_two_empty_masks_have_no_measure():
    empty = np.zeros((3, 3, 3), bool)
    measures = measure(empty, empty, (1.0, 1.0, 1.0))
    assert all(math.isnan(v) for v in (measures.dice, measures.hausdorff_mm, measures.hd95_mm, measures.assd_mm))


def test_a_missed_organ_has_dice_zero_and_infinite_distances():
    measures = measure(box((3, 3), (1, 2), (1, 2)), np.zeros((3, 3), bool), (1.0, 1.0))
    assert (measures.dice, measures.hausdorff_mm, measures.hd95_mm, measures.assd_mm) == (0.0, *[math.inf] * 3)


def test_stray_voxels_far_away_are_measured_without_a_map_of_the_box_between():
    a, b = box((400, 400, 300), (2, 4), (2, 4), (2, 4)), box((400, 400, 300), (390, 391), (2, 3), (2, 3))
    assert hausdorff_mm(a, b, (1.0, 1.0, 1.0)) == pytest.approx(math.sqrt(388**2 + 2))


def test_masks_of_other_shapes_types_or_spacings_are_refused():
    a = box((3, 3), (1, 2), (1, 2))
    with pytest.raises(EvaluationError, match=r"\(3, 3\) and \(3, 4\)"):
        dice(a, np.zeros((3, 4), bool))
    with pytest.raises(EvaluationError, match="uint8"):
        dice(a, a.astype(np.uint8))
    for spacing in ((1.0, 1.0, 1.0), (1.0, 0.0), (1.0, math.nan)):
        with pytest.raises(EvaluationError, match="spacing"):
            hd95_mm(a, a, spacing)


@pytest.mark.parametrize("case", CASES)
def test_every_measure_agrees_with_the_reference_vectors(case: str, reference_vectors: Load):
    vectors = reference_vectors("metrics.npz", case)
    a, b, spacing = vectors["a"], vectors["b"], vectors["spacing"]
    measures = measure(a, b, spacing)
    found = [measures.dice, measures.hausdorff_mm, measures.hd95_mm, measures.assd_mm]
    expected = [float(vectors[name]) for name in ("dice", "hd", "hd95", "assd")]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    single = [dice(a, b), hausdorff_mm(a, b, spacing), hd95_mm(a, b, spacing), assd_mm(a, b, spacing)]
    np.testing.assert_array_equal(single, found)
