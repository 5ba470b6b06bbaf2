"""Patches of one slice: drawn from organs, turned within their plane, and never mixed with what lies beside them."""

import numpy as np
import pytest
import torch
from tiny_models import ball

from organincrement.imaging.augmentation import augment, training_augmentation
from organincrement.imaging.cache import write_case
from organincrement.imaging.patches import Patch, PatchSampler
from organincrement.training.batches import BatchSource

EDGE = 24


def slice_of(value: float = 10.0) -> Patch:
    """A disc on the low side of W that is bright where its label is 3."""
    labels = np.where(ball((1, EDGE, EDGE), (0, 12, 7), 5), 3, 0).astype(np.int16)
    return Patch(case_id="a", image_DHW=value * (labels == 3).astype(np.float32), labels_DHW=labels)


def test_labels_move_with_the_image_within_the_plane():
    transform, moved = training_augmentation(mirror_left_right=True, one_slice=True), 0
    for seed in range(25):
        image, labels = augment([slice_of()], transform, seed)
        assert image.shape == (1, 1, 1, EDGE, EDGE) and labels.shape == (1, 1, EDGE, EDGE)
        bright, organ = image[0, 0] > (image.min() + image.max()) / 2, labels[0] == 3
        assert 2 * (bright & organ).sum() / (bright.sum() + organ.sum()) > 0.85
        moved += not np.array_equal(labels[0], slice_of().labels_DHW)
    assert moved > 8


def test_no_brightness_is_lost_to_the_nothing_beside_a_slice():
    flat = Patch(
        case_id="a", image_DHW=np.full((1, EDGE, EDGE), 7.0, np.float32), labels_DHW=np.ones((1, EDGE, EDGE), np.int16)
    )
    transform = training_augmentation(mirror_left_right=False, one_slice=True)
    for seed in range(40):
        image, labels = augment([flat], transform, seed)
        inner = image[0, 0, 0, 6:-6, 6:-6]
        # scaled by at most a fifth, shifted and noisy by a few tenths
        assert 5.0 < float(inner.mean()) < 9.0
        assert (labels[0, 0, 6:-6, 6:-6] == 1).all()


def test_left_and_right_change_places_only_where_asked():
    def low_sides(mirror: bool) -> int:
        transform = training_augmentation(mirror_left_right=mirror, one_slice=True)
        columns = [torch.nonzero(augment([slice_of()], transform, seed)[1][0] == 3)[:, 2] for seed in range(30)]
        return sum(bool(column.float().mean() < EDGE / 2) for column in columns)

    assert low_sides(mirror=False) == 30 and 8 <= low_sides(mirror=True) <= 22


@pytest.mark.parametrize("depth", [1, 9])
def test_every_foreground_patch_of_one_slice_holds_its_organ(tmp_path, depth):
    labels = np.zeros((depth, 20, 20), np.int16)
    labels[depth // 2, 3:6, 14:17] = 1
    case = write_case(tmp_path, "a", np.zeros(labels.shape, np.float32), labels, seed=0)
    sampler = PatchSampler(cases=[case], patch=(1, 16, 16), batch=2, foreground=2, seed=0, fill=0.0)
    assert all((patch.labels_DHW == 1).any() for step in range(30) for patch in sampler.draw(step))


def test_a_batch_of_slices_comes_augmented_in_its_shape(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (5, 20, 20)).astype(np.int16)
    case = write_case(tmp_path, "a", labels.astype(np.float32), labels, seed=0)
    sampler = PatchSampler(cases=[case], patch=(1, 16, 16), batch=3, foreground=1, seed=0, fill=0.0)
    source = BatchSource(sampler=sampler, mirror_left_right=True)
    for step in range(5):
        image, found, ids = source[step]
        assert image.shape == (3, 1, 1, 16, 16) and found.shape == (3, 1, 16, 16) and len(ids) == 3
        assert torch.isfinite(image).all() and set(found.unique().tolist()) <= {-1, 0, 1}
