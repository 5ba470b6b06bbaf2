"""Training augmentation of a patch: small rotations and scalings, brightness, contrast, noise, blur, mirroring.

The two sides of the body are mirrored only where no organ has a side. A patch of one slice is turned and scaled within
its plane. Bit for bit what MONAI's transforms of these names draw and compute from the same seed, in half the time and
without MONAI's import, which takes seconds in every data worker; a test runs both side by side.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from organincrement.imaging.patches import Patch

_ROTATION_RAD = 0.2
_SCALE = 0.18
_SEEDS = 2**32
# each with the likelihood that it happens; the order in which they get their seeds and are done
_LIKELIHOODS = {"moved": 0.5, "contrast": 0.3, "brightness": 0.3, "noise": 0.2, "blur": 0.1, "mirrored": 0.5}
_CONTRAST, _BRIGHTNESS, _NOISE_STD, _BLUR_SIGMA_VOXELS = 0.2, 0.15, 0.15, (0.3, 0.8)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may be done to a patch. one_slice: patches have a depth of 1; through the plane there is nothing to turn."""

    mirror_left_right: bool
    one_slice: bool = False

    @property
    def rotation_rad(self) -> tuple[float, ...]:
        """The largest angle about each axis."""
        return (_ROTATION_RAD,) if self.one_slice else (_ROTATION_RAD / 2, _ROTATION_RAD / 2, _ROTATION_RAD)


class _Draws:
    """The random numbers of one batch: of each step whether it happens, and how, from generators of their own."""

    def __init__(self, seed: int) -> None:
        first = np.random.RandomState(seed % _SEEDS)
        self._seeds = [int(first.randint(_SEEDS, dtype="uint32")) for _ in _LIKELIHOODS]
        self._whether, self._how = ([np.random.RandomState(s) for s in self._seeds] for _ in range(2))

    def happens(self, step: str) -> bool:
        """Whether a step is done to this patch."""
        return bool(self._whether[list(_LIKELIHOODS).index(step)].rand() < _LIKELIHOODS[step])

    def how(self, step: str) -> np.random.RandomState:
        """The generator of a step's amounts; the moves' first number decides nothing, nor do those of others."""
        generator = self._how[list(_LIKELIHOODS).index(step)]
        if step != "moved":
            generator.rand()
        return generator


def training_augmentation(*, mirror_left_right: bool, one_slice: bool = False) -> Augmentation:
    """The augmentation of training. Args: one_slice: whether patches have a depth of 1."""
    return Augmentation(mirror_left_right=mirror_left_right, one_slice=one_slice)


def augment(patches: list[Patch], transform: Augmentation | None, seed: int) -> tuple[Tensor, Tensor]:
    """The patches as one batch, augmented.

    Args: transform: from `training_augmentation`, or None. seed: of this step; all draws follow from it.
    Returns: image (B, 1, D, H, W) float32 and labels (B, D, H, W) int64, -1 unlabelled, as is what comes from beyond
    the patch.
    """
    draws = _Draws(seed)
    images, labels = zip(*(_augment_one(patch, transform, draws) for patch in patches), strict=True)
    return torch.stack(images), torch.stack(labels)


def _augment_one(patch: Patch, transform: Augmentation | None, draws: _Draws) -> tuple[Tensor, Tensor]:
    image_CDHW = torch.from_numpy(patch.image_DHW)[None].float()
    labels_DHW = torch.from_numpy(patch.labels_DHW).long()
    if transform is None:
        return image_CDHW, labels_DHW
    plane = image_CDHW[0] if transform.one_slice else image_CDHW  # C, H, W of a patch of one slice
    affine = _affine(transform, draws)
    if affine is not None:
        plane, labels = _moved(plane, labels_DHW.reshape(plane.shape), affine)
        labels_DHW = labels.reshape(labels_DHW.shape)
    plane = _otherwise_lit(plane, draws)
    if transform.mirror_left_right and draws.happens("mirrored"):
        plane, labels_DHW = plane.flip(-1), labels_DHW.flip(-1)
    return plane.reshape(image_CDHW.shape), labels_DHW


def _affine(transform: Augmentation, draws: _Draws) -> Tensor | None:
    """The matrix (n + 1, n + 1) by which a patch is turned and scaled; None where it stays."""
    how, happens = draws.how("moved"), draws.happens("moved")
    bounds = (*transform.rotation_rad, _SCALE)
    # where it happens, MONAI draws anew for the grid, which counts, and then for the image and for the labels
    drawn = [[how.uniform(-bound, bound) for bound in bounds] for _ in range(4 if happens else 1)]
    if not happens:
        return None
    amounts = drawn[1]
    size = 3 if transform.one_slice else 4
    turned = torch.eye(size)
    for (first, second), angle in zip(((0, 1),) if size == 3 else ((1, 2), (2, 0), (0, 1)), amounts[:-1], strict=True):
        angle_rad, turn = torch.as_tensor(angle, dtype=torch.float32), torch.eye(size)
        turn[first, first] = turn[second, second] = angle_rad.cos()
        turn[first, second], turn[second, first] = -angle_rad.sin(), angle_rad.sin()
        turned = turned @ turn
    return turned @ torch.diag(torch.as_tensor((amounts[-1] + 1.0, *[1.0] * (size - 1))))


def _moved(image: Tensor, labels: Tensor, affine: Tensor) -> tuple[Tensor, Tensor]:
    """Image (C, …) and labels (C, …), moved together. Labels are looked up shifted by one: 0 is what lies beyond."""
    shape = tuple(image.shape[1:])
    grid = (affine @ _places(shape)).view(-1, *shape)
    where = grid[list(range(len(shape) - 1, -1, -1))].movedim(0, -1).double()[None]
    for axis, size in enumerate(reversed(shape)):
        where[..., axis] *= 2.0 / max(2, size)
    image = functional.grid_sample(image[None].double(), where, "bilinear", "border", align_corners=False)[0]
    labels = functional.grid_sample((labels + 1)[None].double(), where, "nearest", "zeros", align_corners=False)[0]
    return image.float(), labels.long() - 1


@lru_cache(maxsize=1)
def _places(shape: tuple[int, ...]) -> Tensor:
    """The voxels' places from the patch's centre, homogeneous: (n + 1, voxels) float32."""
    ranges = [torch.linspace(-(n - 1.0) / 2.0, (n - 1.0) / 2.0, n, dtype=torch.float64) for n in shape]
    axes = torch.meshgrid(*ranges, indexing="ij")
    return torch.stack([*axes, torch.ones_like(axes[0])]).float().flatten(1)


def _otherwise_lit(image: Tensor, draws: _Draws) -> Tensor:
    if draws.happens("contrast"):
        image = image * (1 + draws.how("contrast").uniform(-_CONTRAST, _CONTRAST))
    if draws.happens("brightness"):
        image = image + draws.how("brightness").uniform(-_BRIGHTNESS, _BRIGHTNESS)
    if draws.happens("noise"):
        how = draws.how("noise")
        noise = how.normal(0.0, how.uniform(0, _NOISE_STD), size=tuple(image.shape))
        image = image + torch.from_numpy(noise.astype(np.float32))
    if draws.happens("blur"):
        how = draws.how("blur")
        image = _blurred(image, [how.uniform(*_BLUR_SIGMA_VOXELS) for _ in range(3)])
    return image


def _blurred(image: Tensor, sigma_voxels: list[float]) -> Tensor:
    """Convolved along each axis with a Gaussian integrated over the voxels, up to four sigma; 0 beyond the patch."""
    dimensions = image.ndim - 1
    kernels = [_gaussian(torch.as_tensor(sigma)) for sigma in sigma_voxels[:dimensions]]
    around = [len(kernel) // 2 for kernel in reversed(kernels) for _ in range(2)]
    blurred, convolve = functional.pad(image[None], around), (functional.conv2d, functional.conv3d)[dimensions - 2]
    for axis, kernel in enumerate(kernels):
        blurred = convolve(blurred, kernel.reshape([-1 if n == axis + 2 else 1 for n in range(dimensions + 2)]))
    return blurred[0]


def _gaussian(sigma_voxels: Tensor) -> Tensor:
    tail = int(max(float(sigma_voxels) * 4.0, 0.5) + 0.5)
    places, narrow = torch.arange(-tail, tail + 1, dtype=torch.float32), 0.70710678 / sigma_voxels
    return (0.5 * ((narrow * (places + 0.5)).erf() - (narrow * (places - 0.5)).erf())).clamp(min=0)
