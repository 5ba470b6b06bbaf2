"""What the header of an image file says, checked before any voxel is read."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from organincrement.imaging.errors import ImageError
from organincrement.imaging.volume import affine_matrix

MAX_IMAGE_BYTES = 8 * 2**30
SPACING_RANGE_MM = (1e-2, 100.0)
MAX_ORIGIN_MM = 1e6
MAX_PADDING_BYTES = 1024
ORTHONORMAL_TOLERANCE = 1e-3
# What Python's own float() takes beside these, 0_7 or the digits of other scripts, other readers do not.
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf)", re.ASCII | re.IGNORECASE)
WHOLE_NUMBER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
# A name that stands for many files: LIST, or a pattern as C's printf has it.
LIST_OF_FILES = re.compile(r"list(\s+\d+)?|.*%(\d|d).*", re.IGNORECASE)

Encoding = Literal["raw", "gzip", "bzip2", "zlib", "text"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Header:
    """A checked header: the grid as in `Volume`, and where and how the voxels are stored.

    stored: the type in the file with its byte order; value = stored * slope + intercept. The voxels begin `offset`
    bytes into `data_path`, and, once decompressed, after `skip` more bytes; x runs fastest.
    """

    path: Path
    kind: Literal["nifti", "nrrd", "metaimage", "dicom", "segmentation"]
    shape_DHW: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: np.ndarray
    stored: np.dtype
    slope: float = 1.0
    intercept: float = 0.0
    data_path: Path
    offset: int = 0
    skip: int = 0
    encoding: Encoding = "raw"

    @property
    def affine(self) -> np.ndarray:
        """4×4 matrix from the index (x, y, z, 1) to LPS millimetres."""
        return affine_matrix(self.spacing_mm, self.origin_mm, self.direction)

    @property
    def slice_bytes(self) -> int:
        """Size of one slice (H × W) as stored, uncompressed."""
        return self.shape_DHW[1] * self.shape_DHW[2] * self.stored.itemsize

    @property
    def data_bytes(self) -> int:
        """Size of all voxels as stored, uncompressed."""
        return self.shape_DHW[0] * self.slice_bytes

    @property
    def spare_bytes(self) -> int:
        """How many bytes may follow the last voxel: padding, but no row, column or slice that the header leaves out."""
        depth, height, width = self.shape_DHW
        face = min(depth * height, depth * width, height * width) * self.stored.itemsize
        return min(face - 1, MAX_PADDING_BYTES)


def parsed_number(word: str) -> float:
    """A decimal number, nan or inf in plain ASCII; raises ValueError for anything else."""
    if not NUMBER.fullmatch(word):
        raise ValueError(f"{word[:40]!r} is no number")
    return float(word)


def parsed_whole_number(word: str) -> int:
    """A whole number of at most 18 ASCII digits; raises ValueError for anything else."""
    if not WHOLE_NUMBER.fullmatch(word):
        raise ValueError(f"{word[:40]!r} is no whole number")
    return int(word)


def check_shape(path: Path, sizes_xyz: Sequence[int], itemsize: int) -> tuple[int, int, int]:
    """The shape in array order of a 3-D image; raises ImageError for other dimensions and for too many bytes.

    Trailing axes of length one are dropped.
    """
    sizes = list(sizes_xyz)
    if any(size < 1 for size in sizes):
        raise ImageError(
            f"{path}: its header says a size of {sizes}, but every size is at least 1; export the image again"
        )
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3:
        raise ImageError(f"{path}: is {len(sizes)}-D ({'×'.join(map(str, sizes))}); export one 3-D volume of it")
    # Python's integers cannot overflow, so that a header claiming 10^12 voxels is seen for what it is.
    if math.prod(sizes) * itemsize > MAX_IMAGE_BYTES:
        raise ImageError(
            f"{path}: its header claims {'×'.join(map(str, sizes))} voxels, "
            f"above the limit of {MAX_IMAGE_BYTES >> 30} GiB; crop or resample it"
        )
    return sizes[2], sizes[1], sizes[0]


def check_grid(
    path: Path, affine: np.ndarray
) -> tuple[tuple[float, float, float], tuple[float, float, float], np.ndarray]:
    """Split a 4×4 index-to-LPS matrix into spacing_mm (D, H, W), origin_mm and direction.

    Raises ImageError for numbers that are not finite, spacings out of range and axes that are not at right angles.
    """
    if not np.isfinite(affine).all():
        raise ImageError(f"{path}: its header places the image at numbers that are not finite; export the image again")
    spacing_xyz = np.linalg.norm(affine[:3, :3], axis=0)
    check_spacing(path, spacing_xyz)
    direction = affine[:3, :3] / spacing_xyz
    if abs(np.linalg.det(direction)) < ORTHONORMAL_TOLERANCE:
        raise ImageError(f"{path}: its direction cannot be inverted; export the image again with a proper orientation")
    if np.abs(direction.T @ direction - np.eye(3)).max() > ORTHONORMAL_TOLERANCE:
        raise ImageError(
            f"{path}: its axes are not at right angles (sheared, or a tilted gantry); resample it to a regular grid"
        )
    if np.abs(affine[:3, 3]).max() > MAX_ORIGIN_MM:
        raise ImageError(f"{path}: its origin lies over a kilometre away; export the image again")
    x, y, z = (float(value) for value in affine[:3, 3])
    width_mm, height_mm, depth_mm = (float(value) for value in spacing_xyz)
    return (depth_mm, height_mm, width_mm), (x, y, z), direction


def check_spacing(path: Path, spacing_mm: Sequence[float] | np.ndarray) -> None:
    """Raise ImageError unless each spacing is finite and between a hundredth of a millimetre and 10 cm."""
    low, high = SPACING_RANGE_MM
    if not all(low <= value <= high for value in spacing_mm):
        shown = ", ".join(f"{value:g}" for value in spacing_mm)
        raise ImageError(
            f"{path}: its spacing is {shown} mm, expected {low:g} to {high:g}; correct the header or export it again"
        )


def check_unit_vectors(path: Path, direction: np.ndarray) -> None:
    """Raise ImageError unless each column has length one: with a spacing of its own, a direction must not scale."""
    lengths = np.linalg.norm(direction, axis=0)
    if not np.isfinite(lengths).all() or np.abs(lengths - 1).max() > ORTHONORMAL_TOLERANCE:
        raise ImageError(f"{path}: its direction vectors do not have length 1; export the image again")


def open_regular(path: Path) -> Path:
    """The path if it is a readable regular file; raises ImageError for anything else (opening a pipe would hang)."""
    try:
        if path.is_file():
            with path.open("rb"):
                return path
        problem = (
            "is a folder, not an image file"
            if path.is_dir()
            else "is not there"
            if not path.exists()
            else "is no regular file"
        )
    except (OSError, ValueError) as error:
        problem = f"cannot be opened ({getattr(error, 'strerror', None) or 'its name is impossible'})"
    raise ImageError(f"{path}: {problem}; check the path")


def detached_data(header_path: Path, name: str) -> Path:
    """The data file that a header names; raises ImageError unless it lies in the header's own folder."""
    folder = header_path.parent.resolve()
    remedy = "put both files into one folder or save the image as a single file"
    if not name or "\0" in name or "\\" in name or ":" in name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ImageError(f"{header_path}: names the data file {name[:80]!r} outside its folder; {remedy}")
    path = header_path.parent / name
    try:
        if not path.resolve().is_relative_to(folder):
            raise ImageError(f"{header_path}: its data file {name[:80]!r} is a link out of the folder; {remedy}")
        found = path.is_file()
    except (OSError, RuntimeError):  # a name too long, links in a circle
        found = False
    if not found:
        raise ImageError(f"{header_path}: its data file {name[:80]!r} is missing or no regular file; {remedy}")
    return path
