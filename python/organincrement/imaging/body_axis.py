"""Where along the body the voxels of a scan lie, in its patient's millimetres towards the head."""

import numpy as np

from organincrement.contract.model import Preprocessing
from organincrement.imaging.geometry import orientation_code, to_orientation
from organincrement.imaging.volume import Volume

_HEAD = 2  # of L, P, S


def places_along_body_mm(grid: Volume, preprocessing: Preprocessing) -> np.ndarray:
    """S of every slice of the scan in the network's axes, at the slice's middle.

    Returns: float32, as long as the axis that is nearest to the body's and 1 along the two others, so that it
        broadcasts to a channel on the scan's own voxels.
    """
    order, turned = preprocessing.axis_order, to_orientation(grid, preprocessing.orientation)
    axis = _axis_along(orientation_code(turned))
    middle = [(size - 1) / 2 for size in turned.shape_DHW[::-1]]
    index_xyz = np.repeat([middle], turned.shape_DHW[axis], axis=0)
    index_xyz[:, 2 - axis] = np.arange(turned.shape_DHW[axis])
    s_mm = index_xyz @ turned.affine[_HEAD, :3] + turned.affine[_HEAD, 3]
    shape = [1, 1, 1]
    shape[order.index(axis)] = -1
    return s_mm.astype(np.float32).reshape(shape)


def organ_slices_mm(labels: Volume, value: int) -> tuple[np.ndarray, float]:
    """S of the slices across the body that hold a label, and their thickness in mm."""
    turned = to_orientation(labels, "LPS")
    held = np.flatnonzero((turned.array_DHW == value).any(axis=(1, 2)))
    middle = [(size - 1) / 2 for size in turned.shape_DHW[:0:-1]]
    start = turned.affine[_HEAD, 3] + turned.affine[_HEAD, :2] @ middle
    return start + held * turned.affine[_HEAD, 2], float(turned.spacing_mm[0])


def _axis_along(orientation: str) -> int:
    """Of the array D, H, W of a scan in this orientation."""
    return next(axis for axis, letter in enumerate(orientation[::-1]) if letter in "SI")
