"""Where the patient is in a scan, coarsely: all but the air around."""

from dataclasses import dataclass

import numpy as np

from OrganIncrementLib.Logics.ConnectedParts import connectedParts

MOST_VOXELS_AN_AXIS = 128
AIR_HU = -400


@dataclass(frozen=True)
class BodyMask:
    """inside (K, J, I), every `step` voxels of the scan along k, j, i."""

    inside_KJI: np.ndarray
    step: tuple[int, int, int]

    def shareOutside(self, mask_KJI: np.ndarray) -> float:
        """Which share of the voxels lies in the air around the patient; 0 where none is met on the coarse grid."""
        k, j, i = self.step
        coarse_KJI = mask_KJI[::k, ::j, ::i]
        count = int(coarse_KJI.sum())
        return float((coarse_KJI & ~self.inside_KJI).sum()) / count if count else 0.0

    def centreRas(self, ijkToRas: np.ndarray) -> np.ndarray | None:
        """The centre of the body in RAS, mm; None where there is no body."""
        return centreRas(self.inside_KJI, ijkToRas, self.step)


def bodyMask(image_KJI: np.ndarray, modality: str) -> BodyMask:
    """Find the patient. CT: brighter than fat; others: above a tenth of the bright voxels' value."""
    step = tuple(max(1, -(-size // MOST_VOXELS_AN_AXIS)) for size in image_KJI.shape[:3])
    coarse_KJI = image_KJI[:: step[0], :: step[1], :: step[2]]
    air_KJI = coarse_KJI < _threshold(coarse_KJI, modality)
    # The windpipe reaches the lower edge of many scans: only air that reaches an edge within each of the three slices
    # through a voxel is outside.
    outside_KJI = _reachesEdge(air_KJI, 0) & _reachesEdge(air_KJI, 1) & _reachesEdge(air_KJI, 2)
    return BodyMask(inside_KJI=~outside_KJI, step=step)


def _reachesEdge(air_KJI: np.ndarray, axis: int) -> np.ndarray:
    """The air of each slice across an axis that is connected, within the slice, to the slice's edge."""
    slices = np.moveaxis(air_KJI, axis, 0)
    # Slices of no air between them keep the parts of different slices apart.
    apart = np.zeros((2 * slices.shape[0], slices.shape[1] + 2, slices.shape[2] + 2), bool)
    apart[::2] = np.pad(slices, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    regions, _sizes = connectedParts(apart)
    reaches = (regions[::2] == regions[::2, :1, :1])[:, 1:-1, 1:-1]
    return np.moveaxis(reaches, 0, axis)


def centreRas(mask_KJI: np.ndarray, ijkToRas: np.ndarray, step=(1, 1, 1)) -> np.ndarray | None:
    """The centre of gravity of a mask in RAS, mm; None where it is empty."""
    found = np.nonzero(mask_KJI)
    if not len(found[0]):
        return None
    k, j, i = (float(index.mean()) * size for index, size in zip(found, step, strict=True))
    return (ijkToRas @ np.array([i, j, k, 1.0]))[:3]


def _threshold(image_KJI: np.ndarray, modality: str) -> float:
    if modality == "CT" and float(image_KJI.min()) < AIR_HU:
        return AIR_HU
    low, high = float(np.percentile(image_KJI, 1)), float(np.percentile(image_KJI, 99))
    return low + 0.1 * (high - low)
