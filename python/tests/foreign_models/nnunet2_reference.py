"""nnU-Net v2's inference written out plainly, whole arrays in double precision: what an import has to agree with.

Interpolation is scikit-image's `resize(order, mode="edge", anti_aliasing=False)`, spelled out: scipy's zoom in grid
mode, then clipped to the range of its input.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from foreign_models.nnunet2_folder import CT, Nnunet2
from scipy import ndimage
from torch import nn


def resize(array: np.ndarray, shape: Sequence[int], order: int) -> np.ndarray:
    """scikit-image's resize."""
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    zoomed = ndimage.zoom(array.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(zoomed, array.min(), array.max())


def lowres_axis(spacing: Sequence[float], target: Sequence[float], model: Nnunet2) -> int | None:
    """The separate-z rule."""
    forced = model.of_configuration.get("resampling_fn_data_kwargs", {}).get("force_separate_z")
    for candidate in (spacing, target) if forced is None else (spacing,) * forced:
        if forced or max(candidate) / min(candidate) > 3:
            coarsest = np.flatnonzero(np.array(candidate) == max(candidate))
            return int(coarsest[0]) if len(coarsest) == 1 else None
    return None


def resample(array: np.ndarray, shape: Sequence[int], order: int, axis: int | None) -> np.ndarray:
    """resample_data_or_seg: whole, or slice by slice and then the nearest slice, by a map of coordinates."""
    if tuple(shape) == array.shape:
        return array
    if axis is None:
        return resize(array, shape, order)
    in_plane = [n for other, n in enumerate(shape) if other != axis]
    slices = [resize(plane, in_plane, order) for plane in np.moveaxis(array, axis, 0)]
    moved = np.moveaxis(np.stack(slices), 0, axis)
    grid = np.mgrid[tuple(slice(0, n) for n in shape)].astype(float)
    places = [old / new * (g + 0.5) - 0.5 for g, old, new in zip(grid, moved.shape, shape, strict=True)]
    return ndimage.map_coordinates(moved, places, order=0, mode="nearest")


def normalised(array: np.ndarray, model: Nnunet2, mask: np.ndarray) -> np.ndarray:
    """CTNormalization, ZScoreNormalization with and without mask, NoNormalization."""
    array = array.astype(np.float32)
    if model.scheme == "CTNormalization":
        return (np.clip(array, CT["percentile_00_5"], CT["percentile_99_5"]) - CT["mean"]) / CT["std"]
    if model.scheme == "ZScoreNormalization" and model.masked:
        inside = array[mask]
        array[mask] = (inside - inside.mean()) / max(inside.std(), 1e-8)
    elif model.scheme == "ZScoreNormalization":
        array = (array - array.mean()) / max(array.std(), 1e-8)
    return array


def prepared(array_DHW: np.ndarray, spacing_mm: Sequence[float], model: Nnunet2) -> tuple[np.ndarray, Any, list[float]]:
    """The network's input, the box of the transposed scan that it is of, and the spacing that it has."""
    array = array_DHW.transpose(model.transpose)
    spacing = [spacing_mm[axis] for axis in model.transpose]
    filled = ndimage.binary_fill_holes(array != 0)
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(filled))
    target = [spacing[0]] * (3 - len(model.spacing_mm)) + list(model.spacing_mm)
    cropped = normalised(array[box], model, filled[box])
    shape = [round(old / new * n) for old, new, n in zip(spacing, target, cropped.shape, strict=True)]
    return resample(cropped, shape, 3, lowres_axis(spacing, target, model)).astype(np.float32), box, target


def importance(patch: Sequence[int]) -> np.ndarray:
    """compute_gaussian, in half precision."""
    delta = np.zeros(patch)
    delta[tuple(p // 2 for p in patch)] = 1
    bell = ndimage.gaussian_filter(delta, [p / 8 for p in patch], 0, mode="constant", cval=0)
    half = (bell / bell.max() * 10).astype(np.float16)
    half[half == 0] = half[half > 0].min()
    return half


def starts(size: int, patch: int) -> list[int]:
    """compute_steps_for_sliding_window, with a step of a half."""
    count = int(np.ceil((size - patch) / (patch * 0.5))) + 1
    apart = (size - patch) / (count - 1) if count > 1 else 0
    return [int(np.round(apart * i)) for i in range(count)]


@torch.inference_mode()
def mirrored(network: nn.Module, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
    """The mean over all sets of mirrored axes."""
    sets = [s for n in range(len(axes) + 1) for s in itertools.combinations([a + 2 for a in axes], n)]
    return torch.stack([network(x.flip(s)).flip(s) for s in sets]).mean(0)


def logits_of(data_DHW: np.ndarray, networks: Sequence[nn.Module], model: Nnunet2) -> np.ndarray:
    """predict_logits_from_preprocessed_data: padded with 0, windows summed in half precision, folds averaged."""
    patch, flat = list(model.patch), 3 - len(model.patch)  # one axis of slices, or none
    wanted = [1] * flat + patch
    short = [max(0, p - n) for p, n in zip(wanted, data_DHW.shape, strict=True)]
    padded = np.pad(data_DHW, [(s // 2, s - s // 2) for s in short])
    weight, total = importance(patch), 0
    places: list[Sequence[int]] = [range(n) for n in padded.shape[:flat]]
    places += [starts(n, p) for n, p in zip(padded.shape[flat:], patch, strict=True)]
    for network in networks:
        summed = np.zeros((model.outputs, *padded.shape), np.float16)
        weights = np.zeros(padded.shape, np.float16)
        for place in itertools.product(*places):
            box = (*place[:flat], *(slice(s, s + p) for s, p in zip(place[flat:], patch, strict=True)))
            x = torch.from_numpy(padded[box].copy())[None, None]
            found = mirrored(network, x, model.mirror_axes or ())[0].numpy() * weight.astype(np.float32)
            summed[(slice(None), *box)] = (summed[(slice(None), *box)] + found).astype(np.float16)
            weights[box] += weight
        total = total + summed / weights
    back = tuple(slice(s // 2, s // 2 + n) for s, n in zip(short, data_DHW.shape, strict=True))
    return (total / len(networks)).astype(np.float16)[(slice(None), *back)]


def segmented(
    array_DHW: np.ndarray, spacing_mm: Sequence[float], networks: Sequence[nn.Module], model: Nnunet2
) -> np.ndarray:
    """Labels on the scan's own grid."""
    data, box, target = prepared(array_DHW, spacing_mm, model)
    logits = logits_of(data, networks, model)
    spacing = [spacing_mm[axis] for axis in model.transpose]
    shape, axis = [s.stop - s.start for s in box], lowres_axis(target, spacing, model)
    resized = np.stack([resample(channel, shape, 1, axis) for channel in logits]).astype(np.float16)
    whole = np.zeros(array_DHW.transpose(model.transpose).shape, np.uint8)
    whole[box] = resized.argmax(0)
    return whole.transpose(np.argsort(model.transpose))
