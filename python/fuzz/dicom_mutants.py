"""Hostile DICOM series, of one file a slice or of one file with many frames; the truth is read with pydicom."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzz.dicom_bytes import BIG, EXPLICIT, IMPLICIT, RUN_LENGTHS, dicom_file, run_lengths
from fuzz.dicom_truth import truth
from fuzz.mutant import Mutant, cut, flip_bits, rotation, spliced

PIXELS, POSITION, ORIENTATION, SPACING = 0x7FE00010, 0x00200032, 0x00200037, 0x00280030
ROWS, COLUMNS, FRAMES, SLOPE, INTERCEPT = 0x00280010, 0x00280011, 0x00280008, 0x00281053, 0x00281052
ALLOCATED, STORED, HIGH, SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
NUMBERS = (POSITION, ORIENTATION, SPACING, SLOPE, INTERCEPT)
COUNTS = (0x00280002, ROWS, COLUMNS, ALLOCATED, STORED, HIGH, SIGNED)
SECRET = "Doe^Jane"


class Series:
    """A series as the elements of each slice, in the order of the slices."""

    def __init__(self, rng: random.Random) -> None:
        self.syntax = rng.choice((IMPLICIT, EXPLICIT, EXPLICIT, BIG, RUN_LENGTHS))
        self.unstated = rng.random() < 0.5
        self.shape = tuple(rng.randint(2, 6) for _ in range(3))
        depth = self.shape[0]
        self.row_mm, self.column_mm, self.step_mm = (rng.choice((0.5, 0.75, 1.25, 3.0)) for _ in range(3))
        direction = rotation(rng)
        # The third axis of a series is the normal of the others.
        self.axes, self.normal = direction[:, :2], np.cross(direction[:, 0], direction[:, 1])
        self.origin = np.array([rng.uniform(-200, 200) for _ in range(3)])
        self.bits = rng.choice(((16, 16), (16, 16), (16, 12), (8, 8)))
        self.signed = rng.random() < 0.6
        low, high = (-(1 << (self.bits[1] - 1)), 1 << (self.bits[1] - 1)) if self.signed else (0, 1 << self.bits[1])
        self.pixels = np.random.default_rng(rng.randrange(2**32)).integers(low, high, self.shape)
        self.one_file = rng.random() < 0.2 and self.syntax != RUN_LENGTHS
        self.modality = rng.choice(("CT", "CT", "MR"))
        self.rescales = [(rng.choice((1, 1, 0.5, 2.5)), rng.choice((-1024, 0, 7))) for _ in range(depth)]
        self.slices = [self._slice(index) for index in range(depth)]
        self.names = [f"{number:03}.dcm" for number in rng.sample(range(1000), depth)]

    def _slice(self, index: int) -> dict[int, tuple[str, Any]]:
        slope, intercept = self.rescales[index]
        place = self.origin + index * self.step_mm * self.normal
        return {
            0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.2"), 0x00080018: ("UI", f"1.2.3.{index}"),
            0x00080060: ("CS", self.modality), 0x00100010: ("PN", SECRET), 0x00090011: ("LO", "PRIVATE"),
            0x0020000D: ("UI", "1.2"), 0x0020000E: ("UI", "1.2.3"), 0x00200052: ("UI", "1.2.4"),
            POSITION: ("DS", decimals(place)), ORIENTATION: ("DS", decimals(self.axes.T.ravel())),
            0x00280002: ("US", 1), 0x00280004: ("CS", "MONOCHROME2"), ROWS: ("US", self.shape[1]),
            COLUMNS: ("US", self.shape[2]), SPACING: ("DS", decimals((self.row_mm, self.column_mm))),
            ALLOCATED: ("US", self.bits[0]), STORED: ("US", self.bits[1]), HIGH: ("US", self.bits[1] - 1),
            SIGNED: ("US", int(self.signed)), INTERCEPT: ("DS", str(intercept)), SLOPE: ("DS", str(slope)),
            PIXELS: ("OB" if self.bits[0] == 8 else "OW", self._packed(self.pixels[index])),
        }  # fmt: skip

    def _packed(self, pixels: np.ndarray) -> bytes:
        mask = (1 << self.bits[1]) - 1
        order = ">" if self.syntax == BIG else "<"
        plain = (pixels & mask).astype(f"{order}u{self.bits[0] // 8}").tobytes()
        return run_lengths(plain, self.bits[0] // 8) if self.syntax == RUN_LENGTHS else plain

    def enhanced(self) -> dict[int, tuple[str, Any]]:
        """All slices as the frames of one file, in an order of their own."""
        first = dict(self.slices[0])
        frames = [
            {
                group: ("SQ", [{tag: item[tag] for tag in tags if tag in item}])
                for group, tags in (
                    (0x00209113, [POSITION]),
                    (0x00209116, [ORIENTATION]),
                    (0x00289145, [INTERCEPT, SLOPE]),
                )
            }
            for item in self.slices
        ]
        for tag in (POSITION, ORIENTATION, SLOPE, INTERCEPT):
            first.pop(tag, None)
        spacing = {SPACING: first.pop(SPACING)} if SPACING in first else {}
        pixels = b"".join(item[PIXELS][1] for item in self.slices if PIXELS in item)
        return first | {
            FRAMES: ("IS", str(len(frames))), 0x52009229: ("SQ", [{0x00289110: ("SQ", [spacing])}]),
            0x52009230: ("SQ", frames), PIXELS: ("OW" if self.bits[0] > 8 else "OB", pixels),
        }  # fmt: skip

    def files(self) -> dict[str, bytes]:
        """The files of the folder."""
        if self.one_file:
            return {"all.dcm": dicom_file(self.enhanced(), self.syntax, unstated=self.unstated)}
        return {
            name: dicom_file(item, self.syntax, unstated=self.unstated)
            for name, item in zip(self.names, self.slices, strict=False)
        }


def mutant(rng: random.Random) -> Mutant:
    """One folder of DICOM files, changed in one way."""
    series = Series(rng)
    change = rng.choice([*SERIES_CHANGES, *FILE_CHANGES])
    must_read = False
    if change in SERIES_CHANGES:
        must_read = SERIES_CHANGES[change](series, rng)
    files = series.files()
    if change in FILE_CHANGES:
        must_read = FILE_CHANGES[change](files, rng)
    what = f"{'enhanced ' if series.one_file else ''}{series.syntax[-3:]} {series.bits}: {change}"
    return Mutant(what=what, files=files, target="", truth=truth, must_read=must_read)


def _unchanged(series: Series, rng: random.Random) -> bool:
    return True


def _harmless_elements(series: Series, rng: random.Random) -> bool:
    nested = {0x00080100: ("SH", "113"), 0x00081199: ("SQ", [{0x00081150: ("UI", "1.2"), SPACING: ("DS", "9\\9")}])}
    for item in series.slices:
        item |= {
            0x00081140: ("SQ", [nested, {}]), 0x00180050: ("DS", "77"), 0x00180088: ("DS", "-9"),
            0x00280120: ("US", 63536), 0x00291010: ("UN", rng.randbytes(40)), 0x00281050: ("DS", "40\\80"),
        }  # fmt: skip
    return True


def _strange_number(series: Series, rng: random.Random) -> bool:
    item, tag = rng.choice(series.slices), rng.choice(NUMBERS)
    words = item[tag][1].split("\\")
    words[rng.randrange(len(words))] = rng.choice(("nan", "inf", "0", "-1", "1e30", "", "x", "1\\1", "1_0", "7.5"))
    item[tag] = ("DS", "\\".join(words))
    return False


def _strange_count(series: Series, rng: random.Random) -> bool:
    tag, value = rng.choice(COUNTS), rng.choice((0, 1, 2, 3, 4, 7, 8, 12, 15, 16, 24, 32, 64, 65535))
    for item in series.slices if rng.random() < 0.5 else [rng.choice(series.slices)]:
        item[tag] = ("US", value)
    return False


def _strange_meaning(series: Series, rng: random.Random) -> bool:
    tag, kind, value = rng.choice((
        (0x00280004, "CS", "MONOCHROME1"), (0x00280004, "CS", "RGB"), (0x00080060, "CS", "PT"),
        (FRAMES, "IS", "2"), (0x00283000, "SQ", [{0x00283002: ("US", 1)}]), (0x0020000E, "UI", "1.2.9"),
        (0x00200052, "UI", "1.2.9"), (0x7FE00008, "OW", b"1234"),
    ))  # fmt: skip
    for item in series.slices if rng.random() < 0.5 else [rng.choice(series.slices)]:
        item[tag] = (kind, value)
    return False


def _missing_element(series: Series, rng: random.Random) -> bool:
    tag = rng.choice((*NUMBERS, *COUNTS, PIXELS, 0x00280004))
    for item in series.slices if rng.random() < 0.5 else [rng.choice(series.slices)]:
        item.pop(tag)
    return False


def _other_length(series: Series, rng: random.Random) -> bool:
    item = rng.choice(series.slices)
    kind, data = item[PIXELS]
    item[PIXELS] = (kind, rng.choice((data[:-2], data + bytes(2), data[: len(data) // 2], data * 2, b"")))
    return False


def _moved_slice(series: Series, rng: random.Random) -> bool:
    index = rng.randrange(len(series.slices))
    place = series.origin + index * series.step_mm * series.normal
    move = (
        rng.choice((0.01, 0.3, 0.5, 1.0, -1.0, 7.0)) * series.step_mm * rng.choice((series.normal, series.axes[:, 0]))
    )
    series.slices[index][POSITION] = ("DS", decimals(place + move))
    return False


def _tilted(series: Series, rng: random.Random) -> bool:
    shift = rng.choice((0.001, 0.02, 0.1, 0.5)) * series.axes[:, rng.randrange(2)]
    for index, item in enumerate(series.slices):
        place = series.origin + index * series.step_mm * (series.normal + shift)
        item[POSITION] = ("DS", decimals(place))
    return False


def _turned_slice(series: Series, rng: random.Random) -> bool:
    axes = series.axes + rng.choice((1e-6, 1e-3, 0.05, 1.0)) * rotation(rng)[:, :2]
    rng.choice(series.slices)[ORIENTATION] = ("DS", decimals(axes.T.ravel()))
    return False


def _missing_slice(series: Series, rng: random.Random) -> bool:
    index = rng.randrange(len(series.slices))
    del series.slices[index], series.names[index]
    # At an end nothing shows that it was there.
    return False


def _double_slice(series: Series, rng: random.Random) -> bool:
    series.slices.append(dict(rng.choice(series.slices)))
    series.names.append("again.dcm")
    return False


def _bits_beyond(series: Series, rng: random.Random) -> bool:
    item = rng.choice(series.slices)
    kind, data = item[PIXELS]
    item[PIXELS] = (kind, flip_bits(data, rng))
    # In bits that count, a change is another value.
    return series.bits[0] == series.bits[1] and series.syntax != RUN_LENGTHS


SERIES_CHANGES: dict[str, Callable[[Series, random.Random], bool]] = {
    "unchanged": _unchanged, "harmless elements": _harmless_elements, "a strange number": _strange_number,
    "a strange count": _strange_count, "a strange meaning": _strange_meaning, "an element missing": _missing_element,
    "pixels of another length": _other_length, "a slice moved": _moved_slice, "tilted": _tilted,
    "a slice turned": _turned_slice, "a slice missing": _missing_slice, "a slice twice": _double_slice,
    "bits of the pixels": _bits_beyond,
}  # fmt: skip


def _text_beside(files: dict[str, bytes], rng: random.Random) -> bool:
    files["README.txt"] = b"exported"
    return True


def _stranger_beside(files: dict[str, bytes], rng: random.Random) -> bool:
    files["zzz.dcm"] = rng.choice((b"", b"hello", bytes(200), bytes(128) + b"DICM"))
    return False


def _one_file(change: Callable[[bytes, random.Random], bytes]) -> Callable[[dict[str, bytes], random.Random], bool]:
    def changed(files: dict[str, bytes], rng: random.Random) -> bool:
        name = rng.choice(list(files))
        files[name] = change(files[name], rng)
        return False

    return changed


FILE_CHANGES: dict[str, Callable[[dict[str, bytes], random.Random], bool]] = {
    "a text beside": _text_beside, "a stranger beside": _stranger_beside,
    "bits of the header": _one_file(lambda data, rng: flip_bits(data, rng, 128, min(len(data), 900))),
    "bits anywhere": _one_file(flip_bits), "cut off": _one_file(cut), "bytes left out or put in": _one_file(spliced),
}  # fmt: skip


def decimals(numbers: Any) -> str:
    return "\\".join(f"{float(number):.9g}" for number in numbers)
