"""nnU-Net v1's inference written out plainly, whole arrays in double precision: what an import has to agree with.

Crop to what is not 0 (holes filled), transpose, resample, then normalise; probabilities of all windows, mirrors and
folds are averaged in single precision, resampled back linearly, and the most probable class is taken. Interpolation is
scikit-image's `resize(order, mode="edge", anti_aliasing=False)`, spelled out.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from foreign_models.nnunet1_folder import CT, Nnunet1
from foreign_models.nnunet2_reference import resample, starts
from scipy import ndimage
from torch import nn


def lowres_axis(spacing: Sequence[float], target: Sequence[float]) -> int | None:
    """The separate-z rule: of the scan's spacing, else of the network's, on the way there and back."""
    for candidate in (spacing, target):
        if max(candidate) / min(candidate) > 3:
            coarsest = np.flatnonzero(np.array(candidate) == max(candidate))
            return int(coarsest[0]) if len(coarsest) == 1 else None
    return None


def of_labels(mask: np.ndarray, shape: Sequence[int], axis: int | None) -> np.ndarray:
    """resize_segmentation of order 1: each label's mask where it is a half or more, the higher label over the lower."""
    if tuple(shape) == mask.shape:
        return mask
    found = np.zeros(shape, int)
    for label in np.unique(mask):
        found[resample((mask == label).astype(float), shape, 1, axis) >= 0.5 - 1e-6] = label
    return found


def normalised(array: np.ndarray, model: Nnunet1, inside: np.ndarray) -> np.ndarray:
    """CT, nonCT and noNorm."""
    array = array.astype(np.float32)
    if model.scheme == "CT":
        return (np.clip(array, CT["percentile_00_5"], CT["percentile_99_5"]) - CT["mean"]) / CT["sd"]
    if model.scheme == "noNorm":
        return array
    if not model.masked:
        return (array - array.mean()) / (array.std() + 1e-8)
    values = array[inside]
    array[inside] = (values - values.mean()) / (values.std() + 1e-8)
    array[~inside] = 0
    return array


def importance(patch: Sequence[int]) -> np.ndarray:
    """_get_gaussian."""
    delta = np.zeros(patch)
    delta[tuple(p // 2 for p in patch)] = 1
    bell = ndimage.gaussian_filter(delta, [p / 8 for p in patch], 0, mode="constant", cval=0)
    bell = (bell / bell.max()).astype(np.float32)
    bell[bell == 0] = bell[bell != 0].min()
    return bell


@torch.inference_mode()
def mirrored(network: nn.Module, x: torch.Tensor, mirror: bool) -> np.ndarray:
    """The mean softmax over all sets of mirrored axes."""
    axes = range(2, x.ndim) if mirror else ()
    sets = [s for n in range(len(axes) + 1) for s in itertools.combinations(axes, n)]
    return torch.stack([network(x.flip(s)).softmax(1).flip(s) for s in sets]).mean(0)[0].numpy()


def probabilities(data: np.ndarray, networks: Sequence[nn.Module], model: Nnunet1, mirror: bool) -> np.ndarray:
    """predict_3D with Gaussian windows at steps of a half; slice by slice for a network of slices."""
    patch, flat = list(model.patch), 3 - model.axes
    short = [max(0, p - n) for p, n in zip([1] * flat + patch, data.shape, strict=True)]
    padded = np.pad(data, [(s // 2, s - s // 2) for s in short])
    weight, total = importance(patch), 0.0
    places: list[Sequence[int]] = [range(n) for n in padded.shape[:flat]]
    places += [starts(n, p) for n, p in zip(padded.shape[flat:], patch, strict=True)]
    for network in networks:
        summed = np.zeros((1 + len(model.organs), *padded.shape), np.float32)
        weights = np.zeros(padded.shape, np.float32)
        for place in itertools.product(*places):
            box = (*place[:flat], *(slice(s, s + p) for s, p in zip(place[flat:], patch, strict=True)))
            summed[(slice(None), *box)] += (
                mirrored(network, torch.from_numpy(padded[box].copy())[None, None], mirror) * weight
            )
            weights[box] += weight
        total = total + summed / weights
    kept = tuple(slice(s // 2, s // 2 + n) for s, n in zip(short, data.shape, strict=True))
    return (total / len(networks))[(slice(None), *kept)]


def segmented(
    array: np.ndarray,
    spacing_mm: Sequence[float],
    networks: Sequence[nn.Module],
    model: Nnunet1,
    *,
    mirror: bool = True,
) -> np.ndarray:
    """Labels of a scan whose axes are as its file stores them."""
    filled = ndimage.binary_fill_holes(array != 0)
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(filled))
    data, inside = array[box].transpose(model.transpose), filled[box].transpose(model.transpose)
    spacing = [spacing_mm[axis] for axis in model.transpose]
    target = list(model.spacing_mm)
    if model.axes == 2:
        target[0] = spacing[0]
    shape = [round(old / new * n) for old, new, n in zip(spacing, target, data.shape, strict=True)]
    axis = lowres_axis(spacing, target)
    grid = resample(data.astype(float), shape, 3, axis)
    grid = normalised(grid, model, of_labels(inside.astype(int), shape, axis).astype(bool)).astype(np.float32)
    p = probabilities(grid, networks, model, mirror)
    back = np.stack([resample(one, data.shape, 1, lowres_axis(spacing, target)) for one in p])
    labels = np.zeros(array.shape, np.uint8)
    labels[box] = back.argmax(0).transpose(np.argsort(model.transpose))
    return labels
