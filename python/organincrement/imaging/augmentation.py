"""Training augmentation of a patch, by MONAI: small rotations and scalings, noise, blur, brightness, contrast, gamma.

The two sides of the body are mirrored only where no organ has a side. A patch of one slice is turned and scaled within
its plane.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from organincrement.imaging.patches import Patch

_ROTATION_RAD = 0.2
_SCALE = 0.18
_LEFT_RIGHT_AXIS = 2


def training_augmentation(*, mirror_left_right: bool, one_slice: bool = False) -> Any:
    """A MONAI transform of {"image": (1, D, H, W), "labels": (1, D, H, W)}; labels move with the image.

    Args: one_slice: whether patches have a depth of 1, of which the transform takes (1, H, W): through the plane there
        is nothing to turn, and blurring would mix it with the nothing beside it.
    Voxels that come from beyond the patch are unlabelled: labels travel shifted by one, so that 0 is "unlabelled".
    """
    from monai import transforms as mt

    both = ["image", "labels"]
    steps = [
        mt.RandAffined(
            keys=both, prob=0.5, scale_range=_SCALE,
            rotate_range=_ROTATION_RAD if one_slice else (_ROTATION_RAD / 2, _ROTATION_RAD / 2, _ROTATION_RAD),
            mode=("bilinear", "nearest"), padding_mode=("border", "zeros"),
        ),
        mt.RandScaleIntensityd(keys="image", factors=0.2, prob=0.3),
        mt.RandShiftIntensityd(keys="image", offsets=0.15, prob=0.3),
        mt.RandGaussianNoised(keys="image", std=0.15, prob=0.2),
        mt.RandGaussianSmoothd(keys="image", sigma_x=(0.3, 0.8), sigma_y=(0.3, 0.8), sigma_z=(0.3, 0.8), prob=0.1),
    ]  # fmt: skip
    if mirror_left_right:
        steps.append(mt.RandFlipd(keys=both, spatial_axis=_LEFT_RIGHT_AXIS - int(one_slice), prob=0.5))
    return mt.Compose(steps)


def augment(patches: list[Patch], transform: Any | None, seed: int) -> tuple[Tensor, Tensor]:
    """The patches as one batch, augmented.

    Args: transform: from `training_augmentation`, or None. seed: of this step; all draws follow from it.
    Returns: image (B, 1, D, H, W) float32 and labels (B, D, H, W) int64, -1 unlabelled.
    """
    if transform is not None:
        transform.set_random_state(seed=seed)
    images, labels = zip(*(_augment_one(patch, transform) for patch in patches), strict=True)
    return torch.stack(images), torch.stack(labels)


def _augment_one(patch: Patch, transform: Any | None) -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(patch.image_DHW)[None]
    shifted = torch.from_numpy(patch.labels_DHW.astype(np.float32))[None] + 1
    if transform is not None:
        one_slice = image.shape[1] == 1
        given = {"image": image, "labels": shifted}
        moved = transform({key: array[0] for key, array in given.items()} if one_slice else given)
        image, shifted = (
            moved[key].as_tensor() if hasattr(moved[key], "as_tensor") else moved[key] for key in ("image", "labels")
        )
        if one_slice:
            image, shifted = image[None], shifted[None]
    return image.float(), shifted[0].round().long() - 1
