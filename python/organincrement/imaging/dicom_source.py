"""A DICOM series as what a result refers to: its slices' identities in the order of the grid, its patient and study.

Only the attributes named here are read of a file; the rest of its header, and its pixels, are passed over.
Sources: DICOM PS3.3 (2024), A.51 and A.75 (what a derived image carries of its patient and study), C.7.6.16.
"""

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from organincrement.imaging.dicom_frames import Slice
from organincrement.imaging.dicom_series import ALONG_TOLERANCE, read_folder, read_series
from organincrement.imaging.dicom_tags import has_dicom_mark, read_dicom_file
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header
from organincrement.imaging.preflight import image_suffix
from organincrement.imaging.volume import Volume

# Imported where it is used: only an export needs it, and it is an optional dependency.
if TYPE_CHECKING:
    from pydicom.dataset import Dataset

IDENTITIES = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
# Said of the source only where it says so itself: whether it was de-identified, and lost anything by compression.
IF_STATED = ("PatientIdentityRemoved", "DeidentificationMethod")
# In the names of those kinds of image that hold many frames, each with a place of its own.
MANY_FRAMES = ("Enhanced", "Multi-frame", "3D", "Tomosynthesis", "Tomography")
LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceSeries:
    """A series to refer to.

    header: its grid. images: one data set for each file, as highdicom takes them, without pixels or patient.
    planes: for each plane of `images`, in their order, its slice on the grid. patient: what is carried over.
    """

    header: Header
    images: "Sequence[Dataset]"
    planes: tuple[int, ...]
    patient: "Dataset"


def check_dicom_writing() -> None:
    """Raise ImageError unless the libraries that write DICOM are there."""
    missing = [name for name in ("highdicom", "pydicom") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImageError(f"a DICOM export needs {' and '.join(missing)}; install with: pip install {' '.join(missing)}")


def read_source(path: Path) -> SourceSeries:
    """The series at a path: a folder of slices, or one file with many frames.

    Raises ImageError as `read_series`, for what is no DICOM, and where identities are missing or doubled.
    """
    check_dicom_writing()
    if not path.is_dir() and (image_suffix(path) is not None or not has_dicom_mark(path)):
        raise ImageError(f"{path}: is no DICOM series, as a DICOM export needs; give the folder of the scan's slices")
    files = read_folder(path) if path.is_dir() else [read_dicom_file(path)]
    header, slices = read_series(path, files)
    with silent_libraries():
        found = {item.path: _attributes(item.path) for item in slices}
        _check_identities(path, list(found.values()))
        one_file = len(found) == 1
        _check_kind(path, next(iter(found.values())), one_file=one_file, all_single=len(found) == len(slices))
        planes = sorted(range(len(slices)), key=lambda d: slices[d].frame) if one_file else list(range(len(slices)))
        in_order = [slices[d] for d in planes]
        images = (
            [_many_frames(found[in_order[0].path], in_order, header)]
            if one_file
            else [_single_frame(found[item.path], item, in_order[0], header) for item in in_order]
        )
        return SourceSeries(
            header=header, images=images, planes=tuple(planes), patient=_carried(found[slices[0].path])
        )  # fmt: skip


def on_source_planes(path: Path, volume: Volume, source: SourceSeries) -> np.ndarray:
    """The voxels of a result on the planes, rows and columns that the source has at their places in the patient.

    volume: its axes may run in another order or the other way round. Returns: planes in the order of `source.images`;
    a view where it can be one. Raises ImageError, in the name of `path`, for another grid.
    """
    to_result = np.linalg.inv(volume.affine) @ source.header.affine  # from index x, y, z of the source
    turn = np.rint(to_result[:3, :3]).astype(int)
    size_xyz = np.array(source.header.shape_DHW[::-1])
    refused = ImageError(
        f"{path}: is not the series that was segmented: {_shown(source.header)} against {_shown(volume)}, "
        "or elsewhere in the patient; give the series of this scan"
    )
    if (np.abs(turn).sum(0) != 1).any() or (np.abs(turn).sum(1) != 1).any():
        raise refused
    if (np.abs(turn) @ size_xyz != np.array(volume.shape_DHW[::-1])).any():
        raise refused
    start = (turn < 0) @ (size_xyz - 1)
    corners = np.array(np.meshgrid(*((0, size - 1) for size in size_xyz))).reshape(3, -1)
    off = to_result[:3, :3] @ corners + to_result[:3, 3:] - (turn @ corners + start[:, None])
    if np.abs(off).max() > ALONG_TOLERANCE:
        raise refused
    order = [int(np.flatnonzero(turn[:, axis])[0]) for axis in range(3)]  # of the result, for x, y, z of the source
    turned_DHW = volume.array_DHW.transpose([2 - order[axis] for axis in (2, 1, 0)])
    turned_DHW = np.flip(turned_DHW, tuple(2 - axis for axis in range(3) if turn[order[axis], axis] < 0))
    in_order = source.planes == tuple(range(len(source.planes)))
    return turned_DHW if in_order else turned_DHW[list(source.planes)]


@contextlib.contextmanager
def silent_libraries() -> Iterator[None]:
    """pydicom and highdicom quote values that they find odd, a patient's name among them: none of it is shown."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _attributes(path: Path) -> "Dataset":
    import pydicom

    try:
        wanted = [*IDENTITIES, *PATIENT_AND_STUDY, *IF_STATED, *LOSSY, "Modality"]
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted)
    except Exception as error:  # what was read before cannot be damaged, but the library's own rules may differ
        raise ImageError(f"{path}: cannot be referred to ({type(error).__name__}); export the series again") from None


def _check_identities(path: Path, found: "Sequence[Dataset]") -> None:
    for name in IDENTITIES:
        if not all(item.get(name) for item in found):
            raise ImageError(f"{path}: its files do not all have a {name}, so that nothing can refer to them")
    if len({item.SOPInstanceUID for item in found}) < len(found):
        raise ImageError(f"{path}: two of its files have one SOPInstanceUID; export the series again")
    if len({item.StudyInstanceUID for item in found}) > 1:
        raise ImageError(f"{path}: its files belong to several studies; give one series")


def _check_kind(path: Path, first: "Dataset", *, one_file: bool, all_single: bool) -> None:
    """Whether the files have as many frames as their kind allows: otherwise no frame could be referred to."""
    from pydicom.uid import UID

    multi_frame = any(word in UID(first.SOPClassUID).name for word in MANY_FRAMES)
    if multi_frame != one_file or not (one_file or all_single):
        raise ImageError(
            f"{path}: its files do not have the frames that their kind of image has, so that nothing can refer to "
            "them; export the series as one file a slice, or as one enhanced file"
        )


def _image(found: "Dataset", header: Header) -> "Dataset":
    """What both kinds of image have. The patient is left out: the library would refuse a strange date or sex."""
    from pydicom.dataset import Dataset

    image = Dataset()
    for name in (*IDENTITIES, *LOSSY):
        if name in found:
            image[name] = found[name]
    for name in PATIENT_AND_STUDY:
        setattr(image, name, None)
    image.Modality = found.get("Modality", "OT")
    image.Rows, image.Columns = header.shape_DHW[1:]
    return image


def _single_frame(found: "Dataset", item: Slice, first: Slice, header: Header) -> "Dataset":
    image = _image(found, header)
    image.ImagePositionPatient = decimals(item.position_mm)
    image.ImageOrientationPatient = decimals(first.axes.T.ravel())
    for name, value in _measures(first, header).items():
        setattr(image, name, value)
    return image


def _many_frames(found: "Dataset", in_order: Sequence[Slice], header: Header) -> "Dataset":
    from pydicom.dataset import Dataset

    def item(**attributes: Any) -> "Dataset":
        made = Dataset()
        for name, value in attributes.items():
            setattr(made, name, value)
        return made

    image = _image(found, header)
    image.NumberOfFrames = len(in_order)
    image.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=decimals(in_order[0].axes.T.ravel()))],
            PixelMeasuresSequence=[item(**_measures(in_order[0], header))],
        )
    ]
    image.PerFrameFunctionalGroupsSequence = [
        item(PlanePositionSequence=[item(ImagePositionPatient=decimals(place.position_mm))]) for place in in_order
    ]
    return image


def _measures(first: Slice, header: Header) -> dict[str, Any]:
    (step,) = decimals([round(header.spacing_mm[0], 9)])
    return {"PixelSpacing": decimals(first.spacing_mm), "SliceThickness": step, "SpacingBetweenSlices": step}


def decimals(values: Sequence[float] | np.ndarray) -> list[Any]:
    """Numbers as DICOM's decimal strings, of 16 characters at most."""
    from pydicom.valuerep import DSfloat

    return [DSfloat(float(value), auto_format=True) for value in values]


def _carried(found: "Dataset") -> "Dataset":
    """Patient and study as text in UTF-8: the names of organs may need other letters than the source's set has."""
    from pydicom.dataset import Dataset

    carried = Dataset()
    carried.SpecificCharacterSet = "ISO_IR 192"
    for name in (*PATIENT_AND_STUDY, *(name for name in IF_STATED if name in found)):
        setattr(carried, name, _text(found.get(name)))
    return carried


def _text(value: Any) -> str:
    from pydicom.multival import MultiValue

    if isinstance(value, MultiValue):  # a backslash where the standard has one value
        return "\\".join(map(str, value))
    return "" if value is None else str(value)


def _shown(grid: Header | Volume) -> str:
    return "×".join(map(str, grid.shape_DHW[::-1]))
