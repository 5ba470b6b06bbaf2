"""From HU to what a network was trained on."""

import numpy as np
from scipy import ndimage

from organincrement.contract.model import Normalisation

# As nnU-Net: a scan of one value does not divide by zero.
SMALLEST_STD = 1e-8


def normalise(array_DHW: np.ndarray, normalisation: Normalisation, mask_DHW: np.ndarray | None = None) -> np.ndarray:
    """Normalised intensities as a new float32 array of the same shape.

    ct: clip to `clip_hu`, then (x - mean) / std with the given mean and std; zscore: (x - mean) / std of this scan;
    none: unchanged.
    Args: mask_DHW: of a masked zscore the voxels that it looks at, the others becoming 0; None: `inside` of this array.
    """
    result_DHW = array_DHW.astype(np.float32)
    if normalisation.masked:
        mask_DHW = inside(array_DHW) if mask_DHW is None else mask_DHW
        if mask_DHW.any():
            result_DHW[mask_DHW] = normalise(result_DHW[mask_DHW], Normalisation(kind="zscore"))
        result_DHW[~mask_DHW] = 0  # beside a mask that was resampled, values are not
        return result_DHW
    if normalisation.kind == "none":
        return result_DHW
    if normalisation.clip_hu is not None:
        np.clip(result_DHW, *normalisation.clip_hu, out=result_DHW)
    mean, std = normalisation.mean, normalisation.std
    if mean is None or std is None:  # zscore
        # Summed in float64: a float32 sum over 10^8 voxels loses digits.
        mean, std = float(result_DHW.mean(dtype=np.float64)), float(result_DHW.std(dtype=np.float64))
    result_DHW -= np.float32(mean)
    result_DHW /= np.float32(max(std, SMALLEST_STD))
    return result_DHW


def inside(array_DHW: np.ndarray) -> np.ndarray:
    """True where a scan is not 0, and in the holes of that."""
    filled: np.ndarray = ndimage.binary_fill_holes(array_DHW != 0)
    return filled
