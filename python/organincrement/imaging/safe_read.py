"""Reading images and labels that somebody else made: checked first, refused with a reason, never silently wrong."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from organincrement.imaging.dicom_series import read_series_header, read_series_voxels
from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import Grid, grid_difference
from organincrement.imaging.header import Header
from organincrement.imaging.preflight import gzip_length_agrees, read_header
from organincrement.imaging.volume import Volume
from organincrement.imaging.voxels import check_finite, check_voxels, read_voxels

LARGEST_LABEL = 65535


def peek(path: Path | str) -> Header:
    """The checked header of an image file or DICOM folder: shape, spacing, direction, type; no voxel is kept.

    Raises ImageError as `read_image`, but for damage that only shows in the voxels.
    """
    path = Path(path)
    if path.is_dir():
        return read_series_header(path)[0]
    header = read_header(path)
    # The length in a whole gzip file agrees; only what looks cut off (or is made of several parts) is unpacked to see.
    if header.encoding == "gzip" and not gzip_length_agrees(header):
        check_voxels(header)
    return header


def read_stored(path: Path | str) -> Volume:
    """A 3-D scalar image in the type in which it is stored; float32 where a slope or DICOM rescale applies.

    path: .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, or a folder with one DICOM series.
    Raises ImageError, with the reason in one line, for anything that cannot be read with certainty: see safety.md.
    """
    path = Path(path)
    if path.is_dir():
        header, files = read_series_header(path)
        array_DHW = read_series_voxels(header, files)
        check_finite(header, array_DHW)
    else:
        header = read_header(path)
        array_DHW = read_voxels(header)
    return Volume(array_DHW, header.spacing_mm, header.origin_mm, header.direction)


def read_image(path: Path | str) -> Volume:
    """A scan as float32 (HU for CT); formats and errors as `read_stored`."""
    volume = read_stored(path)
    with np.errstate(over="ignore"):
        array_DHW = volume.array_DHW.astype(np.float32, copy=False)
    if volume.array_DHW.dtype == np.float64 and not all(np.isfinite(slice_HW).all() for slice_HW in array_DHW):
        raise ImageError(f"{path}: has values too large to be intensities; export it again")
    return volume.with_array(array_DHW)


def read_labels(path: Path | str, *, allowed: Collection[int] | None, like: Grid | None = None) -> Volume:
    """A label map as uint8, or uint16 when a label is above 255.

    allowed: the labels that may occur besides 0; None takes any. like: the grid that the label must have (to a
    thousandth of a voxel). Raises ImageError as `read_stored`, and for values that are no whole numbers, negative,
    above 65535 or not allowed, and for another grid.
    """
    if like is not None:
        check_same_grid(path, peek(path), like)
    volume = read_stored(path)
    array_DHW = _as_labels(Path(path), volume.array_DHW)
    if allowed is not None:
        undeclared = sorted(set(label_counts(array_DHW)) - set(allowed) - {0})
        if undeclared:
            shown = ", ".join(map(str, undeclared[:8])) + (" …" if len(undeclared) > 8 else "")
            raise ImageError(f"{path}: has undeclared label values {shown}; declare them or remove them from the file")
    return volume.with_array(array_DHW)


def label_counts(labels_DHW: np.ndarray) -> dict[int, int]:
    """How many voxels each label has, for a uint8 or uint16 array; only labels that occur."""
    # Slice by slice: bincount makes an eight-byte copy of what it counts.
    counts = sum(
        (np.bincount(slice_HW.ravel(), minlength=LARGEST_LABEL + 1) for slice_HW in labels_DHW), np.zeros(1, np.int64)
    )
    return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}


def check_same_grid(path: Path | str, grid: Grid, like: Grid) -> None:
    """Raise ImageError, in the name of the label file `path`, unless both grids are the same."""
    difference = grid_difference(grid, like)
    if difference:
        raise ImageError(f"{path}: is not on the grid of its image ({difference}); resample the label to the image")


def _as_labels(path: Path, array_DHW: np.ndarray) -> np.ndarray:
    low, high = array_DHW.min(), array_DHW.max()
    if low < 0:
        raise ImageError(f"{path}: has negative label values (down to {low}); labels are 0 and above")
    if high > LARGEST_LABEL:
        raise ImageError(
            f"{path}: has label values up to {high}, above {LARGEST_LABEL}; is it an image and not a label?"
        )
    if array_DHW.dtype.kind == "f" and not all((slice_HW == np.rint(slice_HW)).all() for slice_HW in array_DHW):
        raise ImageError(
            f"{path}: has values that are no whole numbers; is it an image or a probability and not a label?"
        )
    return array_DHW.astype(np.uint8 if high <= 255 else np.uint16, copy=False)
