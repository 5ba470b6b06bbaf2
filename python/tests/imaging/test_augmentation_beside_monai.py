"""The augmentation draws and computes what MONAI's transforms of the same names do, bit for bit."""

import numpy as np
import pytest
import torch
from monai import transforms as mt

from organincrement.imaging.augmentation import augment, training_augmentation
from organincrement.imaging.patches import Patch


def by_monai(patches: list[Patch], seed: int, *, mirror_left_right: bool, one_slice: bool):
    both, planes = ["image", "labels"], one_slice
    steps = [
        mt.RandAffined(
            keys=both, prob=0.5, scale_range=0.18, rotate_range=0.2 if planes else (0.1, 0.1, 0.2),
            mode=("bilinear", "nearest"), padding_mode=("border", "zeros"),
        ),
        mt.RandScaleIntensityd(keys="image", factors=0.2, prob=0.3),
        mt.RandShiftIntensityd(keys="image", offsets=0.15, prob=0.3),
        mt.RandGaussianNoised(keys="image", std=0.15, prob=0.2),
        mt.RandGaussianSmoothd(keys="image", sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8), prob=0.1),
        *([mt.RandFlipd(keys=both, spatial_axis=1 if planes else 2, prob=0.5)] if mirror_left_right else []),
    ]  # fmt: skip
    transform = mt.Compose(steps)
    transform.set_random_state(seed=seed)
    images, labels = [], []
    for patch in patches:
        image, shifted = torch.from_numpy(patch.image_DHW), torch.from_numpy(patch.labels_DHW.astype(np.float32)) + 1
        given = {"image": image, "labels": shifted} if planes else {"image": image[None], "labels": shifted[None]}
        moved = transform(given)
        images.append(moved["image"].as_tensor().reshape(1, *image.shape))
        labels.append(moved["labels"].as_tensor().reshape(image.shape).round().long() - 1)
    return torch.stack(images), torch.stack(labels)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("shape", [(16, 18, 20), (1, 24, 30), (9, 2, 33)])
def test_every_batch_is_the_one_that_monai_would_make(shape, mirror):
    rng, kinds = np.random.default_rng(0), {"mirror_left_right": mirror, "one_slice": shape[0] == 1}
    different = 0
    for seed in (*range(40), 2**32 - 1):
        patches = [
            Patch(
                case_id="a", image_DHW=rng.normal(size=shape).astype(np.float32),
                labels_DHW=rng.integers(-1, 4, shape).astype(np.int16),
            )
            for _ in range(3)
        ]  # fmt: skip
        image, labels = augment(patches, training_augmentation(**kinds), seed)
        expected_image, expected_labels = by_monai(patches, seed, **kinds)
        assert torch.equal(image, expected_image) and torch.equal(labels, expected_labels), f"seed {seed}"
        different += not np.array_equal(image[0, 0], patches[0].image_DHW)
    assert different > 20  # what nothing happened to would be equal, too
