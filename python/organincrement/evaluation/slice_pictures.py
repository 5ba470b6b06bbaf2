"""Slices of a scan as pictures: windowed CT, outlines of organs, and uncertainty in colour."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from contourpy import contour_generator
from matplotlib import colormaps
from matplotlib.image import imsave
from numpy.typing import NDArray
from scipy.ndimage import zoom

from organincrement.contract.labels import Organ
from organincrement.evaluation.errors import EvaluationError
from organincrement.evaluation.story import SlicePicture, Story

WINDOW_HU, LEVEL_HU = 400.0, 40.0
BODY_HU = -400.0
MARGIN = 3  # pixels around the body
FINE_PIXELS = 360  # a slice is drawn at least this large, or coarse voxels show as diamonds
COLOURS = colormaps["inferno"]
SCALE_BAR_MM = 50.0


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The outline of one organ as an SVG path, in pixels of the cropped slice."""

    organ: Organ
    path: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture: what it shows, its pixels as a data address (None: the plain slice), and the outlines over them."""

    name: str
    alt: str
    png: str | None
    outlines: Sequence[Outline]
    reference: Sequence[Outline]


@dataclass(frozen=True, kw_only=True)
class PictureRow:
    """All panels of one slice; width and height in mm, so that voxels keep their shape."""

    title: str
    width_mm: float
    height_mm: float
    pixel_shape: tuple[int, int]
    sides: tuple[str, str] | None
    bar_mm: float
    png: str
    panels: Sequence[Panel]


@dataclass(frozen=True, kw_only=True)
class ColourBar:
    """Colours from certain to the most uncertain value shown, and that value in per cent of log C."""

    stops: Sequence[tuple[float, str]]
    top_percent: float


def picture_rows(story: Story) -> tuple[list[PictureRow], ColourBar | None]:
    """Every slice of a story as panels, with one colour scale of uncertainty for all of them (None without any).

    Raises: EvaluationError when an array is not 2-D or differs in shape from its slice, or a label has no organ.
    """
    top = _top_percent(story.slices)
    rows = [_picture_row(picture, story.organs, top) for picture in story.slices]
    if not any(picture.uncertainty_HW is not None for picture in story.slices):
        return rows, None
    stops = [(100 * part, _hex(COLOURS(part))) for part in np.linspace(0, 1, 9)]
    return rows, ColourBar(stops=stops, top_percent=top)


def windowed(image_HW: NDArray[np.floating]) -> NDArray[np.float64]:
    """HU to grey 0..1 in the soft-tissue window (width 400, level 40)."""
    return np.clip((np.asarray(image_HW, dtype=np.float64) - LEVEL_HU) / WINDOW_HU + 0.5, 0, 1)


def body_box(image_HW: NDArray[np.floating]) -> tuple[slice, slice]:
    """Rows and columns with anything denser than lung, and a margin; the whole slice when there is nothing."""
    dense = np.asarray(image_HW) > BODY_HU
    sides = []
    for axis in (1, 0):
        found = np.flatnonzero(dense.any(axis=axis))
        stop = dense.shape[1 - axis]
        sides.append(
            slice(max(found[0] - MARGIN, 0), min(found[-1] + 1 + MARGIN, stop)) if len(found) else slice(0, stop)
        )
    return (sides[0], sides[1])


def outlines(labels_HW: NDArray[np.integer], organs: Sequence[Organ]) -> list[Outline]:
    """The outline of every organ that is present, half way between its pixels and their neighbours."""
    found = []
    for value in np.unique(labels_HW[labels_HW > 0]):
        if value > len(organs):
            raise EvaluationError(
                f"a slice has label {value} but the story has {len(organs)} organs: map the labels first"
            )
        padded = np.pad(labels_HW == value, 1).astype(np.float64)  # closes outlines at the edge of the slice
        lines = cast(list[NDArray[np.float64]], contour_generator(z=padded, line_type="Separate").lines(0.5))
        path = "".join("M" + "L".join(f"{x - 0.5:g} {y - 0.5:g}" for x, y in line[:-1]) + "Z" for line in lines)
        found.append(Outline(organ=organs[value - 1], path=path))
    return found


def _picture_row(picture: SlicePicture, organs: Sequence[Organ], top_percent: float) -> PictureRow:
    _check(picture)
    box = body_box(picture.image_HW)
    # windowed first: the step from air to skin would ring through the whole window
    grey_HW = np.clip(_finer(windowed(picture.image_HW[box]), order=3), 0, 1)
    reference: list[Outline] = []
    panels = []
    if picture.labels_HW is not None:
        reference = outlines(picture.labels_HW[box], organs)
        panels.append(_panel("Reference", picture.title, None, reference, []))
    for name, labels_HW in picture.overlays:
        panels.append(_panel(name, picture.title, None, outlines(labels_HW[box], organs), reference))
    if picture.uncertainty_HW is not None:
        heat = _png(_heated(grey_HW, _finer(picture.uncertainty_HW[box], order=1), top_percent))
        panels.append(_panel("Uncertainty", picture.title, heat, [], []))
    if not panels:
        panels.append(_panel("Scan", picture.title, None, [], []))
    height, width = picture.image_HW[box].shape
    width_mm = width * picture.spacing_mm[1]
    return PictureRow(
        title=picture.title,
        width_mm=width_mm,
        height_mm=height * picture.spacing_mm[0],
        pixel_shape=(height, width),
        sides=picture.sides,
        bar_mm=SCALE_BAR_MM if width_mm > 3 * SCALE_BAR_MM else 10.0,
        png=_png(grey_HW),
        panels=panels,
    )


def _finer(values_HW: NDArray[np.floating | np.integer], *, order: int) -> NDArray[np.float64]:
    """A small slice interpolated to a multiple of its pixels, corners on corners; order 1 linear, 3 cubic."""
    factor = max(1, math.ceil(FINE_PIXELS / max(values_HW.shape)))
    return zoom(np.asarray(values_HW, dtype=np.float64), factor, order=order, mode="nearest", grid_mode=True)


def _panel(name: str, title: str, png: str | None, drawn: Sequence[Outline], reference: Sequence[Outline]) -> Panel:
    names = ", ".join(outline.organ.name for outline in drawn)
    what = (
        f"outlines of {names}" if names else "voxel-wise uncertainty in colour" if name == "Uncertainty" else "no organ"
    )
    return Panel(name=name, alt=f"{title}, {name}: {what}", png=png, outlines=drawn, reference=reference)


def _heated(
    grey_HW: NDArray[np.float64], uncertainty_HW: NDArray[np.floating | np.integer], top_percent: float
) -> NDArray[np.float64]:
    """(H, W, 3) dimmed CT under colours whose opacity grows with uncertainty, so that certain tissue stays readable."""
    part_HW = np.clip(np.asarray(uncertainty_HW, dtype=np.float64) / top_percent, 0, 1)
    opacity_HW1 = np.sqrt(part_HW)[..., None]
    return (1 - opacity_HW1) * 0.75 * grey_HW[..., None] + opacity_HW1 * COLOURS(part_HW)[..., :3]


def _top_percent(pictures: Sequence[SlicePicture]) -> float:
    """Upper end of the colour scale: the 99.5th percentile of all slices, rounded up to tens."""
    highest = [float(np.percentile(p.uncertainty_HW, 99.5)) for p in pictures if p.uncertainty_HW is not None]
    return min(max(10 * math.ceil(max(highest, default=0.0) / 10), 10), 100)


def _png(pixels: NDArray[np.float64]) -> str:
    """A grey (H, W) or colour (H, W, 3) picture of values 0..1 as a data address."""
    buffer = io.BytesIO()
    imsave(buffer, np.clip(pixels, 0, 1), cmap="gray", vmin=0, vmax=1, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _hex(colour: Sequence[float]) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour[:3])


def _check(picture: SlicePicture) -> None:
    arrays = {"the reference": picture.labels_HW, "the uncertainty": picture.uncertainty_HW, **dict(picture.overlays)}
    if picture.image_HW.ndim != 2:
        raise EvaluationError(f"slice {picture.title!r} has {picture.image_HW.ndim} axes: give one slice (H, W)")
    for name, array in arrays.items():
        if array is not None and array.shape != picture.image_HW.shape:
            raise EvaluationError(
                f"slice {picture.title!r}: {name} has shape {array.shape}, its image {picture.image_HW.shape}"
            )
