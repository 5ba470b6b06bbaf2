"""TotalSegmentator's inference written out plainly: what an import has to agree with.

Turned to RAS, zoomed by a cubic spline to the task's spacing, cut to integers; each part by nnU-Net v2 (crop to what is
not 0, its own window of intensities, windows summed in half precision), later parts painted over earlier ones, back by
a zoom of order 0.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from foreign_models.nnunet2_folder import CT
from foreign_models.totalsegmentator_folder import Part
from scipy import ndimage


def starts(size: int, patch: int, step: float) -> list[int]:
    """compute_steps_for_sliding_window."""
    count = int(np.ceil((size - patch) / (patch * step))) + 1
    apart = (size - patch) / (count - 1) if count > 1 else 0
    return [int(np.round(apart * i)) for i in range(count)]


@torch.inference_mode()
def predicted(image_zyx: np.ndarray, part: Part, step: float) -> np.ndarray:
    """nnUNetv2_predict of one part, on a scan that has its spacing already."""
    patch, facts = part.model.patch, {**CT, **(part.window or {})}
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(image_zyx))
    data = np.clip(image_zyx[box].astype(np.float32), facts["percentile_00_5"], facts["percentile_99_5"])
    data = (data - facts["mean"]) / facts["std"]
    short = [max(0, p - n) for p, n in zip(patch, data.shape, strict=True)]
    padded = np.pad(data, [(s // 2, s - s // 2) for s in short]).astype(np.float32)
    delta = np.zeros(patch)
    delta[tuple(p // 2 for p in patch)] = 1
    bell = ndimage.gaussian_filter(delta, [p / 8 for p in patch], 0, mode="constant", cval=0)
    weight = (bell / bell.max() * 10).astype(np.float16)
    weight[weight == 0] = weight[weight > 0].min()
    summed = np.zeros((1 + len(part.classes), *padded.shape), np.float16)
    weights = np.zeros(padded.shape, np.float16)
    network = part.network
    for place in itertools.product(*(starts(n, p, step) for n, p in zip(padded.shape, patch, strict=True))):
        inside = tuple(slice(s, s + p) for s, p in zip(place, patch, strict=True))
        logits = network(torch.from_numpy(padded[inside].copy())[None, None])[0].numpy()
        at = (slice(None), *inside)
        summed[at] = (summed[at] + logits * weight.astype(np.float32)).astype(np.float16)
        weights[inside] += weight
    kept = tuple(slice(s // 2, s // 2 + n) for s, n in zip(short, data.shape, strict=True))
    labels = np.zeros(image_zyx.shape, np.uint8)
    labels[box] = (summed / weights)[(slice(None), *kept)].argmax(0)
    return labels


def segmented(
    array_zyx: np.ndarray, spacing_zyx: Sequence[float], parts: Sequence[Part], step: float, hair: float = 0
) -> np.ndarray:
    """Labels 1, 2, … through all parts of a scan whose axes point to R, A, S.

    Args: hair: what is added before values are cut: a voxel that lies on one of the scan's is 9.9999999 or 10.0000001.
    """
    zoom = np.array(spacing_zyx) / parts[0].spacing_mm
    small = ndimage.zoom(array_zyx.astype(float), zoom, mode="nearest", order=3)
    small = (small + np.copysign(hair, small)).astype(np.int32)
    painted, before = np.zeros(small.shape, np.uint8), 0
    for part in parts:
        found = predicted(small, part, step)
        painted[found > 0] = found[found > 0] + before
        before += len(part.classes)
    back = np.array(array_zyx.shape) / np.array(painted.shape)
    return ndimage.zoom(painted.astype(float), back, mode="nearest", order=0).astype(np.uint8)
