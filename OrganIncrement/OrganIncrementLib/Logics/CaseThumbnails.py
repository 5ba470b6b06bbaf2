"""Small pictures of cases, made bite by bite: the scan's middle slice through the label, with the label's outline."""

import struct
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from OrganIncrementLib.Logics.ScanStream import ScanHeader, StreamError, slices

WIDTH, HEIGHT = 64, 48
CT_WINDOW_HU = (-200, 300)
CT_AIR_HU = -500
DARK_AND_BRIGHT = (
    0.02,
    0.99,
)  # parts of all pixels; np.percentile would first import numpy.ma for 70 ms
OUTLINE_FALLBACK = (255, 176, 0)


class CaseThumbnails:
    """Makes the pictures that were asked for, in that order, and keeps them; `work` costs at most what it may."""

    def __init__(self) -> None:
        self._pictures: dict[str, bytes | None] = {}
        self._asked: set[str] = set()
        self._wanted: list[tuple[str, Path, Path | None, Sequence[tuple[int, int, int]]]] = []
        self._running: tuple[str, Iterator[bytes | None]] | None = None

    def picture(self, caseId: str) -> bytes | None:
        """A case's picture as PNG; None while there is none, and where there can be none."""
        return self._pictures.get(caseId)

    def ask(self, caseId: str, image: Path, label: Path | None, colors: Sequence[tuple[int, int, int]]) -> None:
        """Make this picture when there is time; asking again costs nothing."""
        if caseId not in self._asked:
            self._asked.add(caseId)
            self._wanted.append((caseId, image, label, colors))

    def forgetCases(self, caseIds: Iterable[str]) -> None:
        """The labels of these cases may have changed."""
        self._asked.difference_update(caseIds)

    def forget(self) -> None:
        """Another dataset is shown."""
        self._pictures.clear()
        self._asked.clear()
        self._wanted.clear()
        self._running = None

    @property
    def pending(self) -> int:
        """How many pictures are still to be made."""
        return len(self._wanted) + (self._running is not None)

    def work(self, budget_s: float) -> list[tuple[str, bytes]]:
        """Go on for at most about `budget_s`. Returns: case id and PNG of the pictures that are done."""
        end = time.perf_counter() + budget_s
        done = []
        while time.perf_counter() < end:
            if self._running is None:
                if not self._wanted:
                    break
                caseId, image, label, colors = self._wanted.pop(0)
                self._running = (caseId, pictureSteps(image, label, colors))
            caseId, steps = self._running
            picture = _next(steps)
            if picture is None:
                continue
            self._running = None
            if picture:
                self._pictures[caseId] = picture
                done.append((caseId, picture))
        return done


def pictureSteps(image: Path, label: Path | None, colors: Sequence[tuple[int, int, int]]) -> Iterator[bytes | None]:
    """None after each bite, the PNG at the end."""
    chosen, outline = None, None
    if label is not None:
        for found in _labelSlice(label):
            if found is None:
                yield None
            else:
                chosen, outline = found
    header, index = None, -1
    for part in slices(image):
        if isinstance(part, ScanHeader):
            header = part
            index = -1
            wanted = part.shape_DHW[0] // 2 if chosen is None else chosen
        elif part is not None:
            index += 1
            if index == wanted:
                yield _png(_painted(part, header, outline, colors))
                return
        yield None
    raise StreamError("the label lies outside the scan")


def _labelSlice(path: Path) -> Iterator[tuple[int, np.ndarray] | None]:
    """None after each bite; at the end, where the label is not empty, its middle slice: index and values."""
    labelled = []
    index = -1
    for part in slices(path):
        if isinstance(part, np.ndarray):
            index += 1
            if part.any():
                labelled.append((index, part[:: _step(part, 0), :: _step(part, 1)].astype(np.int32), part.shape))
        yield None
    if labelled:
        index, values, shape = labelled[len(labelled) // 2]
        rows, columns = (np.arange(n) // _stepOf(n) for n in shape)
        yield index, values[rows][:, columns]


def _painted(scan_HW, header, label_HW, colors):
    """RGB (HEIGHT, WIDTH, 3): turned as radiologists look at it, cut to the body, in the scan's own proportions."""
    gray = _windowed(scan_HW.astype(np.float32) * header.slope + header.intercept)
    if label_HW is None or label_HW.shape != scan_HW.shape:
        label_HW = np.zeros(scan_HW.shape, np.int32)
    (gray, label), steps_mm = _turned((gray, label_HW), header.axes_ras)
    box = _body(gray)
    gray, label = gray[box], label[box]
    lengths_mm = [n * step for n, step in zip(gray.shape, steps_mm, strict=True)]
    scale = min(HEIGHT / lengths_mm[0], WIDTH / lengths_mm[1])
    size = [max(1, round(length * scale)) for length in lengths_mm]
    at = [np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(int) for n, m in zip(size, gray.shape, strict=True)]
    gray, label = (plane[at[0]][:, at[1]] for plane in (gray, label))
    picture = np.repeat(gray[:, :, None], 3, axis=2)
    edge = _edges(label)
    for value in set(label[edge].tolist()):
        color = colors[value - 1] if 1 <= value <= len(colors) else OUTLINE_FALLBACK
        picture[edge & (label == value)] = color
    framed = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    top, left = (HEIGHT - size[0]) // 2, (WIDTH - size[1]) // 2
    framed[top : top + size[0], left : left + size[1]] = picture
    return framed


def _turned(planes, axes_ras):
    """The planes with the patient's right at the left, front or head on top; the steps of rows and columns in mm."""
    axes = [int(np.argmax(np.abs(axes_ras[one]))) for one in (1, 0)]  # of rows (j) and columns (i)
    steps_mm = [float(np.linalg.norm(axes_ras[one])) for one in (1, 0)]
    for place, one in enumerate((1, 0)):
        if axes_ras[one][axes[place]] > 0:
            planes = [np.flip(plane, place) for plane in planes]
    if axes[0] < axes[1]:
        return [plane.T for plane in planes], steps_mm[::-1]
    return planes, steps_mm


def _body(gray_HW):
    """The box around what is brighter than air; all where nothing is."""
    bright = gray_HW > 40
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(bright.sum(axis=axis) > 2)
        spans.append(slice(where[0], where[-1] + 1) if where.size > 8 else slice(None))
    return tuple(spans)


def _windowed(values_HW):
    """Gray levels: soft tissue of a CT; of any other scan, from a dark to a bright percentile."""
    finite = values_HW[np.isfinite(values_HW)]
    low, high = CT_WINDOW_HU
    if finite.size and finite.min() > CT_AIR_HU:
        ranked = np.sort(finite)
        low, high = (float(ranked[int(part * (ranked.size - 1))]) for part in DARK_AND_BRIGHT)
    scaled = (np.nan_to_num(values_HW, nan=low) - low) / max(high - low, 1e-6)
    return (np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def _edges(label_HW):
    """Labelled pixels beside a pixel of another value."""
    padded = np.pad(label_HW, 1)
    inner = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    return (inner > 0) & np.logical_or.reduce([inner != other for other in beside])


def _png(rgb_HWC):
    """Source: RFC 2083 (PNG), colour type 2, no filter."""
    height, width, _channels = rgb_HWC.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), rgb_HWC.reshape(height, -1)], axis=1).tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    start = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _next(steps):
    """The next bite's outcome; b"" where there will be no picture: the row then has none, and opening says why."""
    try:
        return next(steps, b"")
    except (StreamError, OSError, ValueError):
        return b""


def _stepOf(size):
    return max(1, size // 256)


def _step(part, axis):
    return _stepOf(part.shape[axis])
