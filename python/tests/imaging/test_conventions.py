"""Our own rules stay as they were, to the bit; nnU-Net's do what they say, against its arithmetic written out."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from foreign_models.nnunet2_folder import Nnunet2
from foreign_models.nnunet2_reference import lowres_axis, prepared, resize
from scipy import ndimage
from tiny_models import preprocessing

from organincrement.contract.model import Normalisation, Preprocessing
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.geometry import like_original, to_orientation
from organincrement.imaging.normalisation import normalise
from organincrement.imaging.preprocessing import (
    canonical_grid,
    grid_shape,
    nonzero_box,
    preprocess_pair,
    tissue_box,
    to_network_grid,
)
from organincrement.imaging.resampling import (
    axis_apart,
    nearest_slices,
    resample,
    resample_apart,
    resample_masks,
    shape_at_spacing,
)
from organincrement.imaging.volume import Volume

SHAPE, SPACING_MM = (11, 18, 16), (4.0, 1.5, 2.0)
MR = Normalisation(kind="zscore", masked=True)


def scan(border: int = 0, shape: tuple[int, int, int] = SHAPE) -> Volume:
    """Blobs around 60, in a border of zeros, with a hole of zeros in the middle."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=shape), 1.5)
    array = (60 + 300 * blobs / np.abs(blobs).max()).astype(np.float32)
    array[tuple(slice(n // 2, n // 2 + 2) for n in shape)] = 0
    if border:
        array = np.pad(array[(slice(border, -border),) * 3], border)
    return Volume(array, SPACING_MM, (1.0, 2.0, 3.0), np.eye(3)[:, [1, 0, 2]] * (1, -1, 1))


def nnunet(**changes: Any) -> Preprocessing:
    usual = {"orientation": "stored", "image_resampling": "cubic", "convention": "nnunet"}
    return preprocessing(**{**usual, **changes})


@pytest.mark.parametrize("kind", ["cubic", "linear"])
@pytest.mark.parametrize("order", ["normalise-then-resample", "resample-then-normalise"])
def test_our_own_rules_give_the_same_bits_as_before_there_were_others(kind, order):
    ours = preprocessing(image_resampling=kind, order=order, axis_order=(2, 0, 1))
    image = scan()
    turned = to_orientation(image, "LPS")
    array = turned.array_DHW.transpose(2, 0, 1)
    shape = shape_at_spacing(array.shape, [turned.spacing_mm[a] for a in (2, 0, 1)], ours.spacing_mm)
    if order == "normalise-then-resample":
        full = resample(normalise(array, ours.normalisation), shape, kind=kind)
    else:
        full = normalise(resample(array, shape, kind=kind), ours.normalisation)
    low, high = tissue_box(full)
    grid = to_network_grid(image, ours, minimum_shape=(4, 4, 4))
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    np.testing.assert_array_equal(grid.image_DHW, full[box])
    assert grid.offset == tuple(low)
    assert grid.scan_shape == grid.output_shape == array.shape
    assert grid.apart is None
    padded = to_network_grid(image, ours, minimum_shape=(40, 40, 40)).image_DHW
    assert padded.shape == (40, 40, 40)
    assert padded[0, 0, 0] == full.min()


def test_only_ours_is_smoothed_clipped_and_cropped_as_ours():
    ours, theirs = CONVENTIONS["organincrement"], CONVENTIONS["nnunet"]
    assert (ours.region, ours.antialias, ours.within_input, ours.separate_above) == ("tissue", True, False, None)
    assert (theirs.region, theirs.antialias, theirs.within_input, theirs.separate_above) == ("nonzero", False, True, 3)


@pytest.mark.parametrize("target_mm", [(2.0, 2.0, 2.0), (5.0, 3.1, 1.2), (4.0, 1.5, 2.0), (9.0, 1.4, 1.3)])
@pytest.mark.parametrize("scheme", ["CTNormalization", "ZScoreNormalization", "NoNormalization"])
@pytest.mark.parametrize("border", [0, 3])
def test_scans_are_prepared_as_nnunet_does(target_mm, scheme, border):
    model = Nnunet2(spacing_mm=target_mm, scheme=scheme, transpose=(1, 2, 0), masked=scheme.startswith("ZScore"))
    normalisation = {
        "CTNormalization": Normalisation(kind="ct", clip_hu=(-180, 260), mean=60, std=120),
        "ZScoreNormalization": MR, "NoNormalization": Normalisation(kind="none"),
    }[scheme]  # fmt: skip
    image = scan(border)
    expected, box, _ = prepared(image.array_DHW, SPACING_MM, model)
    asked = nnunet(spacing_mm=target_mm, axis_order=(1, 2, 0), normalisation=normalisation)
    grid = to_network_grid(image, asked, minimum_shape=(1, 1, 1))
    assert grid.place == box
    assert grid.image_DHW.shape == grid.full_shape == expected.shape
    np.testing.assert_allclose(grid.image_DHW, expected, atol=2e-3 if scheme == "NoNormalization" else 2e-5)
    labels = image.with_array((image.array_DHW > 60).astype(np.uint8))
    as_training_case, _ = preprocess_pair(image, labels, asked)
    np.testing.assert_array_equal(as_training_case, grid.image_DHW)


def test_a_scan_smaller_than_the_patch_lies_in_the_middle_of_zeros():
    grid = to_network_grid(scan(), nnunet(spacing_mm=SPACING_MM), minimum_shape=(16, 8, 19))
    assert grid.image_DHW.shape == (16, 18, 19)
    assert grid.offset == (-2, 0, -1)
    outside = np.ones(grid.image_DHW.shape, bool)
    outside[2:13, :, 1:17] = False
    assert not grid.image_DHW[outside].any()
    assert grid.image_DHW[~outside].all()


def test_the_box_of_values_other_than_0_is_cut_out_before_anything():
    image = scan(border=4)
    grid = to_network_grid(image, nnunet(), minimum_shape=(1, 1, 1))
    assert grid.place == (slice(4, 7), slice(4, 14), slice(4, 12))
    assert (grid.output_shape, grid.scan_shape) == ((3, 10, 8), SHAPE)
    assert nonzero_box(np.zeros((2, 3, 4))) == (slice(0, 2), slice(0, 3), slice(0, 4))


def test_a_masked_zscore_looks_at_the_inside_alone_and_leaves_0_outside():
    array = np.zeros((6, 6, 6), np.float32)
    array[1:5, 1:5, 1:5] = np.arange(1, 65).reshape(4, 4, 4)
    array[3, 3, 3] = 0  # a hole, which is filled
    found = normalise(array, MR)
    inside = array[1:5, 1:5, 1:5]
    np.testing.assert_allclose(found[1:5, 1:5, 1:5], (inside - inside.mean()) / inside.std(), atol=1e-5)
    found[1:5, 1:5, 1:5] = 0
    assert not found.any()
    assert not normalise(np.zeros((2, 2, 2)), MR).any()


def test_a_cubic_does_not_leave_the_range_of_its_input():
    step = np.zeros((4, 4, 12), np.float32)
    step[..., 6:] = 100
    free, kept = (resample(step, (4, 4, 30), kind="cubic", within_input=within) for within in (False, True))
    assert free.max() > 101 and kept.max() == 100 and kept.min() == 0
    np.testing.assert_allclose(kept, resize(step, (4, 4, 30), 3), atol=1e-3)


@pytest.mark.parametrize(
    ("spacing", "target", "axis"),
    [
        ((5, 1, 1), (1, 1, 1), 0), ((1, 1, 1), (1, 1, 4), 2), ((3, 1, 1), (1, 1, 1), None),
        ((3.01, 1, 1), (1, 1, 1), 0), ((5, 5, 1), (1, 1, 1), None), ((5, 5, 1), (1, 1, 4), None),
        ((1, 6, 1), (6, 1, 1), 1), ((1, 1, 1), (1, 1, 1), None),
    ],
)  # fmt: skip
def test_the_axis_across_which_slices_are_taken_apart(spacing, target, axis):
    assert axis_apart(spacing, target, 3.0) == axis == lowres_axis(spacing, target, Nnunet2())
    assert axis_apart(spacing, target, None) is None


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_apart_are_resampled_alone_and_the_nearest_is_taken(axis):
    array = np.random.default_rng(0).normal(size=(7, 9, 8)).astype(np.float32)
    shape = [12, 13, 11]
    found = resample_apart(array, shape, axis, kind="cubic", within_input=True)
    in_plane = [n for other, n in enumerate(shape) if other != axis]
    for new in range(shape[axis]):
        place = (new + 0.5) * array.shape[axis] / shape[axis] - 0.5
        plane = resize(np.take(array, round(min(max(place, 0), array.shape[axis] - 1)), axis), in_plane, 3)
        np.testing.assert_allclose(np.take(found, new, axis), plane, atol=1e-4)


@pytest.mark.parametrize(("old", "new"), [(20, 6), (6, 20), (7, 7), (1, 5), (9, 2), (11, 33)])
def test_the_nearest_slice_is_scipys(old, new):
    places = old / new * (np.arange(new) + 0.5) - 0.5
    expected = ndimage.map_coordinates(np.arange(old), [places], order=0, mode="nearest")
    np.testing.assert_array_equal(nearest_slices(old, new), expected)


@pytest.mark.parametrize("axis", [None, 0])
def test_labels_take_the_value_whose_mask_is_at_least_a_half(axis):
    labels = np.zeros((6, 10, 12), np.uint8)
    labels[:, 2:7, 3:8], labels[2:4, 5:9, 6:11] = 1, 3
    found = resample_masks(labels, (9, 16, 7), axis)
    expected = np.zeros((9, 16, 7), np.uint8)
    for value in (1, 3):
        mask = (labels == value).astype(float)
        if axis is None:
            expected[resize(mask, (9, 16, 7), 1) >= 0.5] = value
        else:
            nearest = ndimage.zoom(mask, (1.5, 1, 1), order=0, mode="nearest", grid_mode=True)
            expected[np.stack([resize(plane, (16, 7), 1) for plane in nearest]) >= 0.5] = value
    assert (found != expected).sum() <= 2  # a half that is not quite one in single precision
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 1, 3}


def test_labels_lie_on_the_cut_scan():
    image = scan(border=3)
    labels = image.with_array((image.array_DHW > 60).astype(np.uint8))
    image_DHW, labels_DHW = preprocess_pair(image, labels, nnunet(spacing_mm=SPACING_MM))
    assert image_DHW.shape == labels_DHW.shape == (5, 12, 10)
    np.testing.assert_array_equal(labels_DHW == 1, image_DHW * 120 + 20 > 60)


def test_kept_axes_keep_the_scans_own_spacing():
    asked = nnunet(spacing_mm=(9.0, 3.0, 1.0), keep_axes=(0,))
    assert to_network_grid(scan(), asked, minimum_shape=(1, 1, 1)).full_shape == (11, 9, 32)
    shape, spacing_mm = canonical_grid(scan(), "stored")
    assert grid_shape(shape, spacing_mm, asked) == (11, 9, 32)
    every = replace(asked, keep_axes=(0, 1, 2))
    assert to_network_grid(scan(), every, minimum_shape=(1, 1, 1)).full_shape == SHAPE


def test_stored_axes_are_not_turned():
    image = scan()
    assert to_orientation(image, "stored") is image
    np.testing.assert_array_equal(like_original(image.array_DHW, image, "stored"), image.array_DHW)


def test_the_order_of_the_arithmetic_decides_a_size_half_way():
    # 3 x 1.1 / 2.2 is 1.5000000000000002 as a product first, and 1.5 as a ratio first, which is rounded to even
    assert shape_at_spacing((3, 3, 3), (1.1,) * 3, (2.2,) * 3, ratio_first=True) == (round(1.1 / 2.2 * 3),) * 3
    assert shape_at_spacing((5, 5, 5), (0.7,) * 3, (1.4,) * 3, ratio_first=True) == (round(0.7 / 1.4 * 5),) * 3
