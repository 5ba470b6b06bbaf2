"""Hostile DICOM segmentations; the truth is read with pydicom, frame by frame."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from fuzz.dicom_bytes import EXPLICIT, IMPLICIT, dicom_file
from fuzz.dicom_mutants import COUNTS, FRAMES, ORIENTATION, PIXELS, POSITION, ROWS, SECRET, SPACING, decimals
from fuzz.mutant import Mutant, NoTruthError, Truth, cut, flip_bits, rotation, spliced

DISTANCE, THICKNESS = 0x00180088, 0x00180050
SEGMENTS, NUMBER, KIND = 0x00620002, 0x00620004, 0x00620001
TOLERANCE_VOXELS = 0.16


class Segmentation:
    """A segmentation as its common elements and, for each frame, segment, slice, position and mask."""

    def __init__(self, rng: random.Random) -> None:
        self.syntax, self.unstated = rng.choice((IMPLICIT, EXPLICIT)), rng.random() < 0.5
        self.depth, self.height, self.width = (rng.randint(2, 6) for _ in range(3))
        self.step_mm = rng.choice((0.5, 1.25, 3.0))
        direction = rotation(rng)
        self.axes, self.normal = direction[:, :2], np.cross(direction[:, 0], direction[:, 1])
        self.origin = np.array([rng.uniform(-200, 200) for _ in range(3)])
        count = rng.randint(1, 3)
        labels = np.random.default_rng(rng.randrange(2**32)).integers(
            0, count + 1, (self.depth, self.height, self.width)
        )
        self.frames = [
            [segment, index, labels[index] == segment]
            for segment in range(1, count + 1)
            for index in range(self.depth)
            # Frames without a voxel are left out by some programs.
            if (labels[index] == segment).any() or rng.random() < 0.5
        ]
        self.shared: dict[int, tuple[str, Any]] = {
            0x00209116: ("SQ", [{ORIENTATION: ("DS", decimals(self.axes.T.ravel()))}]),
            0x00289110: ("SQ", [{SPACING: ("DS", "0.75\\1.25"), DISTANCE: ("DS", decimals([self.step_mm])),
                                 0x00180050: ("DS", "5")}]),
        }  # fmt: skip
        self.elements: dict[int, tuple[str, Any]] = {
            0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.66.4"), 0x00080060: ("CS", "SEG"), 0x00100010: ("PN", SECRET),
            0x0020000E: ("UI", "1.2.3"), 0x00200052: ("UI", "1.2.4"), 0x00280002: ("US", 1),
            0x00280004: ("CS", "MONOCHROME2"), ROWS: ("US", self.height), 0x00280011: ("US", self.width),
            0x00280100: ("US", 1), 0x00280101: ("US", 1), 0x00280102: ("US", 0), 0x00280103: ("US", 0),
            KIND: ("CS", "BINARY"),
            SEGMENTS: ("SQ", [{NUMBER: ("US", n), 0x00620005: ("LO", "Liver")} for n in range(1, count + 1)]),
        }  # fmt: skip
        self.moves: dict[int, np.ndarray] = {}

    def pack(self) -> bytes:
        """The bytes of the file."""
        groups = []
        for number, (segment, index, _) in enumerate(self.frames):
            place = self.origin + index * self.step_mm * self.normal + self.moves.get(number, 0)
            groups.append({
                0x00209113: ("SQ", [{POSITION: ("DS", decimals(place))}]),
                0x0062000A: ("SQ", [{0x0062000B: ("US", segment)}]),
            })  # fmt: skip
        masks = np.array([mask for _, _, mask in self.frames], bool).reshape(len(self.frames), self.height, self.width)
        own = {
            FRAMES: ("IS", str(len(self.frames))), 0x52009229: ("SQ", [self.shared]), 0x52009230: ("SQ", groups),
            PIXELS: ("OB", np.packbits(masks.ravel(), bitorder="little").tobytes()),
        }  # fmt: skip
        return dicom_file(own | self.elements, self.syntax, unstated=self.unstated)


def mutant(rng: random.Random) -> Mutant:
    """One DICOM segmentation, changed in one way."""
    segmentation = Segmentation(rng)
    change = rng.choice([*CHANGES, *BYTE_CHANGES])
    must_read = CHANGES[change](segmentation, rng) if change in CHANGES else False
    data = segmentation.pack()
    if change in BYTE_CHANGES:
        data = BYTE_CHANGES[change](data, rng)
    # One slice alone has a place, and a distance that is stated.
    must_read = must_read and bool(segmentation.frames)
    return Mutant(what=change, files={"seg.dcm": data}, target="seg.dcm", truth=truth, must_read=must_read)


def truth(path: Path) -> Truth:
    """Read with pydicom; every bit of every frame goes to the slice where its position is."""
    file = pydicom.dcmread(path)
    if file.SegmentationType != "BINARY" or (file.BitsAllocated, file.SamplesPerPixel) != (1, 1):
        raise NoTruthError("not binary")
    count, height, width = int(file.NumberOfFrames), file.Rows, file.Columns
    bits = np.unpackbits(np.frombuffer(file.PixelData, np.uint8), bitorder="little")[: count * height * width]
    masks = bits.reshape(count, height, width)
    shared = file.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    axes = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3).T
    normal = np.cross(axes[:, 0], axes[:, 1])
    groups = list(file.PerFrameFunctionalGroupsSequence)
    if len(groups) != count:
        raise NoTruthError("frames without a place")
    positions = np.array([item.PlanePositionSequence[0].ImagePositionPatient for item in groups], float)
    along = positions @ normal - (positions @ normal).min()
    step = (
        abs(float(measures.SpacingBetweenSlices)) if "SpacingBetweenSlices" in measures else _unstated(along, measures)
    )
    slices = np.rint(along / step).astype(int)
    first = positions[int(slices.argmin())]
    regular = first + slices[:, None] * step * normal
    row, column = (float(mm) for mm in measures.PixelSpacing)
    if np.abs(positions - regular).max() > TOLERANCE_VOXELS * min(row, column, step):
        raise NoTruthError("no regular grid")
    labels = np.zeros((slices.max() + 1, height, width), int)
    for item, index, mask in zip(groups, slices, masks, strict=True):
        if (labels[index][mask == 1] != 0).any():
            raise NoTruthError("segments overlap")
        labels[index][mask == 1] = item.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = axes[:, 0] * column, axes[:, 1] * row, normal * step
    affine[:3, 3] = first
    return Truth(array_DHW=labels, affine=affine, tolerance_voxels=TOLERANCE_VOXELS)


def _unstated(along: np.ndarray, measures: pydicom.Dataset) -> float:
    gaps = np.diff(np.unique(along))
    smallest = float(gaps[gaps > 1e-3].min())
    thickness = float(measures.get("SliceThickness") or smallest)
    if abs(smallest - round(smallest / thickness) * thickness) > 0.06 * thickness or smallest < 0.9 * thickness:
        raise NoTruthError("a distance that the thickness contradicts")
    return thickness if round(smallest / thickness) > 1 else smallest


def _unchanged(segmentation: Segmentation, rng: random.Random) -> bool:
    return True


def _shuffled_frames(segmentation: Segmentation, rng: random.Random) -> bool:
    rng.shuffle(segmentation.frames)
    return True


def _no_distance(segmentation: Segmentation, rng: random.Random) -> bool:
    measures = segmentation.shared[0x00289110][1][0]
    measures.pop(DISTANCE)
    measures[THICKNESS] = ("DS", decimals([segmentation.step_mm * rng.choice((1, 1, 0.5, 0.7, 2))]))
    return False


def _strange_distance(segmentation: Segmentation, rng: random.Random) -> bool:
    value = rng.choice(("nan", "0", "-3", "1e30", "0.1", "", "x", str(segmentation.step_mm / 2)))
    segmentation.shared[0x00289110][1][0][DISTANCE] = ("DS", value)
    return False


def _strange_number(segmentation: Segmentation, rng: random.Random) -> bool:
    sequence, tag = rng.choice(((0x00289110, SPACING), (0x00209116, ORIENTATION)))
    item = segmentation.shared[sequence][1][0]
    words = item[tag][1].split("\\")
    words[rng.randrange(len(words))] = rng.choice(("nan", "inf", "0", "-1", "1e30", "", "x", "1\\1", "7.5"))
    item[tag] = ("DS", "\\".join(words))
    return False


def _strange_count(segmentation: Segmentation, rng: random.Random) -> bool:
    segmentation.elements[rng.choice(COUNTS)] = ("US", rng.choice((0, 1, 2, 3, 4, 7, 8, 16, 65535)))
    return False


def _strange_meaning(segmentation: Segmentation, rng: random.Random) -> bool:
    tag, kind, value = rng.choice((
        (KIND, "CS", "FRACTIONAL"), (KIND, "CS", ""), (FRAMES, "IS", rng.choice(("0", "1", "-1", "x", "99999"))),
        (SEGMENTS, "SQ", []), (SEGMENTS, "SQ", [{NUMBER: ("US", 1)}, {NUMBER: ("US", 1)}]),
        (0x52009230, "SQ", []), (0x52009229, "SQ", [{}]), (PIXELS, "OB", rng.randbytes(rng.randint(0, 40))),
        (0x00280004, "CS", "RGB"), (0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
    ))  # fmt: skip
    segmentation.elements[tag] = (kind, value)
    return False


def _missing_element(segmentation: Segmentation, rng: random.Random) -> bool:
    segmentation.elements.pop(rng.choice([tag for tag in segmentation.elements if tag >= ROWS]))
    return False


def _moved_frame(segmentation: Segmentation, rng: random.Random) -> bool:
    along = rng.choice((segmentation.normal, segmentation.axes[:, 0])) * segmentation.step_mm
    move = rng.choice((0.01, 0.3, 0.5, 1.0, -1.0, 7.0, 1e7)) * along
    segmentation.moves[rng.randrange(len(segmentation.frames))] = move
    return False


def _double_frame(segmentation: Segmentation, rng: random.Random) -> bool:
    segmentation.frames.append(list(rng.choice(segmentation.frames)))
    return False


def _missing_frame(segmentation: Segmentation, rng: random.Random) -> bool:
    segmentation.frames.pop(rng.randrange(len(segmentation.frames)))
    return bool(segmentation.frames)


def _strange_segment(segmentation: Segmentation, rng: random.Random) -> bool:
    rng.choice(segmentation.frames)[0] = rng.choice((0, 4, 9, 65535, 1))
    return False


def _overlap(segmentation: Segmentation, rng: random.Random) -> bool:
    frame = rng.choice(segmentation.frames)
    frame[2] = np.ones_like(frame[2])
    return False


CHANGES: dict[str, Callable[[Segmentation, random.Random], bool]] = {
    "unchanged": _unchanged, "frames shuffled": _shuffled_frames, "no distance": _no_distance,
    "a strange distance": _strange_distance, "a strange number": _strange_number, "a strange count": _strange_count,
    "a strange meaning": _strange_meaning, "an element missing": _missing_element, "a frame moved": _moved_frame,
    "a frame twice": _double_frame, "a frame missing": _missing_frame, "a strange segment": _strange_segment,
    "segments overlap": _overlap,
}  # fmt: skip
BYTE_CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bits anywhere": flip_bits, "bits of the header": lambda data, rng: flip_bits(data, rng, 128, min(len(data), 900)),
    "cut off": cut, "bytes left out or put in": spliced,
}  # fmt: skip
