"""One checked image, whatever it is stored as: its header, its voxels, and single voxels without the rest."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from organincrement.imaging.dicom_frames import Slice
from organincrement.imaging.dicom_pixels import read_slices_pixels
from organincrement.imaging.dicom_segmentation import (
    Segmentation,
    is_segmentation,
    label_slices,
    read_segmentation,
)
from organincrement.imaging.dicom_series import read_folder, read_series
from organincrement.imaging.dicom_tags import DicomFile, has_dicom_mark, read_dicom_file
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header, open_regular
from organincrement.imaging.preflight import gzip_length_agrees, image_suffix, read_header
from organincrement.imaging.voxels import check_voxels, read_voxels, reading, sampled_voxels, value_type

# Slices beyond those asked for are decoded only to see whether they can be.
CHECKED_PIXELS = 8 * 2**20
CHECKING_S = 1.0
SLICES_AT_A_TIME = 4


class Source(Protocol):
    """A checked image on disk."""

    header: Header
    dtype: np.dtype

    def check(self) -> None:
        """Raise ImageError for damage that does not show in the header, as far as that is quickly seen."""

    def read(self) -> np.ndarray:
        """All voxels (D, H, W); raises ImageError when they are cut off, damaged or not finite."""

    def sample(self, index: np.ndarray) -> np.ndarray:
        """The values at (n, 3) indices d, h, w, in little memory; raises ImageError as `read` does."""


class FileSource:
    """A NIfTI, NRRD or MetaImage file."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.dtype = value_type(header)

    def check(self) -> None:
        """The length in a whole gzip file agrees; only what looks cut off, or is in parts, is unpacked to see."""
        if self.header.encoding == "gzip" and not gzip_length_agrees(self.header):
            check_voxels(self.header)

    def read(self) -> np.ndarray:
        """All voxels."""
        return read_voxels(self.header)

    def sample(self, index: np.ndarray) -> np.ndarray:
        """Goes through the voxels in pieces."""
        flat = np.ravel_multi_index(tuple(index.T), self.header.shape_DHW)
        return sampled_voxels(self.header, flat)


class SeriesSource:
    """DICOM slices."""

    dtype = np.dtype(np.float32)

    def __init__(self, header: Header, slices: Sequence[Slice]) -> None:
        self.header = header
        self._slices = slices

    def check(self) -> None:
        """The headers were all read, and the pixels counted."""

    def read(self) -> np.ndarray:
        """All voxels, each slice with its own rescale."""
        with reading(self.header):
            voxels_DHW = np.empty(self.header.shape_DHW, np.float32)
            for slice_HW, read_HW in zip(voxels_DHW, self._values(range(len(self._slices))), strict=True):
                slice_HW[...] = read_HW
        return voxels_DHW

    def sample(self, index: np.ndarray) -> np.ndarray:
        """Reads the slices that are asked for, the first and the middle one, and more of the packed ones for a while.

        The two are read even without a point, so that a series gets the same answer with points and without.
        """
        values = np.empty(len(index), np.float32)
        height, width = self.header.shape_DHW[1:]
        # Plain pixels were counted: only what is packed can be damaged without being seen.
        packed = [d for d, item in enumerate(self._slices) if item.pixels.data.bytes is None]
        wanted = sorted({*index[:, 0].tolist(), 0, len(self._slices) // 2})
        others = sorted(set(packed[: CHECKED_PIXELS // (height * width)]) - set(wanted))
        end = time.monotonic() + CHECKING_S
        with reading(self.header):
            for d, slice_HW in zip(wanted, self._values(wanted), strict=True):
                here = index[:, 0] == d
                values[here] = slice_HW[index[here, 1], index[here, 2]]
            while others and time.monotonic() < end:
                for _ in self._values(others[:SLICES_AT_A_TIME]):
                    pass
                del others[:SLICES_AT_A_TIME]
        return values

    def _values(self, order: Iterable[int]) -> Iterator[np.ndarray]:
        slices = [self._slices[d] for d in order]
        return map(self._finite, read_slices_pixels(slices, checked=True))

    def _finite(self, slice_HW: np.ndarray) -> np.ndarray:
        if not np.isfinite(slice_HW).all():
            raise ImageError(f"{self.header.path}: has values too large to be intensities; export the series again")
        return slice_HW


class SegmentationSource:
    """A DICOM segmentation."""

    def __init__(self, segmentation: Segmentation) -> None:
        self.header = segmentation.header
        self.dtype = segmentation.header.stored
        self.segmentation = segmentation

    def check(self) -> None:
        """The header was read, and the pixels counted."""

    def read(self) -> np.ndarray:
        """All labels."""
        with reading(self.header):
            labels_DHW = np.zeros(self.header.shape_DHW, self.dtype)
            for d, labels_HW in label_slices(self.segmentation):
                labels_DHW[d] = labels_HW
        return labels_DHW

    def sample(self, index: np.ndarray) -> np.ndarray:
        """Goes through the slices."""
        values = np.zeros(len(index), self.dtype)
        with reading(self.header):
            for d, labels_HW in label_slices(self.segmentation):
                here = index[:, 0] == d
                values[here] = labels_HW[index[here, 1], index[here, 2]]
        return values


def open_source(path: Path) -> Source:
    """The checked image at a path; raises ImageError when there is none that can be read with certainty."""
    # The numbers of a header may be anything; what comes of them is checked, and no warning is wanted beside that.
    with np.errstate(all="ignore"):
        if _is_folder(path):
            return _dicom_source(path, read_folder(path))
        open_regular(path)
        if image_suffix(path) is None and has_dicom_mark(path):
            return _dicom_source(path, [read_dicom_file(path)])
        return FileSource(read_header(path))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, a folder above that may not be entered
        return False


def _dicom_source(path: Path, files: Sequence[DicomFile]) -> Source:
    if len(files) == 1 and is_segmentation(files[0]):
        return SegmentationSource(read_segmentation(files[0]))
    segmentation = next((file for file in files if is_segmentation(file)), None)
    if segmentation is not None:
        raise ImageError(f"{segmentation.path}: is a DICOM segmentation among other files; give it alone")
    header, slices = read_series(path, files)
    return SeriesSource(header, slices)
