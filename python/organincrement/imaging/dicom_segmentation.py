"""DICOM segmentations whose frames are binary and lie on a regular grid, as labels: a voxel is its segment's number.

Frames without a voxel may be left out of the file, so that a slice without a frame is empty.
Source: DICOM PS3.3 (2024), A.51 and C.8.20.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from organincrement.imaging import dicom_frames as frames
from organincrement.imaging.dicom_frames import Pixels, Tags, functional_groups, grouped, numbers, pixels_of, text
from organincrement.imaging.dicom_pixels import PLAIN_SYNTAXES
from organincrement.imaging.dicom_series import ALONG_TOLERANCE, check_not_tilted
from organincrement.imaging.dicom_tags import DicomFile
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import Header, check_grid, check_shape, check_spacing, check_unit_vectors
from organincrement.imaging.volume import affine_matrix

SOP_CLASS, SEGMENTATION_CLASSES = 0x00080016, ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
SEGMENTS, NUMBER, KIND, IDENTIFICATION, REFERENCED = 0x00620002, 0x00620004, 0x00620001, 0x0062000A, 0x0062000B
SLICE_DISTANCE, THICKNESS = 0x00180088, 0x00180050
MAX_SLICES = 4096
REMEDY = "export it as .seg.nrrd or NIfTI"


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """The grid, the segments' numbers, and for each frame its segment and its slice."""

    header: Header
    pixels: Pixels
    segments: tuple[int, ...]
    frame_segments: tuple[int, ...]
    frame_slices: tuple[int, ...]


def is_segmentation(file: DicomFile) -> bool:
    """Whether a DICOM file says that it is a segmentation."""
    return text(file.tags, SOP_CLASS) in SEGMENTATION_CLASSES


def read_segmentation(file: DicomFile) -> Segmentation:
    """Check a DICOM segmentation; raises ImageError, saying that it is one, for what is no regular binary grid."""
    path = file.path
    segments = _segments(file)
    _check_binary(file, len(segments))
    pixels = pixels_of(file)
    if pixels.syntax not in PLAIN_SYNTAXES or pixels.data.bytes is None or pixels.big_endian:
        raise ImageError(f"{path}: is a compressed DICOM segmentation of {len(segments)} segments; {REMEDY}")
    if len(file.tags.sequences.get(frames.FRAME_GROUPS, [])) != pixels.frames:
        raise ImageError(f"{path}: is a DICOM segmentation that does not say of each frame where it lies; {REMEDY}")
    shared, each = functional_groups(file, pixels.frames)
    named = tuple(
        frames.whole_number(path, grouped(file, IDENTIFICATION, groups, shared), REFERENCED) for groups in each
    )
    if not set(named) <= set(segments):
        raise ImageError(f"{path}: is a DICOM segmentation with frames of a segment that it does not list; {REMEDY}")
    header, slices = _grid(file, pixels, each, shared)
    if len(set(zip(named, slices, strict=True))) != len(slices):
        raise ImageError(f"{path}: is a DICOM segmentation with two frames of one segment at one place; {REMEDY}")
    return Segmentation(header=header, pixels=pixels, segments=segments, frame_segments=named, frame_slices=slices)


def label_slices(segmentation: Segmentation) -> Iterator[tuple[int, np.ndarray]]:
    """Index and labels (H, W), uint8 or uint16, of every slice that has a frame; raises ImageError for an overlap."""
    header = segmentation.header
    with header.path.open("rb") as file:
        frames_of: dict[int, list[int]] = {}
        for frame, index in enumerate(segmentation.frame_slices):
            frames_of.setdefault(index, []).append(frame)
        for index in sorted(frames_of):
            labels_HW = np.zeros(header.shape_DHW[1:], header.stored)
            for frame in frames_of[index]:
                inside_HW = _mask(segmentation, file, frame)
                if labels_HW[inside_HW].any():
                    raise ImageError(f"{header.path}: is a DICOM segmentation whose segments overlap; {REMEDY}")
                labels_HW[inside_HW] = segmentation.frame_segments[frame]
            yield index, labels_HW


def _mask(segmentation: Segmentation, file: BinaryIO, frame: int) -> np.ndarray:
    """One frame: its bits follow those of the frame before, which may end within a byte."""
    pixels = segmentation.pixels
    count = pixels.shape_HW[0] * pixels.shape_HW[1]
    first, last = frame * count, (frame + 1) * count
    begin, end = pixels.data.offset + first // 8, pixels.data.offset + (last + 7) // 8
    if pixels.data.file_bytes is None:
        file.seek(begin)
        packed = file.read(end - begin)
    else:
        packed = pixels.data.file_bytes[begin:end]
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")[first % 8 :][:count]
    if bits.size != count:
        raise ImageError(f"{segmentation.header.path}: is cut off; copy or export it again")
    return bits.reshape(pixels.shape_HW).astype(bool)


def _segments(file: DicomFile) -> tuple[int, ...]:
    found = tuple(
        frames.whole_number(file.path, item, NUMBER) for item in file.tags.sequences.get(SEGMENTS, [])
    )  # fmt: skip
    if not found or len(set(found)) != len(found) or min(found) < 1:
        raise ImageError(f"{file.path}: is a DICOM segmentation that lists its segments twice or not at all; {REMEDY}")
    return found


def _check_binary(file: DicomFile, segments: int) -> None:
    what = f"{file.path}: is a DICOM segmentation of {segments} segments"
    if file.pixels is None:
        raise ImageError(f"{what} without pixels; {REMEDY}")
    kind = text(file.tags, KIND)
    bits = [frames.whole_number(file.path, file.tags, tag) for tag in (frames.ALLOCATED, frames.STORED)]
    if kind != "BINARY" or bits != [1, 1]:
        stored = kind.lower() if kind in ("FRACTIONAL", "LABELMAP") else f"of {bits[0]} bits"
        raise ImageError(f"{what}, {stored} and not binary; {REMEDY}")


def _grid(file: DicomFile, pixels: Pixels, each: list[Tags], shared: Tags) -> tuple[Header, tuple[int, ...]]:
    path = file.path
    first = each[0]
    axes = _axes(file, first, shared)
    measures = grouped(file, frames.PIXEL_MEASURES, first, shared)
    row_mm, column_mm = numbers(path, measures, frames.PIXEL_SPACING, 2)
    check_spacing(path, (row_mm, column_mm))
    _check_frames_alike(file, each[1:], shared, axes, (row_mm, column_mm))
    normal = np.cross(axes[:, 0], axes[:, 1])
    check_unit_vectors(path, np.column_stack([axes, normal]))
    positions_mm = np.array(
        [numbers(path, grouped(file, frames.PLANE_POSITION, groups, shared), frames.POSITION, 3) for groups in each]
    )
    stated_mm = numbers(path, measures, SLICE_DISTANCE, 1)[0] if SLICE_DISTANCE in measures.values else None
    thickness_mm = numbers(path, measures, THICKNESS, 1)[0] if text(measures, THICKNESS) else None
    along_mm = positions_mm @ normal
    if stated_mm is None and thickness_mm is not None:
        stated_mm = _distance_by_thickness(path, along_mm, thickness_mm)
    slices, step_mm = _slices(path, along_mm, stated_mm)
    check_not_tilted(path, positions_mm, normal, min(row_mm, column_mm, step_mm))
    lowest = positions_mm[int(np.argmin(slices))]
    x, y, z = (float(value) for value in lowest)
    affine = affine_matrix((step_mm, row_mm, column_mm), (x, y, z), np.column_stack([axes, normal]))
    spacing, origin, direction = check_grid(path, affine)
    height, width = pixels.shape_HW
    stored = np.dtype(np.uint8 if max(_segments(file)) < 256 else np.uint16)
    header = Header(
        path=path,
        kind="segmentation",
        shape_DHW=check_shape(path, [width, height, max(slices) + 1], stored.itemsize),
        spacing_mm=spacing,
        origin_mm=origin,
        direction=direction,
        stored=stored,
        data_path=path,
    )
    return header, slices


def _check_frames_alike(
    file: DicomFile, others: list[Tags], shared: Tags, axes: np.ndarray, spacing_mm: tuple[float, float]
) -> None:
    path = file.path
    for groups in others:
        other = numbers(path, grouped(file, frames.PIXEL_MEASURES, groups, shared), frames.PIXEL_SPACING, 2)
        turned = np.abs(_axes(file, groups, shared) - axes).max() > frames.AXES_TOLERANCE
        if turned or not np.allclose(other, spacing_mm, rtol=frames.SPACING_TOLERANCE, atol=0):
            raise ImageError(f"{path}: is a DICOM segmentation whose frames lie differently; {REMEDY}")


def _axes(file: DicomFile, groups: Tags, shared: Tags) -> np.ndarray:
    item = grouped(file, frames.PLANE_ORIENTATION, groups, shared)
    return np.array(numbers(file.path, item, frames.ORIENTATION, 6)).reshape(2, 3).T


def _distance_by_thickness(path: Path, along_mm: np.ndarray, thickness_mm: float) -> float | None:
    """The distance of slices that nothing states: the thickness, where all gaps are whole multiples of it.

    None where every gap is about the thickness, or there is none. Frames on every second slice only would
    otherwise become a grid of half as many slices.
    """
    gaps_mm = np.diff(np.unique(along_mm))
    gaps_mm = gaps_mm[gaps_mm > 1e-3]
    if gaps_mm.size == 0 or not thickness_mm > 0:
        return None
    step_mm = float(gaps_mm.min())
    whole = np.rint(gaps_mm / thickness_mm)
    if whole.min() >= 1 and np.abs(gaps_mm - whole * thickness_mm).max() <= ALONG_TOLERANCE * thickness_mm:
        return None if whole.max() == 1 else thickness_mm
    raise ImageError(
        f"{path}: is a DICOM segmentation that states no distance of its slices; they are {thickness_mm:g} mm thick "
        f"and do not lie at even distances of that, {step_mm:g} mm being the smallest; {REMEDY}"
    )


def _slices(path: Path, along_mm: np.ndarray, stated_mm: float | None) -> tuple[tuple[int, ...], float]:
    """Each frame's slice, and the distance of slices: as stated, else the smallest that occurs."""
    apart_mm = along_mm - along_mm.min()
    gaps_mm = np.diff(np.unique(apart_mm))
    gaps_mm = gaps_mm[gaps_mm > 1e-3]
    if stated_mm is None and gaps_mm.size == 0:
        raise ImageError(f"{path}: is a DICOM segmentation of one slice, its thickness unknown; {REMEDY}")
    step_mm = abs(stated_mm) if stated_mm is not None else float(gaps_mm.min())
    check_spacing(path, [step_mm])
    slices = np.rint(apart_mm / step_mm)
    if slices.max() >= MAX_SLICES:
        raise ImageError(f"{path}: is a DICOM segmentation of over {MAX_SLICES} slices; {REMEDY}")
    off = np.abs(apart_mm - slices * step_mm).max() > ALONG_TOLERANCE * step_mm
    # Without a stated distance, slices that are left out could also mean a finer grid.
    uneven = stated_mm is None and gaps_mm.max() > 1.5 * step_mm
    if off or uneven or (gaps_mm.size and gaps_mm.min() < (1 - ALONG_TOLERANCE) * step_mm):
        raise ImageError(f"{path}: is a DICOM segmentation whose frames do not lie at even distances; {REMEDY}")
    return tuple(int(index) for index in slices), step_mm
