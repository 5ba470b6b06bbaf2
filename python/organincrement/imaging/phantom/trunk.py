"""The phantom's trunk: skin, fat, muscle wall, diaphragm, lungs, heart, spine and ribs.

The canonical patient is 260 x 180 mm across the muscle wall; x = 0 is the midline, z = 0 the kidneys' upper third.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .shapes import Canvas, SuperEllipsoid, Tube, smooth_union

_WALL_HALF_WIDTH_MM, _WALL_HALF_DEPTH_MM, _WALL_POWER = 130.0, 90.0, 2.4
_VERTEBRA_EVERY_MM, _RIB_EVERY_MM, _RIB_DEPTH_MM = 33.0, 25.0, 6.5
_EVERYWHERE = (slice(None), slice(None), slice(None))


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What the painters share: the canvas, the patient's draws, tissues and surfaces.

    `wall_DHW`, `cavity_DHW`, `diaphragm_DHW`: signed distances in mm of the muscle wall's outside and inside, and of
    the diaphragm, below which they are negative. `texture_DHW`, `rough_DHW`: noise of unit variance, fine (about
    9 mm) and coarse (about 26 mm).
    """

    canvas: Canvas
    rng: np.random.Generator
    hu: Mapping[str, float]
    wall_DHW: np.ndarray
    cavity_DHW: np.ndarray
    diaphragm_DHW: np.ndarray
    texture_DHW: np.ndarray
    rough_DHW: np.ndarray

    def near(self, *point: float, by_mm: float = 4.0) -> np.ndarray:
        """A point (x, y, z) moved at random, by at most twice `by_mm` along each axis."""
        return np.asarray(point) + by_mm * np.clip(self.rng.standard_normal(3), -2, 2)

    def size(self, *radii: float, by: float = 0.07) -> np.ndarray:
        """Radii scaled at random: together, and a little each."""
        common, each = self.rng.standard_normal(), self.rng.standard_normal(len(radii))
        return np.asarray(radii) * (1 + by * np.clip(common, -2, 2) + 0.4 * by * np.clip(each, -2, 2))

    def parenchyma(self, tissue: str, texture_hu: float) -> np.ndarray:
        """HU of a tissue with its texture, over the whole grid."""
        return np.float32(self.hu[tissue]) + np.float32(texture_hu) * self.texture_DHW


def wall_distance(canvas: Canvas) -> np.ndarray:
    """Signed distance (mm, DHW) of the muscle wall's outer surface: narrower at both ends, grooved at the back."""
    x, y, z = canvas.points
    taper = 1 - np.float32(0.05) * (z / 100) ** 2
    across = (np.abs(x) / (np.float32(_WALL_HALF_WIDTH_MM) * taper)) ** np.float32(_WALL_POWER)
    deep = (np.abs(y) / (np.float32(_WALL_HALF_DEPTH_MM) * taper)) ** np.float32(_WALL_POWER)
    g = (across + deep + np.float32(1e-6)) ** np.float32(1 / _WALL_POWER)
    groove = np.where(y > 0, 6 * np.exp(-((x / 16) ** 2)), 0).astype(np.float32)
    return np.hypot(x, y) * (1 - 1 / g) + groove


def cavity_distance(canvas: Canvas, wall_DHW: np.ndarray) -> np.ndarray:
    """Signed distance of the wall's inner surface: thicker at the flanks, and bulging in around the spine."""
    x, y, _ = canvas.points
    front_and_sides = wall_DHW + 9 + 5 * x**2 / (x**2 + y**2 + 1)
    bulge = smooth_union((np.hypot(x / 52, (y - 70) / 24) - 1) * 30, (np.hypot(x / 25, (y - 45) / 23) - 1) * 24, 10)
    return np.maximum(front_and_sides, -bulge)


def diaphragm_distance(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Signed distance of what lies below the diaphragm: two domes, the right one higher, deep recesses at the wall."""
    x, y, z = canvas.points
    top = rng.uniform(72, 92)
    height = np.full(canvas.shape, -np.inf, np.float32)
    for center_x, peak in ((-56, top), (58, top - rng.uniform(4, 14))):
        rho = ((x - center_x) / 78) ** 2 + ((y + 8) / 88) ** 2
        np.maximum(height, np.float32(peak) - 62 * rho ** np.float32(1.3), out=height)
    return (z - height) * np.float32(0.8)


def paint_body(scene: Scene, fat_mm: tuple[float, float, float]) -> None:
    """Skin, subcutaneous fat (thickness at flank, front and back), muscle wall, and the fat that fills its inside."""
    canvas, flank, front, back = scene.canvas, *fat_mm
    x, y, z = canvas.points
    upright = y * np.abs(y) / (x**2 + y**2 + 1)
    lower_belly = 1 + np.float32(0.3) * np.clip(-z / 100, -1, 1)
    fat = flank + (front - flank) * np.maximum(-upright, 0) * lower_belly + (back - flank) * np.maximum(upright, 0)
    body = scene.wall_DHW - fat
    canvas.blend(_EVERYWHERE, body, scene.hu["skin"])
    canvas.blend(_EVERYWHERE, body + 2.5, scene.parenchyma("fat", 4))
    canvas.blend(_EVERYWHERE, scene.wall_DHW, scene.parenchyma("muscle", 7))
    canvas.blend(_EVERYWHERE, scene.cavity_DHW, scene.parenchyma("fat", 6))


def paint_table(canvas: Canvas, top_mm: float) -> None:
    """The scanner's curved table, under the back; it does not bend with the patient."""
    _, y_H, x_W = canvas.axes_mm
    depth = np.abs(y_H[:, None] - (top_mm + 6 - 0.0012 * x_W**2)) - 2.5
    where = np.broadcast_to(depth.astype(np.float32), canvas.shape)
    canvas.blend(_EVERYWHERE, np.where(canvas.hu_DHW < -600, where, np.float32(99)), -60)


def paint_chest(scene: Scene) -> None:
    """Lungs above the diaphragm, heart and the fat around it between them."""
    canvas = scene.canvas
    canvas.blend(_EVERYWHERE, np.maximum(scene.cavity_DHW, -1.5 - scene.diaphragm_DHW), scene.hu["muscle"])
    above = np.maximum(scene.cavity_DHW, 1.5 - scene.diaphragm_DHW)
    vessels = np.maximum(scene.texture_DHW - 0.9, 0) * 230
    canvas.blend(_EVERYWHERE, above, np.minimum(scene.hu["lung"] + vessels, 20))
    back = SuperEllipsoid(center=(6, 26, 90), radii=(30, 26, 90))
    heart = SuperEllipsoid(center=scene.near(16, -30, 112), radii=scene.size(58, 42, 40), turn_deg=(0, 0, 20))
    for shape, grow_mm, tissue, texture_hu in ((back, 0, "fat", 5), (heart, 5, "fat", 5), (heart, 0, "heart", 6)):
        box = canvas.box(shape.bounds())
        inside = np.maximum(canvas.distance(shape, box) - grow_mm, above[box])
        canvas.blend(box, inside, scene.parenchyma(tissue, texture_hu)[box])


def paint_muscles(scene: Scene) -> None:
    """Muscles along the spine: quadratus lumborum, psoas, and the crura of the diaphragm."""
    muscle = scene.parenchyma("muscle", 8)
    for side in (-1, 1):
        for shape in (
            Tube(through=[(side * 46, 56, 5), (side * 56, 54, -40), (side * 62, 50, -125)], radii=[5, 11, 13]),
            Tube(through=[(side * 20, 42, 25), (side * 30, 42, -40), (side * 46, 34, -125)], radii=[4, 14, 22]),
            Tube(through=[(side * 12, 22, 75), (side * 11, 22, 25), (side * 8, 24, -10)], radii=[5, 6, 4]),
        ):
            scene.canvas.paint(shape, muscle)


def paint_spine(scene: Scene) -> None:
    """Vertebral bodies with discs between, the canal, laminae, spinous and transverse processes."""
    canvas, hu = scene.canvas, scene.hu
    box = canvas.box((np.array([-46, 18, -200]), np.array([46, 92, 200])))
    x, y, z = canvas.points_in(box)
    phase = ((z - scene.rng.uniform(0, _VERTEBRA_EVERY_MM)) / _VERTEBRA_EVERY_MM) % 1
    from_middle = np.abs(phase - 0.5) * _VERTEBRA_EVERY_MM
    column = (np.hypot(x / 21, (y - 41) / 16) - 1) * 18
    body = np.maximum(column + 2 * (1 - from_middle / 12).clip(0), from_middle - 12.5)
    marrow = scene.parenchyma("marrow", 22)[box]
    canvas.blend(box, column, hu["disc"])
    canvas.blend(box, body, 0.75 * hu["cortical_bone"])
    canvas.blend(box, body + 3, marrow)
    canal = np.hypot(x, y - 65) - 8
    arch = np.maximum(np.abs(canal - 3) - 3, from_middle - 11)
    spinous_z, wing_z = (phase - 0.35) * _VERTEBRA_EVERY_MM, (phase - 0.55) * _VERTEBRA_EVERY_MM
    spinous = np.maximum(np.maximum(np.abs(x) - 3, np.abs(y - 80) - 10), np.abs(spinous_z) - 8)
    wing = np.maximum(np.abs(np.abs(x) - 22) - 14, np.hypot(y - 58 - np.abs(x) / 8, wing_z) - 3.8)
    for bone in (arch, spinous, wing):
        canvas.blend(box, bone, 0.8 * hu["cortical_bone"])
    canvas.blend(box, canal, hu["cord"])


def paint_ribs(scene: Scene) -> None:
    """Ribs in the wall, falling from back to front above the costal arch; their front ends are cartilage."""
    canvas, hu = scene.canvas, scene.hu
    x, y, z = canvas.points
    from_back = np.arctan2(np.abs(x), y)  # 0 at the spine, pi at the sternum
    arch_z = np.interp(from_back, (0.0, 0.5, 1.7, 2.7, np.pi), (-10, -22, -45, 45, 75)).astype(np.float32)
    turn = ((z + 45 * from_back + scene.rng.uniform(0, _RIB_EVERY_MM)) / _RIB_EVERY_MM) % 1
    along = np.hypot((turn - 0.5) * np.float32(0.75 * _RIB_EVERY_MM), scene.wall_DHW + _RIB_DEPTH_MM)
    rib = np.maximum(along - np.float32(3.8), (arch_z - z) * np.float32(0.6))
    rib = np.maximum(rib, (np.float32(0.42) - from_back) * 60)
    bone = np.where(from_back < 2.3, np.float32(0.85 * hu["cortical_bone"]), np.float32(hu["cartilage"]))
    canvas.blend(_EVERYWHERE, rib, bone)
