"""NRRD and NIfTI files with their exact grid: which reader and writer a file name asks for."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.Grid import Grid
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _

MAX_IMAGE_BYTES = 8 * 2**30


@dataclass(frozen=True, eq=False)
class Image:
    """Voxels (K, J, I) where they lie; `pairs` are the keys and values of a NRRD file."""

    array_KJI: np.ndarray
    grid: Grid
    pairs: dict[str, str] = field(default_factory=dict)


def isReadable(path: Path) -> bool:
    """Whether this module has a reader for a file of this name."""
    return path.name.lower().endswith((".nrrd", ".nii", ".nii.gz"))


def read(path: Path) -> Image:
    """The voxels of a NRRD or NIfTI file. Raises: LogicError, one line, for anything that is not surely read."""
    from OrganIncrementLib.Logics import NiftiImage, NrrdImage

    try:
        if not path.is_file():
            raise LogicError(_("{file} is not there: check the folder.").format(file=path.name))
        return NrrdImage.read(path) if path.name.lower().endswith(".nrrd") else NiftiImage.read(path)
    except OSError as error:
        raise LogicError(
            _("{file} cannot be read ({reason}): check the folder.").format(
                file=path.name, reason=error.strerror or error
            )
        ) from None
    except MemoryError:
        raise LogicError(_("There is not enough memory for {file}: close programs.").format(file=path.name)) from None


def write(path: Path, array_KJI: np.ndarray, grid: Grid) -> None:
    """Write voxels as .nrrd or .nii.gz, whole or not at all. Raises: LogicError."""
    for _step in writing(path, array_KJI, grid):
        pass


def writing(path: Path, array_KJI: np.ndarray, grid: Grid) -> Iterator[float]:
    """As `write`, in steps of one slice: yields how much is done (0..1). Closing it before its end leaves no file."""
    from OrganIncrementLib.Logics import NiftiImage, NrrdImage

    name = path.name.lower()
    if name.endswith(".nrrd"):
        return NrrdImage.writing(path, array_KJI, grid)
    if name.endswith((".nii.gz", ".nii")):
        return NiftiImage.writing(path, array_KJI, grid)
    raise LogicError(_("{file} is neither .nrrd nor .nii.gz: choose one of these endings.").format(file=path.name))


def notRead(path: Path, reason: str) -> LogicError:
    """The error for a file that is damaged or of an unknown kind."""
    return LogicError(_("{file} cannot be read ({reason}): export it again.").format(file=path.name, reason=reason))
