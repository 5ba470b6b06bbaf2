"""A segmentation of the scene as a dataset's label file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from organincrement.contract.labels import Organ
from OrganIncrementLib.Logics import ImageFile
from OrganIncrementLib.Logics.Grid import worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Logics.SegmentMasks import OtherGridError, maskOf, segmentIdOf
from OrganIncrementLib.Translation import _

__all__ = ["OtherGridError", "exportLabelmap", "labelArray"]


def exportLabelmap(
    segmentationNode, referenceVolumeNode, organs: Sequence[Organ], path, resample: bool = False,
    allowEmpty: bool = False,
) -> None:  # fmt: skip
    """Write a label file (.nrrd or .nii.gz) on the scan's grid: value = position in `organs` + 1.

    Raises: OtherGridError when a segment lies on another grid, unless `resample` (nearest voxel); LogicError when no
    organ has a voxel, unless `allowEmpty`, and when the disk does not take the file.
    """
    label_KJI = labelArray(segmentationNode, referenceVolumeNode, organs, resample, allowEmpty)
    ImageFile.write(Path(path), label_KJI, worldGrid(referenceVolumeNode))


def labelArray(
    segmentationNode, referenceVolumeNode, organs: Sequence[Organ], resample: bool = False, allowEmpty: bool = False
) -> np.ndarray:
    """The label (K, J, I) that `exportLabelmap` writes; where two organs overlap, the later one has the voxel."""
    grid = worldGrid(referenceVolumeNode)
    label_KJI = np.zeros(grid.shape_KJI, np.uint8 if len(organs) < 255 else np.uint16)
    for value, organ in enumerate(organs, 1):
        segmentId = segmentIdOf(segmentationNode, organ)
        if segmentId:
            label_KJI[maskOf(segmentationNode, segmentId, grid, resample=resample)] = value
    if not allowEmpty and not label_KJI.any():
        names = ", ".join(organ.name for organ in organs)
        raise LogicError(
            _("{segmentation} has no voxel of {organs} within the scan: draw it first.").format(
                segmentation=segmentationNode.GetName(), organs=names
            )
        )
    return label_KJI
