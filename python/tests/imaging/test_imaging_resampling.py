"""Resampling: the half-pixel convention, scipy's numbers, and labels that stay labels."""

import numpy as np
import pytest
from imaging_files import scan
from scipy import ndimage

from organincrement.imaging.geometry import grid_difference, same_grid
from organincrement.imaging.resampling import onto_grid, resample, resample_volume, shape_at_spacing
from organincrement.imaging.volume import Volume

SHAPES = [(9, 20, 31), (24, 9, 7), (12, 14, 16), (1, 40, 3), (30, 31, 32)]


def noise(shape=(12, 14, 16)):
    return (np.random.default_rng(0).random(shape) * 2000 - 1000).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kind", "order"), [("linear", 1), ("cubic", 3)])
def test_without_smoothing_it_is_scipys_zoom_with_grid_mode(shape, kind, order):
    array = noise()
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    expected = ndimage.zoom(array.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    result = resample(array, shape, kind=kind, antialias=False)
    assert result.shape == shape and result.dtype == np.float32 and result.flags.c_contiguous
    np.testing.assert_allclose(result, expected, atol=5e-3)


def test_smoothing_before_shrinking_is_scikit_images():
    array = noise()
    sigma = [(old / new - 1) / 2 for old, new in zip(array.shape, (6, 5, 16), strict=True)]
    smooth = ndimage.gaussian_filter(array.astype(float), sigma, mode="nearest")
    expected = ndimage.zoom(smooth, [6 / 12, 5 / 14, 1], order=1, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(resample(array, (6, 5, 16), kind="linear"), expected, atol=5e-3)


def test_smoothing_removes_a_pattern_finer_than_the_new_grid():
    stripes = np.zeros((4, 4, 120), np.float32)
    stripes[..., ::2] = 1000
    smoothed = resample(stripes, (4, 4, 30), kind="linear")
    np.testing.assert_allclose(smoothed[..., 3:-3], 500, atol=5)


def test_a_ramp_keeps_its_edges_in_place():
    ramp = np.broadcast_to(np.arange(8.0), (2, 2, 8)).astype(np.float32)
    finer = resample(ramp, (2, 2, 16), kind="linear")
    np.testing.assert_allclose(finer[0, 0, 1:-1], (np.arange(16) + 0.5)[1:-1] / 2 - 0.5, atol=1e-5)


def test_a_constant_scan_stays_constant():
    for kind in ("linear", "cubic"):
        result = resample(np.full((7, 8, 9), -1024, np.int16), (3, 20, 9), kind=kind)
        np.testing.assert_allclose(result, -1024, atol=1e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_nearest_takes_the_voxel_under_each_new_centre(shape):
    labels = np.random.default_rng(0).integers(0, 7, (12, 14, 16)).astype(np.uint8)
    result = resample(labels, shape, kind="nearest")
    assert result.dtype == np.uint8 and result.shape == shape
    index = [
        np.floor((np.arange(new) + 0.5) * old / new + 1e-9).astype(int)
        for new, old in zip(shape, labels.shape, strict=True)
    ]
    np.testing.assert_array_equal(result, labels[np.ix_(*index)])


def test_the_same_shape_gives_an_equal_copy():
    array = noise()
    result = resample(array, array.shape, kind="cubic")
    np.testing.assert_array_equal(result, array)
    result[:] = 0
    assert array.any()


def test_resampling_a_volume_keeps_its_extent():
    volume = scan((8, 10, 12), dtype="f4")
    finer = resample_volume(volume, (16, 5, 36), kind="linear")
    assert finer.spacing_mm == pytest.approx((1.5, 1.5, 1.25 / 3))
    for corner in ([-0.5, -0.5, -0.5, 1], [11.5, 9.5, 7.5, 1]):
        far = [
            (value + 0.5) * new / old - 0.5
            for value, new, old in zip(corner[:3], (36, 5, 16), (12, 10, 8), strict=True)
        ]
        np.testing.assert_allclose(finer.affine @ [*far, 1], volume.affine @ corner, atol=1e-9)


def test_there_and_back_is_the_same_grid():
    volume = scan((8, 10, 12), dtype="f4")
    back = resample_volume(resample_volume(volume, (5, 7, 9), kind="linear"), (8, 10, 12), kind="linear")
    assert same_grid(volume, back, 1e-6)


def test_shape_at_spacing_rounds_and_never_reaches_zero():
    assert shape_at_spacing((100, 512, 512), (5.0, 0.7, 0.7), (2.5, 1.4, 100.0)) == (200, 256, 4)
    assert shape_at_spacing((3, 3, 3), (1, 1, 1), (50, 50, 50)) == (1, 1, 1)


def test_a_label_is_moved_onto_another_grid_by_position():
    volume = scan((8, 10, 12), dtype="u1")
    finer = resample_volume(volume, (16, 20, 24), kind="nearest")
    moved = onto_grid(volume, finer, kind="nearest")
    np.testing.assert_array_equal(moved.array_DHW, finer.array_DHW)
    assert grid_difference(moved, finer) is None
    away = Volume(volume.array_DHW, volume.spacing_mm, (900, 900, 900), volume.direction)
    assert not onto_grid(volume, away, kind="nearest").array_DHW.any()


@pytest.mark.parametrize(("shape", "kind"), [((3, 3), "linear"), ((0, 3, 3), "linear"), ((3, 3, 3), "lanczos")])
def test_impossible_requests_are_refused(shape, kind):
    with pytest.raises(ValueError):
        resample(noise(), shape, kind=kind)
