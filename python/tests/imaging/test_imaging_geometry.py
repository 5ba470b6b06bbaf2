"""Grids: comparison, canonical axes and back, and looking up positions."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from imaging_files import rotation, scan

from organincrement.imaging.geometry import (
    grid_difference,
    like_original,
    nearest_index,
    orientation_code,
    same_grid,
    to_orientation,
)
from organincrement.imaging.volume import Volume

AXES = [
    np.eye(3)[:, list(order)] * np.array(signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize("turn", AXES[::5])
@pytest.mark.parametrize("code", ["LPS", "RAS", "SAL"])
def test_to_orientation_agrees_with_simpleitk_on_an_oblique_scan(turn, code):
    volume = scan(direction=rotation(12, 17) @ turn)
    turned = to_orientation(volume, code)
    expected = Volume.from_sitk(sitk.DICOMOrient(volume.to_sitk(), code))
    np.testing.assert_array_equal(turned.array_DHW, expected.array_DHW)
    assert grid_difference(turned, expected, 1e-9) is None
    assert orientation_code(turned) == code
    image_filter = sitk.DICOMOrientImageFilter
    assert orientation_code(volume) == image_filter.GetOrientationFromDirectionCosines(
        volume.direction.ravel().tolist()
    )


@pytest.mark.parametrize("turn", AXES)
def test_like_original_undoes_to_orientation_for_every_orientation(turn):
    volume = scan(direction=rotation(12, 17) @ turn)
    turned = to_orientation(volume, "LPS")
    np.testing.assert_array_equal(like_original(turned.array_DHW, volume, "LPS"), volume.array_DHW)


def test_an_array_of_another_shape_is_not_taken_for_the_original():
    with pytest.raises(ValueError, match="do not fit"):
        like_original(np.zeros((3, 3, 3)), scan())


@pytest.mark.parametrize("code", ["LPX", "LLS", "LP", "LPSA", ""])
def test_a_code_that_is_no_orientation_is_refused(code):
    with pytest.raises(ValueError, match="no orientation"):
        to_orientation(scan(), code)


def test_same_grid_measures_at_the_far_corner():
    volume = scan((40, 50, 60))
    slightly_longer = Volume(volume.array_DHW, (3.0, 0.7501, 1.25), volume.origin_mm, volume.direction)
    assert not same_grid(volume, slightly_longer)
    assert same_grid(volume, slightly_longer, tolerance_voxels=0.01)
    assert "40" in grid_difference(volume, scan((41, 50, 60)))


def test_nearest_index_finds_voxel_centres_and_leaves_out_what_is_beyond_the_edge():
    volume = scan()
    index = np.array([[0, 0, 0], [3, 4, 5], [1, 2, 3]])
    centres = (volume.affine @ np.c_[index[:, ::-1], np.ones(3)].T).T[:, :3]
    found, inside = nearest_index(volume, centres)
    np.testing.assert_array_equal(found, index)
    assert inside.all()
    step = volume.affine[:3, 2]
    _, inside = nearest_index(volume, np.array([centres[0] - 0.49 * step, centres[0] - 0.51 * step, [np.nan] * 3]))
    assert inside.tolist() == [True, False, False]


def test_a_volume_survives_the_way_through_simpleitk():
    back = Volume.from_sitk(scan().to_sitk())
    np.testing.assert_array_equal(back.array_DHW, scan().array_DHW)
    assert same_grid(back, scan(), 1e-9)


def test_with_array_refuses_another_shape():
    with pytest.raises(ValueError, match="grid"):
        scan().with_array(np.zeros((1, 2, 3)))
