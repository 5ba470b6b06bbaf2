"""Where a reviewer should look: connected, the largest first, in the patient's own coordinates."""

import numpy as np
import pytest
from tiny_models import organs

from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.volume import Volume
from organincrement.inference.components import largest_components
from organincrement.inference.regions import THRESHOLD_PERCENT, uncertain_regions

ORGANS = organs("liver", "spleen")
SHAPE, SPACING_MM, ORIGIN_MM = (20, 24, 30), (5.0, 2.0, 1.0), (-40.0, 10.0, 100.0)


def world(direction: np.ndarray | None = None) -> tuple[Volume, np.ndarray]:
    """A liver on the low side of W, a spleen on the high side; nothing is uncertain yet."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:18, 2:22, 2:14], labels[2:18, 2:22, 16:28] = 1, 2
    axes = np.eye(3) if direction is None else direction
    return Volume(labels, SPACING_MM, ORIGIN_MM, axes), np.zeros(SHAPE, np.uint8)


def test_regions_come_with_their_organ_size_and_figures_the_largest_first():
    labels, percent = world()
    percent[4:7, 4:6, 4:8] = 40  # 24 voxels of 10 mm³ in the liver
    percent[4, 4, 4] = 90
    percent[10:14, 10:12, 20:26] = 35  # 48 voxels in the spleen
    spleen, liver = uncertain_regions(labels, percent, ORGANS).regions
    assert (spleen.organ, spleen.volume_mm3, spleen.mean, spleen.max) == ("spleen", 480.0, 35.0, 35.0)
    assert (liver.organ, liver.volume_mm3, liver.max) == ("liver", 240.0, 90.0)
    assert liver.mean == pytest.approx((23 * 40 + 90) / 24, abs=0.01)


def test_centre_and_bounds_are_right_anterior_superior_millimetres():
    labels, percent = world()
    percent[4:7, 4:6, 4:8] = 50
    (region,) = uncertain_regions(labels, percent, ORGANS).regions
    left, posterior, superior = -40 + 5.5 * 1, 10 + 4.5 * 2, 100 + 5 * 5
    assert region.center_ras_mm == (-left, -posterior, superior)
    # voxels 4..7 of 1 mm, 4..5 of 2 mm, 4..6 of 5 mm, each half a voxel further
    assert region.bounds_ras_mm == (-(-40 + 7.5), -(-40 + 3.5), -(10 + 11), -(10 + 7), 100 + 17.5, 100 + 32.5)


@pytest.mark.parametrize("code", ["RAS", "SPL", "AIR"])
def test_regions_do_not_depend_on_how_the_scan_is_stored(code):
    labels, percent = world()
    percent[4:7, 4:6, 4:8] = 50
    turned = to_orientation(labels, code)
    turned_percent = to_orientation(labels.with_array(percent), code).array_DHW
    (expected,), (found,) = (
        uncertain_regions(*pair, ORGANS).regions for pair in ((labels, percent), (turned, turned_percent))
    )
    assert found == expected


def test_an_oblique_scan_has_its_regions_where_its_voxels_are():
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    labels, percent = world(turn)
    percent[5, 4:7, 4:11] = 60
    (region,) = uncertain_regions(labels, percent, ORGANS).regions
    lps = labels.affine @ np.array([7, 5, 5, 1.0])
    assert region.center_ras_mm == pytest.approx((-lps[0], -lps[1], lps[2]), abs=1e-3)
    low, high = np.array(region.bounds_ras_mm[::2]), np.array(region.bounds_ras_mm[1::2])
    assert (low < region.center_ras_mm).all() and (region.center_ras_mm < high).all()


def test_regions_of_less_than_50_mm3_and_less_than_the_threshold_are_left_out():
    labels, percent = world()
    percent[4, 4, 4:8] = 99  # 40 mm³
    percent[10, 10, 4:10] = THRESHOLD_PERCENT - 1
    percent[14, 14, 4:9] = THRESHOLD_PERCENT  # 50 mm³
    (region,) = uncertain_regions(labels, percent, ORGANS).regions
    assert (region.volume_mm3, region.max) == (50.0, THRESHOLD_PERCENT)


def test_the_rim_of_an_organ_is_split_into_its_more_uncertain_parts():
    labels, percent = world()
    percent[2:18, 2:22, 2:14] = 35  # 38 ml
    percent[4:7, 4:6, 4:8], percent[12:15, 12:14, 4:10] = 55, 45
    first, second = uncertain_regions(labels, percent, ORGANS).regions
    assert (first.volume_mm3, second.volume_mm3) == (360.0, 240.0)
    percent[:] = np.minimum(percent, 35)  # nothing stands out: the whole is one region
    (region,) = uncertain_regions(labels, percent, ORGANS).regions
    assert region.volume_mm3 == 38400.0


def test_nothing_uncertain_gives_no_regions():
    assert uncertain_regions(*world(), ORGANS).regions == ()


def test_voxels_that_touch_by_an_edge_are_one_region_and_by_a_corner_two():
    labels, percent = world()
    percent[4, 4, 4:10], percent[5, 5, 4:10] = 50, 50
    assert len(uncertain_regions(labels, percent, ORGANS).regions) == 1
    labels, percent = world()
    percent[4, 4, 4:10], percent[5, 5, 10:16] = 50, 50
    assert len(uncertain_regions(labels, percent, ORGANS).regions) == 2


def test_a_region_beside_an_organ_belongs_to_it_and_one_far_from_all_to_none():
    labels, percent = world()
    percent[0:2, 4:8, 4:8] = 50  # one voxel in front of the liver
    assert [region.organ for region in uncertain_regions(labels, percent, ORGANS).regions] == ["liver"]
    labels, percent = world()
    labels.array_DHW[:] = 0
    percent[4:8, 4:8, 4:8] = 50
    assert uncertain_regions(labels, percent, ORGANS).regions == ()


def test_a_region_that_spans_two_organs_belongs_to_the_one_it_is_most_in():
    labels, percent = world()
    percent[4:6, 4:6, 11:25] = 50  # 3 voxels along W in the liver, 9 in the spleen
    assert [region.organ for region in uncertain_regions(labels, percent, ORGANS).regions] == ["spleen"]


def test_two_hundred_regions_are_the_most_a_reviewer_is_given():
    labels, percent = Volume(np.ones((30, 30, 30), np.uint8), (10.0, 10.0, 10.0), (0.0, 0.0, 0.0), np.eye(3)), None
    percent = np.zeros((30, 30, 30), np.uint8)
    percent[::2, ::2, ::2] = 50
    percent[0, 0, 0:3] = 50
    found = uncertain_regions(labels, percent, ORGANS).regions
    assert len(found) == 200 and found[0].volume_mm3 == 3000.0


def test_only_the_largest_part_of_each_organ_is_kept():
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[1:4, 1:4, 1:4] = 1
    labels[6, 6, 6:9] = 1
    labels[4, 4, 4] = 1  # touches the large part by a corner only
    labels[5:9, 1:3, 1:3] = 2
    kept = largest_components(labels, 3)
    assert (kept == 1).sum() == 27 and (kept[1:4, 1:4, 1:4] == 1).all()
    np.testing.assert_array_equal(kept == 2, labels == 2)
    assert kept.dtype == labels.dtype and (labels == 1).sum() == 31


def test_a_segmentation_without_organs_stays_empty():
    assert not largest_components(np.zeros((4, 4, 4), np.uint16), 5).any()


def large_rim() -> tuple[Volume, np.ndarray]:
    """A region of 10 ml, uncertain by 32 %, in one organ of voxels of 10 mm³."""
    labels = Volume(np.ones(SHAPE, np.uint8), SPACING_MM, ORIGIN_MM, np.eye(3))
    percent = np.zeros(SHAPE, np.uint8)
    percent[5:15, 5:15, 5:15] = 32
    return labels, percent


def test_a_region_too_large_to_help_is_replaced_by_its_more_uncertain_parts():
    labels, percent = large_rim()
    percent[5:8, 5:7, 5:8], percent[12:15, 12:15, 12:15] = 45, 60
    found = uncertain_regions(labels, percent, ORGANS).regions
    assert [(region.volume_mm3, region.max) for region in found] == [(270.0, 60.0), (180.0, 45.0)]


def test_a_large_region_that_is_equally_uncertain_throughout_stays_whole():
    (region,) = uncertain_regions(*large_rim(), ORGANS).regions
    assert region.volume_mm3 == 10_000.0


def test_a_large_region_is_not_lost_for_a_part_too_small_to_be_shown():
    labels, percent = large_rim()
    percent[7, 7, 7] = 90
    percent[10:14:2, 10:14:2, 10:14:2] = 90  # scattered: 90 mm³ together, 10 each
    (region,) = uncertain_regions(labels, percent, ORGANS).regions
    assert (region.volume_mm3, region.max) == (10_000.0, 90.0)
