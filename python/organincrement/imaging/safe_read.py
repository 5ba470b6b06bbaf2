"""Reading images and labels that somebody else made: checked first, refused with a reason, never silently wrong."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.geometry import Grid, grid_difference, nearest_index
from organincrement.imaging.header import Header
from organincrement.imaging.sources import FileSource, SegmentationSource, open_source
from organincrement.imaging.volume import Volume
from organincrement.imaging.voxels import read_slabs

LARGEST_LABEL = 65535


def peek(path: Path | str) -> Header:
    """The checked header of an image file or DICOM folder: shape, spacing, direction, type; no voxel is kept.

    Raises ImageError as `read_image`, but for damage that only shows in the voxels.
    """
    source = open_source(Path(path))
    source.check()
    return source.header


def read_stored(path: Path | str) -> Volume:
    """A 3-D scalar image in the type in which it is stored; float32 where a slope or DICOM rescale applies.

    path: .nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, a folder with one DICOM series, an enhanced DICOM file, or a DICOM
    segmentation, whose voxels are the numbers of its segments. What these hold is decoded in this process, by code that
    allocates only after checking sizes; JPEG-compressed DICOM in a limited process of its own.
    Raises ImageError, with the reason in one line, for anything that cannot be read with certainty: see safety.md.
    """
    source = open_source(Path(path))
    header = source.header
    return Volume(source.read(), header.spacing_mm, header.origin_mm, header.direction)


@dataclass(frozen=True, kw_only=True, eq=False)
class Examined:
    """What an image is; `values` at the positions asked for, with `inside` false where there is no voxel."""

    header: Header
    dtype: np.dtype
    segments: int | None
    values: np.ndarray
    inside: np.ndarray


def examine(path: Path | str, points_mm: np.ndarray) -> Examined:
    """Check an image to its end and read the nearest voxels at positions (n, 3) L, P, S, in little memory.

    Raises ImageError as `read_stored`.
    """
    source = open_source(Path(path))
    index, inside = nearest_index(source.header, points_mm)
    return Examined(
        header=source.header,
        dtype=source.dtype,
        segments=len(source.segmentation.segments) if isinstance(source, SegmentationSource) else None,
        values=source.sample(index),
        inside=inside,
    )


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
    return volume.with_array(_as_allowed_labels(Path(path), volume.array_DHW, allowed))


def stored_slabs(path: Path | str, slices: int) -> Iterator[np.ndarray]:
    """The voxels of `read_stored`, so many slices (D, H, W) at a time; a file is read in the memory of these.

    Raises ImageError as `read_stored`, some of it only at the last slab.
    """
    source = open_source(Path(path))
    if isinstance(source, FileSource):
        yield from read_slabs(source.header, slices)
        return
    whole_DHW = source.read()
    yield from (whole_DHW[start : start + slices] for start in range(0, len(whole_DHW), slices))


def label_slabs(path: Path | str, *, allowed: Collection[int] | None, slices: int) -> Iterator[np.ndarray]:
    """The voxels of `read_labels`, so many slices at a time, uint8 or uint16 each; errors as there."""
    for slab_DHW in stored_slabs(path, slices):
        yield _as_allowed_labels(Path(path), slab_DHW, allowed)


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


def _as_allowed_labels(path: Path, array_DHW: np.ndarray, allowed: Collection[int] | None) -> np.ndarray:
    labels_DHW = _as_labels(path, array_DHW)
    if allowed is not None:
        undeclared = sorted(set(label_counts(labels_DHW)) - set(allowed) - {0})
        if undeclared:
            shown = ", ".join(map(str, undeclared[:8])) + (" …" if len(undeclared) > 8 else "")
            raise ImageError(f"{path}: has undeclared label values {shown}; declare them or remove them from the file")
    return labels_DHW


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
