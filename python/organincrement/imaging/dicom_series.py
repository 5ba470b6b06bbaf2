"""A folder with one DICOM series of a scan: checked slice by slice, then read in order of position."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import ORTHONORMAL_TOLERANCE, Header, check_grid, check_shape, check_unit_vectors
from organincrement.imaging.volume import affine_matrix

# Files that other programs put beside the slices; anything else that is not DICOM could be a damaged slice.
SIDE_FILES = ("dicomdir", "license", "version", "readme")
SIDE_SUFFIXES = (".txt", ".xml", ".json", ".csv", ".html", ".md", ".pdf", ".jpg", ".png")
RESCALED_MODALITIES = ("CT", "PT")
GAP_TOLERANCE = 0.01
SERIES, MODALITY, FRAMES, SAMPLES = "0020|000e", "0008|0060", "0028|0008", "0028|0002"
POSITION, ORIENTATION, PIXEL_SPACING, ROWS, COLUMNS = "0020|0032", "0020|0037", "0028|0030", "0028|0010", "0028|0011"
RESCALE = ("0028|1052", "0028|1053")


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """What one file of a series says: LPS position of its first pixel, spacing between rows and between columns."""

    path: Path
    series: str
    modality: str
    shape_HW: tuple[int, int]
    position_mm: np.ndarray
    axes: np.ndarray
    spacing_mm: tuple[float, float]

    def fits(self, other: "Slice") -> bool:
        """True when both have one size, spacing, orientation and modality."""
        same = (self.shape_HW, self.spacing_mm, self.modality) == (other.shape_HW, other.spacing_mm, other.modality)
        return same and bool(np.abs(self.axes - other.axes).max() <= ORTHONORMAL_TOLERANCE)


def read_series_header(folder: Path) -> tuple[Header, list[Path]]:
    """The checked grid of the one series in a folder (not its subfolders), and its files in the order of the slices.

    Raises ImageError for mixed series or orientations, missing, double or unevenly spaced slices, a tilted gantry,
    colour, several frames in a file, and a missing rescale.
    """
    slices = [_read_slice(path) for path in _dicom_files(folder)]
    if len(slices) < 2:
        raise ImageError(
            f"{folder}: holds {len(slices)} DICOM slices, a volume needs 2 or more; give the folder of the series"
        )
    first = slices[0]
    series = {item.series for item in slices}
    if len(series) > 1:
        raise ImageError(f"{folder}: holds {len(series)} DICOM series; give a folder with one")
    for item in slices:
        if not item.fits(first):
            raise ImageError(
                f"{item.path}: has another size, spacing or orientation than {first.path.name}; export one series"
            )
    normal = np.cross(first.axes[:, 0], first.axes[:, 1])
    slices.sort(key=lambda item: float(item.position_mm @ normal))
    return _header(folder, slices, normal), [item.path for item in slices]


def read_series_voxels(header: Header, paths: Sequence[Path]) -> np.ndarray:
    """The voxels (D, H, W) as float32, each slice with its own rescale; raises ImageError for an unreadable slice."""
    voxels_DHW = np.empty(header.shape_DHW, np.float32)
    for slice_HW, path in zip(voxels_DHW, paths, strict=True):
        try:
            image = sitk.ReadImage(str(path), sitk.sitkFloat32, "GDCMImageIO")
        except RuntimeError:
            raise ImageError(f"{path}: is cut off or damaged; export the series again") from None
        pixels = sitk.GetArrayViewFromImage(image)
        if pixels.size != slice_HW.size:
            raise ImageError(
                f"{path}: does not hold the {slice_HW.shape} pixels that it claims; export the series again"
            )
        slice_HW[...] = pixels.reshape(slice_HW.shape)
    return voxels_DHW


def _dicom_files(folder: Path) -> list[Path]:
    files = []
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if (
            not path.is_file()
            or name.startswith(".")
            or path.stem.lower() in SIDE_FILES
            or name.endswith(SIDE_SUFFIXES)
        ):
            continue
        with path.open("rb") as file:
            if file.read(132)[128:] != b"DICM":
                raise ImageError(
                    f"{path}: is no DICOM file, or a damaged slice; export the series again or move it away"
                )
        files.append(path)
    return files


def _read_slice(path: Path) -> Slice:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        raise ImageError(
            f"{path}: is no DICOM image, or damaged; give a folder with the slices of one series"
        ) from None
    tags = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    if tags.get(SAMPLES, "1") != "1" or reader.GetNumberOfComponents() != 1:
        raise ImageError(f"{path}: is a colour image; give the original series")
    if tags.get(FRAMES, "1") not in ("", "1"):
        raise ImageError(
            f"{path}: holds {tags[FRAMES][:10]} frames (enhanced DICOM); export it as one file a slice, or as NIfTI"
        )
    modality = tags.get(MODALITY, "")
    if modality in RESCALED_MODALITIES and not all(tags.get(tag) for tag in RESCALE):
        raise ImageError(
            f"{path}: has no rescale slope and intercept, so its values are not HU; export the series again"
        )
    rows, columns = (int(_numbers(path, tags, tag, 1)[0]) for tag in (ROWS, COLUMNS))
    row_mm, column_mm = _numbers(path, tags, PIXEL_SPACING, 2)
    return Slice(
        path=path,
        series=tags.get(SERIES, ""),
        modality=modality,
        shape_HW=(rows, columns),
        position_mm=np.array(_numbers(path, tags, POSITION, 3)),
        axes=np.array(_numbers(path, tags, ORIENTATION, 6)).reshape(2, 3).T,
        spacing_mm=(row_mm, column_mm),
    )


def _numbers(path: Path, tags: dict[str, str], tag: str, count: int) -> list[float]:
    try:
        numbers = [float(word) for word in tags.get(tag, "").split("\\")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ImageError(
            f"{path}: its tag ({tag.replace('|', ',')}) is missing or not {count} numbers; export the series again"
        )
    return numbers


def _header(folder: Path, slices: Sequence[Slice], normal: np.ndarray) -> Header:
    first = slices[0]
    steps = np.diff([item.position_mm for item in slices], axis=0)
    gaps_mm = steps @ normal
    middle_mm = float(np.median(gaps_mm))
    if gaps_mm.min() <= GAP_TOLERANCE * middle_mm or middle_mm <= 0:
        raise ImageError(f"{folder}: has two slices at one position; give a folder with one series, each slice once")
    if np.abs(gaps_mm - middle_mm).max() > GAP_TOLERANCE * middle_mm:
        raise ImageError(
            f"{folder}: its slices are {gaps_mm.min():.4g} to {gaps_mm.max():.4g} mm apart; "
            "slices are missing or uneven, export the series again"
        )
    if np.abs(steps - np.outer(gaps_mm, normal)).max() > GAP_TOLERANCE * middle_mm:
        raise ImageError(
            f"{folder}: its gantry was tilted (the slices are shifted sideways); correct the tilt in your viewer first"
        )
    direction = np.column_stack([first.axes, normal])
    check_unit_vectors(folder, direction)
    spacing_mm = (float(gaps_mm.mean()), *first.spacing_mm)
    x, y, z = first.position_mm
    spacing, origin, direction = check_grid(folder, affine_matrix(spacing_mm, (x, y, z), direction))
    return Header(
        path=folder,
        kind="dicom",
        shape_DHW=check_shape(folder, [first.shape_HW[1], first.shape_HW[0], len(slices)], 4),
        spacing_mm=spacing,
        origin_mm=origin,
        direction=direction,
        stored=np.dtype(np.float32),
        data_path=folder,
    )
