"""A volume of the scene as a file that the engine reads: every voxel where it is seen."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import slicer

from OrganIncrementLib.Logics import ImageFile
from OrganIncrementLib.Logics.Grid import worldGrid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _

CODES = {"i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"}


def exportVolume(volumeNode, path: Path) -> None:
    """Write a scalar volume as .nrrd or .nii.gz, where its linear transforms put it; the node stays as it is.

    Raises: LogicError for a volume without voxels, with colours or vectors, with spacing or axes that no scan has,
    under a non-linear transform, or with voxels that are no numbers; and when the disk does not take the file.
    """
    for _step in exporting(volumeNode, path):
        pass


def exporting(volumeNode, path: Path) -> Iterator[float]:
    """As `exportVolume`, in steps of one slice: yields how much is done (0..1); the checks come before the first step.

    Closing the iterator before its end leaves no file. The scan must not be changed meanwhile.
    """
    array_KJI = checkedVoxels(volumeNode)
    return ImageFile.writing(Path(path), array_KJI, worldGrid(volumeNode))


def problemOf(volumeNode) -> str:
    """Why a volume cannot be exported, in words, as far as quickly seen (its voxels are not read); empty if it can."""
    try:
        worldGrid(volumeNode)
        _checkScalar(volumeNode)
    except LogicError as error:
        return str(error)
    return ""


def checkedVoxels(volumeNode) -> np.ndarray:
    """A view of a scalar volume's voxels (K, J, I), of a type that the engine reads, all finite. Raises: LogicError."""
    worldGrid(volumeNode)
    _checkScalar(volumeNode)
    array_KJI = slicer.util.arrayFromVolume(volumeNode)
    if array_KJI.dtype.str[1:] not in CODES:
        array_KJI = array_KJI.astype(np.float32)
    if array_KJI.dtype.kind == "f":
        # Slice by slice: no second array of the size of the scan.
        odd = sum(int(np.count_nonzero(~np.isfinite(slice_JI))) for slice_JI in array_KJI)
        if odd:
            raise LogicError(
                _(
                    "{volume} has {count} voxels that are no numbers (NaN or infinite): replace them and try again."
                ).format(volume=volumeNode.GetName(), count=odd)
            )
    return array_KJI


def _checkScalar(volumeNode) -> None:
    if volumeNode.GetImageData().GetNumberOfScalarComponents() != 1 or not volumeNode.IsA("vtkMRMLScalarVolumeNode"):
        raise LogicError(
            _(
                "{volume} has several values in each voxel (a colour or vector volume): choose a volume with one."
            ).format(volume=volumeNode.GetName())
        )
