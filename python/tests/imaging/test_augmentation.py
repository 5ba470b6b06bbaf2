"""Augmented patches: labels move with the image, sides stay sides, and every draw follows from the seed."""

import numpy as np
import pytest
import torch
from tiny_models import ball

from organincrement.imaging.augmentation import augment, training_augmentation
from organincrement.imaging.patches import Patch

SHAPE = (16, 18, 20)


def patch(labels: np.ndarray | None = None) -> Patch:
    """An organ of value 3 on the low side of W, brighter than all else, so that image and labels can be compared."""
    if labels is None:
        labels = np.where(ball(SHAPE, (8, 9, 5), 4), 3, 0).astype(np.int16)
    return Patch(case_id="a", image_DHW=10.0 * (labels == 3).astype(np.float32), labels_DHW=labels)


def test_without_a_transform_the_patches_are_only_stacked():
    first = patch()
    image, labels = augment([first, first], None, 0)
    assert image.shape == (2, 1, *SHAPE) and labels.shape == (2, *SHAPE)
    assert (image.dtype, labels.dtype) == (torch.float32, torch.int64)
    np.testing.assert_array_equal(image[1, 0], first.image_DHW)
    np.testing.assert_array_equal(labels[0], first.labels_DHW)


def test_the_same_seed_gives_the_same_batch_and_another_gives_another():
    batches = [augment([patch(), patch()], training_augmentation(mirror_left_right=True), seed) for seed in (7, 7, 8)]
    assert all(torch.equal(a, b) for a, b in zip(batches[0], batches[1], strict=True))
    assert not torch.equal(batches[0][0], batches[2][0])
    assert not torch.equal(batches[0][0][0], batches[0][0][1]), "both patches were augmented alike"


def test_a_transform_that_was_used_before_draws_the_same():
    transform = training_augmentation(mirror_left_right=True)
    first = augment([patch()], transform, 3)
    augment([patch()] * 5, transform, 4)
    assert all(torch.equal(a, b) for a, b in zip(first, augment([patch()], transform, 3), strict=True))


def test_labels_move_with_the_image():
    moved = 0
    for seed in range(25):
        image, labels = augment([patch()], training_augmentation(mirror_left_right=True), seed)
        bright = image[0, 0] > (image.min() + image.max()) / 2
        organ = labels[0] == 3
        overlap = 2 * (bright & organ).sum() / (bright.sum() + organ.sum())
        assert overlap > 0.85
        moved += not np.array_equal(labels[0], patch().labels_DHW)
    assert moved > 8


def test_only_labels_that_were_there_come_out_and_what_comes_from_beyond_the_patch_is_unlabelled():
    everywhere = np.full(SHAPE, 2, np.int16)
    everywhere[:, :, 10:] = 5
    seen = set()
    for seed in range(25):
        _, labels = augment([patch(everywhere)], training_augmentation(mirror_left_right=False), seed)
        seen |= set(labels.unique().tolist())
    assert seen == {-1, 2, 5}


def test_unlabelled_voxels_stay_unlabelled():
    _, labels = augment([patch(np.full(SHAPE, -1, np.int16))], training_augmentation(mirror_left_right=True), 0)
    assert (labels == -1).all()


def sides(mirror: bool) -> list[bool]:
    """For 30 seeds: whether the organ is still on the low side of W."""
    transform = training_augmentation(mirror_left_right=mirror)
    columns = torch.arange(SHAPE[2], dtype=torch.float32)
    found = []
    for seed in range(30):
        organ = augment([patch()], transform, seed)[1][0] == 3
        found.append(bool((organ.sum((0, 1)) * columns).sum() / organ.sum() < SHAPE[2] / 2))
    return found


def test_nothing_is_mirrored_unless_asked():
    assert all(sides(mirror=False))


def test_mirrored_patches_are_about_half():
    assert 8 <= sum(sides(mirror=True)) <= 22


@pytest.mark.parametrize("value", [-1.6, 0.0, 2.3])
def test_a_constant_image_stays_finite(value):
    flat = Patch(case_id="a", image_DHW=np.full(SHAPE, value, np.float32), labels_DHW=np.zeros(SHAPE, np.int16))
    for seed in range(10):
        image, _ = augment([flat], training_augmentation(mirror_left_right=True), seed)
        assert torch.isfinite(image).all()
