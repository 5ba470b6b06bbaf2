"""A DICOM series, a folder of files or one file with many frames: checked slice by slice, ordered by position.

SimpleITK's own readers order by name or number, fill gaps and take the first slice's rescale for all of them.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from organincrement.imaging.dicom_frames import Slice, read_slices
from organincrement.imaging.dicom_pixels import check_slice
from organincrement.imaging.dicom_tags import DicomFile, has_dicom_mark, read_dicom_file
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header, check_grid, check_shape, check_unit_vectors
from organincrement.imaging.side_files import OF_THE_SYSTEM
from organincrement.imaging.volume import affine_matrix

# Files that other programs put beside the slices; anything else that is not DICOM could be a damaged slice.
SIDE_FILES = ("dicomdir", "license", "version", "readme")
SIDE_SUFFIXES = (".txt", ".xml", ".json", ".csv", ".html", ".md", ".pdf", ".jpg", ".png")
# Copies of the scan and its labels in other formats; a slice may be named so too, and is known by its mark.
IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")
MAX_FILES = 5000
# How far a slice may lie from where a regular grid has it, in parts of the distance of slices and of voxels.
ALONG_TOLERANCE, SIDEWAYS_TOLERANCE = 0.05, 0.1


def read_folder(folder: Path) -> list[DicomFile]:
    """The DICOM files of a folder, not of its subfolders; raises ImageError for damaged ones and for links out."""
    return [read_dicom_file(path) for path in _dicom_paths(folder)]


def read_series(path: Path, files: Sequence[DicomFile]) -> tuple[Header, list[Slice]]:
    """The checked grid of a series and its slices in the order of the grid; `path` is what the user gave.

    Raises ImageError for mixed series or orientations, missing, double or unevenly spaced slices, a tilted gantry,
    colour, pixels that are cut off, and a missing rescale.
    """
    slices = [item for file in files for item in read_slices(file)]
    _check_one_series(path, slices)
    if len(slices) < 2:
        raise ImageError(
            f"{path}: holds {len(slices)} DICOM slices, a volume needs 2 or more; give the folder of the series"
        )
    for item in slices:
        if not item.fits(slices[0]):
            raise ImageError(
                f"{item.path}: has another size, spacing or orientation than {slices[0].path.name}; export one series"
            )
        check_slice(item)
    normal = np.cross(slices[0].axes[:, 0], slices[0].axes[:, 1])
    slices.sort(key=lambda item: float(item.position_mm @ normal))
    return _header(path, slices, normal), slices


def regular_steps(path: Path, positions_mm: np.ndarray, normal: np.ndarray, pixel_mm: float) -> float:
    """The distance of slices at positions (n, 3) sorted along the normal; raises ImageError when they are no grid."""
    along_mm = (positions_mm - positions_mm[0]) @ normal
    gaps_mm = np.diff(along_mm)
    middle_mm = float(np.median(gaps_mm))
    if middle_mm <= 0 or gaps_mm.min() <= ALONG_TOLERANCE * middle_mm:
        raise ImageError(f"{path}: has two slices at one position; give a folder with one series, each slice once")
    step_mm = float(along_mm[-1]) / len(gaps_mm)
    drift_mm = np.abs(along_mm - step_mm * np.arange(len(along_mm))).max()
    if np.abs(gaps_mm - middle_mm).max() > ALONG_TOLERANCE * middle_mm or drift_mm > ALONG_TOLERANCE * middle_mm:
        raise ImageError(
            f"{path}: its slices are {gaps_mm.min():.4g} to {gaps_mm.max():.4g} mm apart; "
            "slices are missing or uneven, export the series again"
        )
    check_not_tilted(path, positions_mm, normal, min(pixel_mm, step_mm))
    return step_mm


def check_not_tilted(path: Path, positions_mm: np.ndarray, normal: np.ndarray, voxel_mm: float) -> None:
    """Raise ImageError when slices are shifted sideways, however slowly; positions are (n, 3)."""
    apart_mm = positions_mm - positions_mm[0]
    sideways_mm = np.linalg.norm(apart_mm - np.outer(apart_mm @ normal, normal), axis=1)
    if sideways_mm.max() > SIDEWAYS_TOLERANCE * voxel_mm:
        raise ImageError(
            f"{path}: its gantry was tilted (the slices are shifted sideways); correct the tilt in your viewer first"
        )


def _dicom_paths(folder: Path) -> list[Path]:
    try:
        paths = list(itertools.islice(folder.iterdir(), MAX_FILES + 1))
        if len(paths) > MAX_FILES:
            raise ImageError(f"{folder}: holds more than {MAX_FILES} files; give a folder with one series only")
        beside = [path for path in paths if _is_beside(path)]
        paths = sorted(set(paths) - set(beside))
        if (paths or beside) and not any(path.is_file() and has_dicom_mark(path) for path in paths):
            raise ImageError(f"{folder}: holds no DICOM slices; give a folder with one series, or a file")
        return [_slice_path(folder, path) for path in paths]
    except OSError as error:
        raise ImageError(f"{folder}: cannot be read ({error.strerror}); check that you may read it") from None


def _is_beside(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith(IMAGE_SUFFIXES) and path.is_file() and not path.is_symlink():
        return not has_dicom_mark(path)
    return (
        name.startswith(".") or name in OF_THE_SYSTEM or path.stem.lower() in SIDE_FILES
        or name.endswith(SIDE_SUFFIXES) or path.is_dir()
    )  # fmt: skip


def _slice_path(folder: Path, path: Path) -> Path:
    if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
        raise ImageError(f"{path}: is a link out of the folder; copy the file into it or move the link away")
    if not path.is_file() or not has_dicom_mark(path):
        raise ImageError(f"{path}: is no DICOM file, or a damaged slice; export the series again or move it away")
    return path


def _check_one_series(path: Path, slices: Sequence[Slice]) -> None:
    series = Counter(item.series for item in slices)
    if len(series) > 1:
        firsts = {item.series: item.path.name for item in reversed(slices)}
        shown = ", ".join(f"{count} slices like {firsts[key]}" for key, count in series.most_common(4))
        raise ImageError(
            f"{path}: holds {len(series)} DICOM series ({shown}); move each into a folder of its own and give one"
        )


def _header(path: Path, slices: Sequence[Slice], normal: np.ndarray) -> Header:
    first = slices[0]
    positions_mm = np.array([item.position_mm for item in slices])
    row_mm, column_mm = first.spacing_mm
    direction = np.column_stack([first.axes, normal])
    check_unit_vectors(path, direction)
    step_mm = regular_steps(path, positions_mm, normal, min(row_mm, column_mm))
    x, y, z = first.position_mm
    affine = affine_matrix((step_mm, row_mm, column_mm), (x, y, z), direction)
    spacing, origin, direction = check_grid(path, affine)
    height, width = first.pixels.shape_HW
    return Header(
        path=path,
        kind="dicom",
        shape_DHW=check_shape(path, [width, height, len(slices)], 4),
        spacing_mm=spacing,
        origin_mm=origin,
        direction=direction,
        stored=np.dtype(np.float32),
        data_path=path,
    )
