"""From a scan to the network's grid and to the box of its tissue, whatever way the scan lies."""

import itertools
from typing import Any

import numpy as np
import pytest
from imaging_files import rotation
from tiny_models import ball, preprocessing

from organincrement.contract.model import Preprocessing
from organincrement.imaging.cache import write_case
from organincrement.imaging.geometry import like_original, to_orientation
from organincrement.imaging.patches import UNLABELLED, PatchSampler
from organincrement.imaging.preprocessing import (
    canonical_grid,
    grid_shape,
    preprocess_pair,
    tissue_box,
    to_network_grid,
)
from organincrement.imaging.volume import Volume

TURNS = [
    np.eye(3)[:, list(order)] * np.array(signs)
    for order, signs in zip(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3), strict=False)
]
SHAPE, SPACING_MM = (12, 20, 16), (5.0, 1.5, 2.0)


def labelled_scan(turn: np.ndarray) -> tuple[Volume, Volume]:
    """A body of 0 HU in air, with two organs whose HU is 100 times their label; anisotropic, slightly oblique."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[ball(SHAPE, (6, 6, 8), 3)] = 1
    labels[ball(SHAPE, (5, 14, 7), 2)] = 2
    body = np.zeros(SHAPE, bool)
    body[1:11, 2:18, 3:14] = True
    hu = np.where(body, 100.0 * labels, -1000.0).astype(np.float32)
    direction = rotation(5, 8) @ turn
    return tuple(Volume(array, SPACING_MM, (10.0, -20.0, 30.0), direction) for array in (hu, labels))


def nearest(**changes: Any) -> Preprocessing:
    return preprocessing(image_resampling="nearest", **changes)


def hu_of(normalised: np.ndarray) -> np.ndarray:
    return normalised * 120 + 20


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("axis_order", [(0, 1, 2), (2, 0, 1)])
def test_labels_lie_on_their_image_whatever_way_the_scan_lies(turn, axis_order):
    image, labels = labelled_scan(turn)
    image_DHW, labels_DHW = preprocess_pair(image, labels, nearest(axis_order=axis_order))
    hu = hu_of(image_DHW).round()
    assert set(np.unique(labels_DHW)) == {0, 1, 2}
    np.testing.assert_array_equal(hu == 100, labels_DHW == 1)
    np.testing.assert_array_equal(hu == 200, labels_DHW == 2)


@pytest.mark.parametrize("code", ["RAS", "SRA", "ASR", "PIL"])
def test_the_network_sees_the_same_body_whatever_way_the_scan_is_stored(code):
    image, labels = labelled_scan(np.eye(3))
    expected = preprocess_pair(image, labels, preprocessing())
    found = preprocess_pair(to_orientation(image, code), to_orientation(labels, code), preprocessing())
    for array, as_expected in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, as_expected, atol=1e-5)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("axis_order", [(0, 1, 2), (1, 2, 0)])
def test_labels_come_back_to_the_voxels_they_were_drawn_on(turn, axis_order):
    image, labels = labelled_scan(turn)
    in_network_axes = to_orientation(labels, "RAS").array_DHW.transpose(axis_order)
    grid = to_network_grid(image, nearest(orientation="RAS", axis_order=axis_order), minimum_shape=(4, 4, 4))
    assert grid.output_shape == in_network_axes.shape
    back = like_original(in_network_axes.transpose(np.argsort(axis_order)), image, "RAS")
    np.testing.assert_array_equal(back, labels.array_DHW)


def test_the_grid_has_the_models_spacing_in_the_models_axes():
    image, _ = labelled_scan(TURNS[3])
    settings = preprocessing(spacing_mm=(4.0, 2.0, 3.0), axis_order=(2, 0, 1))
    shape, spacing_mm = canonical_grid(image)
    expected = tuple(round(shape[a] * spacing_mm[a] / mm) for a, mm in zip((2, 0, 1), settings.spacing_mm, strict=True))
    assert grid_shape(shape, spacing_mm, settings) == expected
    assert to_network_grid(image, settings, minimum_shape=(2, 2, 2)).full_shape == expected


def test_what_is_seen_is_the_box_of_tissue_and_its_place_is_known():
    image, _ = labelled_scan(np.eye(3))
    settings = nearest(spacing_mm=SPACING_MM)
    grid = to_network_grid(image, settings, minimum_shape=(4, 4, 4))
    assert (grid.offset, grid.image_DHW.shape) == ((1, 2, 3), (10, 16, 11))
    expected = np.clip(image.array_DHW, -200, 300)[1:11, 2:18, 3:14]
    np.testing.assert_allclose(hu_of(grid.image_DHW), expected, atol=1e-3)


@pytest.mark.parametrize("minimum", [(10, 16, 11), (12, 20, 16), (11, 17, 14), (16, 24, 17), (4, 32, 12)])
def test_a_box_smaller_than_the_patch_is_seen_as_in_training_and_nothing_around_it_counts(minimum, tmp_path):
    image, labels = labelled_scan(np.eye(3))
    settings = nearest(spacing_mm=SPACING_MM)
    grid = to_network_grid(image, settings, minimum_shape=minimum)
    assert grid.inside == (slice(1, 11), slice(2, 18), slice(3, 14))
    case = write_case(tmp_path, "small", *preprocess_pair(image, labels, settings), seed=0)
    air = float(grid.image_DHW.min())
    (drawn,) = PatchSampler(
        cases=[case], patch=grid.image_DHW.shape, batch=1, foreground=1, seed=0, fill=air
    ).draw(0)  # fmt: skip
    np.testing.assert_allclose(grid.image_DHW, drawn.image_DHW, atol=2e-3)  # the cache holds half precision
    counts = tuple(slice(i.start - o, i.stop - o) for i, o in zip(grid.inside, grid.offset, strict=True))
    outside = np.ones(grid.image_DHW.shape, bool)
    outside[counts] = False
    assert (drawn.labels_DHW[outside] == UNLABELLED).all() and (drawn.labels_DHW[counts] >= 0).all()


def test_a_label_outside_the_tissue_is_kept_in_the_box():
    image, labels = labelled_scan(np.eye(3))
    labels.array_DHW[0, 0, 0] = 1
    image_DHW, labels_DHW = preprocess_pair(image, labels, nearest(spacing_mm=SPACING_MM))
    assert image_DHW.shape == labels_DHW.shape == (11, 18, 14)
    assert labels_DHW[0, 0, 0] == 1


def test_the_box_of_tissue_ignores_air_and_is_the_whole_of_a_flat_image():
    image = np.zeros((6, 7, 8))
    image[1:4, 2:6, 7] = 5
    low, high = tissue_box(image)
    assert (low.tolist(), high.tolist()) == ([1, 2, 7], [4, 6, 8])
    low, high = tissue_box(np.full((6, 7, 8), -3.0))
    assert (low.tolist(), high.tolist()) == ([0, 0, 0], [6, 7, 8])


def test_a_bright_implant_does_not_hide_the_body():
    image = np.full((10, 10, 10), -1000.0)
    image[2:8, 2:8, 2:8] = 40.0
    image[4, 4, 4] = 30_000.0
    low, high = tissue_box(image)
    assert (low.tolist(), high.tolist()) == ([2, 2, 2], [8, 8, 8])


def test_the_order_of_normalising_and_resampling_is_the_models():
    image, _ = labelled_scan(np.eye(3))
    coarse = {"spacing_mm": (5.0, 6.0, 8.0), "image_resampling": "linear"}
    first, second = (
        to_network_grid(image, preprocessing(order=order, **coarse), minimum_shape=(12, 5, 4)).image_DHW
        for order in ("normalise-then-resample", "resample-then-normalise")
    )
    # clipping before the mean leaves the edge of the body brighter than clipping after it
    assert first.shape == second.shape and first.mean() > second.mean() + 0.01
