"""What a site's scanner makes of the anatomy: voxels, blur, calibration, correlated noise and streaks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from .tissue import Phase

Triple = tuple[float, float, float]

FIELD_OF_VIEW_MM: Triple = (211.2, 264.0, 316.8)
_LOWEST_HU, _HIGHEST_HU = -1024, 3071
_STREAK_MM, _BODY_DEPTH_MM = 45.0, 25.0


@dataclass(frozen=True, kw_only=True)
class Site:
    """A hospital's way of scanning. `phases`: share of each contrast phase among its patients.

    `noise_hu`: standard deviation in the body's middle. `blur_mm`: Gaussian standard deviation of the reconstruction
    kernel within a slice. `shift_hu`, `scale`: calibration, HU -> scale * HU + shift. `spacing_mm`: of D, H, W.
    """

    name: str
    phases: Mapping[Phase, float]
    noise_hu: float
    blur_mm: float
    shift_hu: float
    scale: float
    spacing_mm: Triple


SITES: Mapping[str, Site] = {
    "a": Site(
        name="a",
        phases={"portal": 0.75, "arterial": 0.15, "native": 0.10},
        noise_hu=10.0,
        blur_mm=1.2,
        shift_hu=0.0,
        scale=1.0,
        spacing_mm=(3.3, 3.3, 3.3),
    ),
    "b": Site(
        name="b",
        phases={"portal": 0.45, "arterial": 0.35, "native": 0.20},
        noise_hu=19.0,
        blur_mm=2.8,
        shift_hu=-9.0,
        scale=1.05,
        spacing_mm=(5.0, 3.0, 3.0),
    ),
}


def acquire(anatomy_DHW: np.ndarray, site: Site, spacing_mm: Triple, rng: np.random.Generator) -> np.ndarray:
    """Scan an anatomy.

    Args: anatomy_DHW: true HU. spacing_mm: of the grid, which may be another than the site's.
    Returns: float32 DHW of whole HU in -1024..3071.
    """
    sigma = (0.35, site.blur_mm / spacing_mm[1], site.blur_mm / spacing_mm[2])
    blurred = gaussian_filter(anatomy_DHW, sigma, mode="nearest", truncate=3)
    scanned = blurred * np.float32(site.scale) + np.float32(site.shift_hu)
    scanned += np.float32(site.noise_hu) * _noise(anatomy_DHW, site, spacing_mm, rng)
    return np.clip(np.rint(scanned), _LOWEST_HU, _HIGHEST_HU).astype(np.float32)


def _noise(anatomy_DHW: np.ndarray, site: Site, spacing_mm: Triple, rng: np.random.Generator) -> np.ndarray:
    """Grainy noise, strongest in the middle of the body, and streaks along the rows that cross much bone."""
    white = rng.standard_normal((2, *anatomy_DHW.shape), dtype=np.float32)
    grain_voxels = (0.4, *(0.35 + 0.5 * site.blur_mm / step for step in spacing_mm[1:]))
    grain = gaussian_filter(white[0], grain_voxels, mode="wrap", truncate=3)
    streaks = gaussian_filter1d(white[1], _STREAK_MM / spacing_mm[2], mode="wrap", truncate=2)
    tissue_DH = (anatomy_DHW > -300).mean(2, dtype=np.float32)
    bone_DH = gaussian_filter((anatomy_DHW > 250).mean(2, dtype=np.float32), 1.0)
    streakiness_DH1 = (0.15 + 3.0 * bone_DH * tissue_DH).clip(max=0.6)[:, :, None]
    depth_voxels = (0, *(_BODY_DEPTH_MM / step for step in spacing_mm[1:]))
    body = gaussian_filter((anatomy_DHW > -700).astype(np.float32), depth_voxels, truncate=2)
    return (grain / grain.std() + streakiness_DH1 * streaks / streaks.std()) * (0.35 + 0.65 * body)
