"""The slices that one DICOM file holds: where each lies, how its pixels are stored, and what a pixel's value means.

A file of a classic series holds one; an enhanced one holds many and says for each of them, or for all at once, where it
lies. Padding pixels keep their value and are rescaled like any other, as SimpleITK does.
Source: DICOM PS3.3 (2024), C.7.6.2, C.7.6.3, C.7.6.16, C.11.1.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from organincrement.imaging.dicom_tags import Dataset as Tags
from organincrement.imaging.dicom_tags import DicomFile, PixelData
from organincrement.imaging.errors import ImageError
from organincrement.imaging.header import check_spacing, parsed_number

RESCALED_MODALITIES = ("CT", "PT")
AXES_TOLERANCE = 1e-4
SPACING_TOLERANCE = 1e-4  # of the spacing: some programs write the same one with more or fewer digits
MAX_FRAMES = 20_000
MAX_RESCALED = 1e30
MODALITY, SERIES, PLACE, SAMPLES, PHOTOMETRIC = 0x00080060, 0x0020000E, 0x00200052, 0x00280002, 0x00280004
FRAMES, ROWS, COLUMNS, PIXEL_SPACING = 0x00280008, 0x00280010, 0x00280011, 0x00280030
POSITION, ORIENTATION = 0x00200032, 0x00200037
ALLOCATED, STORED, HIGH_BIT, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
INTERCEPT, SLOPE, LOOKUP = 0x00281052, 0x00281053, 0x00283000
OVERLAY_BITS, OVERLAY_BIT = 0x60000100, 0x60000102
SHARED_GROUPS, FRAME_GROUPS = 0x52009229, 0x52009230
PLANE_POSITION, PLANE_ORIENTATION, PIXEL_MEASURES, VALUE_CHANGE = 0x00209113, 0x00209116, 0x00289110, 0x00289145


NAMES = {
    SAMPLES: "samples per pixel", FRAMES: "number of frames", ROWS: "rows", COLUMNS: "columns",
    PIXEL_SPACING: "pixel spacing", POSITION: "position", ORIENTATION: "orientation", ALLOCATED: "bits allocated",
    STORED: "bits stored", HIGH_BIT: "high bit", SIGNED: "pixel representation", INTERCEPT: "rescale intercept",
    SLOPE: "rescale slope", OVERLAY_BIT: "overlay bit position", 0x00180050: "slice thickness",
    0x00180088: "spacing between slices", 0x00620004: "segment number", 0x0062000B: "referenced segment number",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How the pixels of a file are stored: bits for each, of which `stored_bits` below `high_bit` count."""

    data: PixelData
    syntax: str
    big_endian: bool
    shape_HW: tuple[int, int]
    frames: int
    allocated_bits: int
    stored_bits: int
    signed: bool
    has_overlay: bool
    enhanced: bool

    @property
    def frame_bytes(self) -> int:
        """Size of one frame, uncompressed."""
        return self.shape_HW[0] * self.shape_HW[1] * self.allocated_bits // 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """One slice: LPS position of its first pixel, spacing of rows and columns, value = pixel * slope + intercept."""

    path: Path
    frame: int
    series: str
    place: str
    modality: str
    position_mm: np.ndarray
    axes: np.ndarray
    spacing_mm: tuple[float, float]
    slope: float
    intercept: float
    pixels: Pixels

    def fits(self, other: "Slice") -> bool:
        """True when both have one size, spacing, orientation, modality and frame of reference."""
        same = (self.pixels.shape_HW, self.modality, self.place) == (
            other.pixels.shape_HW, other.modality, other.place,
        )  # fmt: skip
        spaced = np.allclose(self.spacing_mm, other.spacing_mm, rtol=SPACING_TOLERANCE, atol=0)
        return same and spaced and bool(np.abs(self.axes - other.axes).max() <= AXES_TOLERANCE)


def read_slices(file: DicomFile) -> list[Slice]:
    """The slices of one file; raises ImageError for colour, missing positions, and values whose meaning is unknown."""
    if file.pixels is None:
        kind = text(file.tags, MODALITY)
        raise ImageError(f"{file.path}: holds no image ({kind[:16] or 'no modality'}); move it out of the folder")
    if text(file.tags, MODALITY) == "RTDOSE":
        raise ImageError(f"{file.path}: holds a dose and no scan; move it out of the folder")
    pixels = pixels_of(file)
    if pixels.allocated_bits not in (8, 16, 32):
        raise ImageError(f"{file.path}: has pixels of {pixels.allocated_bits} bits; export the series again")
    shared, each = functional_groups(file, pixels.frames)
    return [_slice(file, pixels, frame, groups, shared) for frame, groups in enumerate(each)]


def pixels_of(file: DicomFile) -> Pixels:
    """How the pixels are stored; raises ImageError for colour, inverted grey and numbers that contradict each other."""
    path, tags = file.path, file.tags
    grey = text(tags, PHOTOMETRIC)
    if whole_number(path, tags, SAMPLES) != 1 or grey not in ("MONOCHROME1", "MONOCHROME2"):
        raise ImageError(f"{path}: is a colour image; give the original series")
    if grey == "MONOCHROME1":
        raise ImageError(f"{path}: is stored inverted (MONOCHROME1); export it with plain grey values")
    allocated, stored, high, signed = (whole_number(path, tags, tag) for tag in (ALLOCATED, STORED, HIGH_BIT, SIGNED))
    if not 1 <= stored <= allocated or high != stored - 1 or signed not in (0, 1):
        raise ImageError(f"{path}: says {stored} of {allocated} bits, the highest {high}; export the series again")
    frames = whole_number(path, tags, FRAMES, missing=1)
    rows, columns = whole_number(path, tags, ROWS), whole_number(path, tags, COLUMNS)
    if not (1 <= frames <= MAX_FRAMES and rows and columns):
        raise ImageError(f"{path}: says {frames} frames of {columns}×{rows}; export the series again")
    assert file.pixels is not None
    pixels = Pixels(
        data=file.pixels, syntax=file.syntax, big_endian=file.big_endian, shape_HW=(rows, columns), frames=frames,
        allocated_bits=allocated, stored_bits=stored, signed=bool(signed),
        has_overlay=OVERLAY_BITS in tags.values and whole_number(path, tags, OVERLAY_BIT, missing=0) >= stored,
        enhanced=FRAME_GROUPS in tags.sequences,
    )  # fmt: skip
    _check_length(path, pixels)
    return pixels


def functional_groups(file: DicomFile, frames: int) -> tuple[Tags, list[Tags]]:
    """What an enhanced file says for all frames and for each; a file with one frame may have neither."""
    shared = file.tags.sequences.get(SHARED_GROUPS, [Tags()])
    each = file.tags.sequences.get(FRAME_GROUPS, [Tags()])
    if len(each) != frames or len(shared) != 1:
        raise ImageError(
            f"{file.path}: holds {frames} frames but places {len(each)}; export it as one file a slice, or as NIfTI"
        )
    return shared[0], each


def grouped(file: DicomFile, sequence: int, frame: Tags, shared: Tags) -> Tags:
    """The item of a functional group: the frame's own, else the shared one, else the file's own tags."""
    for groups in (frame, shared):
        items = groups.sequences.get(sequence)
        if items is not None:
            if len(items) != 1:
                raise ImageError(f"{file.path}: places a frame {len(items)} times; export it again")
            return items[0]
    return file.tags


def text(tags: Tags, tag: int) -> str:
    """A value as text, empty when it is missing."""
    return tags.values.get(tag, b"").rstrip(b"\0 ").decode("ascii", "replace").strip()


def numbers(path: Path, tags: Tags, tag: int, count: int) -> list[float]:
    """Decimal numbers; raises ImageError unless there are `count` finite ones."""
    words = text(tags, tag).split("\\")
    try:
        found = [parsed_number(word.strip()) for word in words]
    except ValueError:
        found = []
    if len(found) != count or not np.isfinite(found).all():
        raise ImageError(f"{path}: its {named(tag)} is missing or not {count} numbers; export the series again")
    return found


def whole_number(path: Path, tags: Tags, tag: int, *, missing: int | None = None) -> int:
    """A count; `missing` stands for one that is not there. Raises ImageError for anything else."""
    value = tags.values.get(tag, b"")
    if not value.strip(b"\0 ") and tag == FRAMES:
        value = b""
    if not value and missing is not None:
        return missing
    if tag == FRAMES:
        word = text(tags, tag)
        if word.isdecimal() and len(word) < 10:
            return int(word)
    elif len(value) == 2:
        return int.from_bytes(value, tags.order)
    raise ImageError(f"{path}: its {named(tag)} is missing or no whole number; export the series again")


def named(tag: int) -> str:
    """What a tag is, and its number as DICOM writes it: position (0020,0032)."""
    return f"{NAMES.get(tag, 'tag')} ({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _slice(file: DicomFile, pixels: Pixels, frame: int, groups: Tags, shared: Tags) -> Slice:
    path = file.path
    row_mm, column_mm = numbers(path, grouped(file, PIXEL_MEASURES, groups, shared), PIXEL_SPACING, 2)
    check_spacing(path, (row_mm, column_mm))
    position = numbers(path, grouped(file, PLANE_POSITION, groups, shared), POSITION, 3)
    axes = numbers(path, grouped(file, PLANE_ORIENTATION, groups, shared), ORIENTATION, 6)
    modality = text(file.tags, MODALITY)
    slope, intercept = _rescale(file, grouped(file, VALUE_CHANGE, groups, shared), modality)
    return Slice(
        path=path,
        frame=frame,
        series=text(file.tags, SERIES),
        place=text(file.tags, PLACE),
        modality=modality,
        position_mm=np.array(position),
        axes=np.array(axes).reshape(2, 3).T,
        spacing_mm=(row_mm, column_mm),
        slope=slope,
        intercept=intercept,
        pixels=pixels,
    )


def _rescale(file: DicomFile, tags: Tags, modality: str) -> tuple[float, float]:
    if LOOKUP in file.tags.sequences:
        raise ImageError(f"{file.path}: its values need a look-up table; export the series again with a rescale slope")
    given = [bool(text(tags, tag)) for tag in (SLOPE, INTERCEPT)]
    if not all(given) and (any(given) or modality in RESCALED_MODALITIES):
        raise ImageError(
            f"{file.path}: has no rescale slope and intercept, so its values are not HU; export the series again"
        )
    if not any(given):
        return 1.0, 0.0
    slope, intercept = (numbers(file.path, tags, tag, 1)[0] for tag in (SLOPE, INTERCEPT))
    if slope == 0 or max(abs(slope), abs(intercept)) > MAX_RESCALED:
        raise ImageError(f"{file.path}: has a rescale slope of {slope:g}; export the series again")
    return slope, intercept


def _check_length(path: Path, pixels: Pixels) -> None:
    if pixels.data.bytes is None:
        return
    height, width = pixels.shape_HW
    needed = (pixels.frames * height * width * pixels.allocated_bits + 7) // 8
    # Values have an even length in DICOM.
    spare = pixels.data.bytes - needed - needed % 2
    if spare and not _is_padding(path, pixels, needed, spare):
        raise ImageError(
            f"{path}: has {pixels.data.bytes} bytes of pixels where {needed} are expected; export the series again"
        )


def _is_padding(path: Path, pixels: Pixels, needed: int, spare: int) -> bool:
    """Whether what follows the pixels is no row or column that the header leaves out, or nothing but zeros."""
    if spare < 0 or pixels.allocated_bits < 8 or spare >= pixels.frame_bytes:
        return False
    if spare < min(pixels.shape_HW) * pixels.allocated_bits // 8:
        return True
    start = pixels.data.offset + needed
    if pixels.data.file_bytes is not None:
        return not any(pixels.data.file_bytes[start : start + spare])
    with path.open("rb") as file:
        file.seek(start)
        return not any(file.read(spare))
