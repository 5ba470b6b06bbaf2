"""A procedural abdomen CT with the labels of six organs: data to try, test and demonstrate with, of nobody.

Liver, spleen, kidneys, pancreas and stomach lie in a trunk with spine, ribs, lungs, bowel and vessels. They vary in
shape, size and place, touch one another, and overlap in HU, so that a network has to learn shape and place.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ImageError
from ..volume import Volume
from .bowel import paint_colon, paint_small_bowel
from .organs import (
    ORGANS,
    paint_great_vessels,
    paint_kidneys,
    paint_liver,
    paint_liver_vessels,
    paint_pancreas,
    paint_spleen,
    paint_stomach,
)
from .scanner import FIELD_OF_VIEW_MM, SITES, Site, Triple, acquire
from .shapes import Canvas, smooth_noise
from .tissue import PHASES, Phase, patient_hu
from .trunk import (
    Scene,
    cavity_distance,
    diaphragm_distance,
    paint_body,
    paint_chest,
    paint_muscles,
    paint_ribs,
    paint_spine,
    paint_table,
    wall_distance,
)

__all__ = ["ORGANS", "PHASES", "SITES", "Phantom", "Phase", "Site", "check_organs", "make_phantom"]

_FEWEST_VOXELS = 8
_WARP_MM, _WARP_LENGTH_MM = 3.0, 75.0


@dataclass(frozen=True, kw_only=True)
class Phantom:
    """One scan. `image`: HU, float32. `labels`: uint8 on the same grid, position in `organs` + 1. Both LPS."""

    image: Volume
    labels: Volume
    organs: tuple[str, ...]
    phase: Phase

    def labels_of(self, organs: Sequence[str]) -> Volume:
        """Labels of just these organs, position in `organs` + 1; raises ImageError for one that there is not."""
        check_organs(organs)
        value = np.zeros(1 + len(self.organs), np.uint8)
        value[[self.organs.index(organ) + 1 for organ in organs]] = range(1, 1 + len(organs))
        return self.labels.with_array(value[self.labels.array_DHW])


def check_organs(organs: Sequence[str]) -> None:
    """Raise ImageError for an organ that the phantom lacks."""
    for organ in organs:
        if organ not in ORGANS:
            raise ImageError(f"the phantom has no organ {organ!r}; choose from {', '.join(ORGANS)}")


def make_phantom(seed: int, site: Site, shape_DHW: tuple[int, int, int] | None = None) -> Phantom:
    """Scan patient `seed` at a site; the same arguments give the same voxels.

    The patient depends on the seed alone: at another site or shape it is the same anatomy, scanned in another way.

    Args: shape_DHW: voxels over the field of view of 211 x 264 x 317 mm; None: as many as the site's spacing asks for.
    Returns: a Phantom; D runs to the head, H to the back, W to the patient's left. Raises: ImageError for a tiny shape.
    """
    axes_mm, spacing_mm = _grid(site, shape_DHW)
    scanner_rng = np.random.default_rng([seed, 2, zlib.crc32(site.name.encode())])
    phase = PHASES[scanner_rng.choice(len(PHASES), p=[site.phases.get(phase, 0.0) for phase in PHASES])]
    canvas = _paint_patient(seed, phase, axes_mm)
    image_DHW = acquire(canvas.hu_DHW, site, spacing_mm, scanner_rng)
    z_D, y_H, x_W = axes_mm
    image = Volume(image_DHW, spacing_mm, (float(x_W[0]), float(y_H[0]), float(z_D[0])), np.eye(3))
    return Phantom(image=image, labels=image.with_array(canvas.labels_DHW), organs=ORGANS, phase=phase)


def _grid(site: Site, shape_DHW: tuple[int, int, int] | None) -> tuple[list[np.ndarray], Triple]:
    """Coordinates z_D, y_H, x_W in mm around the field of view's centre, and their spacing."""
    depth, height, width = FIELD_OF_VIEW_MM
    sites_own = (round(extent / step) for extent, step in zip(FIELD_OF_VIEW_MM, site.spacing_mm, strict=True))
    d, h, w = shape_DHW or sites_own
    if min(d, h, w) < _FEWEST_VOXELS:
        raise ImageError(f"a phantom of {d} x {h} x {w} voxels is too small; ask for at least {_FEWEST_VOXELS} a side")
    spacing_mm = (depth / d, height / h, width / w) if shape_DHW else site.spacing_mm
    axes_mm = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip((d, h, w), spacing_mm, strict=True)]
    return axes_mm, spacing_mm


def _paint_patient(seed: int, phase: Phase, axes_mm: list[np.ndarray]) -> Canvas:
    rng = np.random.default_rng([seed, 0])
    stature = rng.uniform(0.95, 1.04, 3) * rng.uniform(0.96, 1.03)
    axes_mm = [axis / factor for axis, factor in zip(axes_mm, stature, strict=True)]
    voxel_mm = float(np.mean([axis[1] - axis[0] for axis in axes_mm]))
    warp_mm = [_WARP_MM * smooth_noise(rng, axes_mm, _WARP_LENGTH_MM) for _ in range(3)]
    canvas = Canvas(axes_mm, voxel_mm, warp_mm)
    wall_DHW = wall_distance(canvas)
    scene = Scene(
        canvas=canvas,
        rng=rng,
        hu=patient_hu(np.random.default_rng([seed, 1]), phase),
        wall_DHW=wall_DHW,
        cavity_DHW=cavity_distance(canvas, wall_DHW),
        diaphragm_DHW=diaphragm_distance(canvas, rng),
        texture_DHW=smooth_noise(rng, axes_mm, 9.0),
        rough_DHW=smooth_noise(rng, axes_mm, 26.0),
    )
    _paint_all(scene)
    return canvas


def _paint_all(scene: Scene) -> None:
    """In the order in which things cover one another."""
    rng = scene.rng
    plump = rng.uniform(0.2, 1.0)
    back_mm = 6 + 14 * plump
    paint_body(scene, (4 + 12 * plump, 6 + 20 * plump * rng.uniform(0.6, 1.0), back_mm))
    for paint in (
        paint_muscles,
        paint_small_bowel,
        paint_colon,
        paint_liver,
        paint_spleen,
        paint_stomach,
        paint_kidneys,
        paint_pancreas,
        paint_liver_vessels,
        paint_chest,
        paint_great_vessels,
        paint_spine,
        paint_ribs,
    ):
        paint(scene)
    paint_table(scene.canvas, 94 + back_mm)
