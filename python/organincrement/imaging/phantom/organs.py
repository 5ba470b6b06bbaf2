"""The phantom's labelled organs, and the vessels that run between and through them.

Positions are those of the canonical patient (see phantom_trunk); what is painted later lies on top, so organs whose
shapes overlap end up touching.
"""

from collections.abc import Sequence

import numpy as np

from .shapes import Bounds, Box, SuperEllipsoid, Tube, smooth_union
from .trunk import Scene

ORGANS = ("liver", "spleen", "kidney_left", "kidney_right", "pancreas", "stomach")
LABELS = {organ: i + 1 for i, organ in enumerate(ORGANS)}
Point = tuple[float, float, float]
_CLEAR_OF_WALL_MM = 1.5


def paint_liver(scene: Scene) -> None:
    """Right and left lobe under the right dome, against the wall, with the gall bladder below."""
    canvas = scene.canvas
    right = SuperEllipsoid(center=scene.near(-62, 0, 26), radii=scene.size(71, 83, 72), power=2.5, turn_deg=(0, 24, 0))
    left = SuperEllipsoid(center=scene.near(0, -46, 48), radii=scene.size(64, 34, 30), turn_deg=(0, -14, 12))
    box = canvas.box(_both(right.bounds(), left.bounds()))
    lobes = smooth_union(canvas.distance(right, box), canvas.distance(left, box), 16)
    behind = SuperEllipsoid(center=(6, 34, 0), radii=(38, 28, 400))
    lobes = np.maximum(lobes, 3 - canvas.distance(behind, box))
    liver = _inside_abdomen(scene, lobes + 2.5 * scene.rough_DHW[box], box)
    canvas.blend(box, liver, scene.parenchyma("liver", 4)[box], LABELS["liver"])
    gallbladder = SuperEllipsoid(center=scene.near(-44, -42, -8), radii=scene.size(13, 24, 15), turn_deg=(25, 0, 0))
    canvas.paint(gallbladder, scene.hu["bowel_wall"])
    box = canvas.box(gallbladder.bounds())
    canvas.blend(box, canvas.distance(gallbladder, box) + 2, scene.hu["bile"])


def paint_liver_vessels(scene: Scene) -> None:
    """Hepatic veins to the vena cava and branches of the portal vein; they belong to the liver's label."""
    hu = scene.hu
    inside = scene.canvas.labels_DHW == LABELS["liver"]
    veins_hu = 0.9 * hu["portal_vein"] + 0.1 * hu["liver"]
    for tip in ((-95, 10, 48), (-60, -42, 55), (-5, -50, 58)):
        _paint_within(scene, _branch(scene, (-20, 6, 66), tip, (0, -4, 4), [5, 4, 2]), veins_hu, inside)
    for tip in ((-98, -10, 15), (-78, 34, 8), (-70, -40, 28), (10, -46, 46)):
        _paint_within(scene, _branch(scene, (-24, -10, 16), tip, (0, 0, 6), [6, 5, 2.5]), hu["portal_vein"], inside)


def paint_spleen(scene: Scene) -> None:
    """Against the left wall under the diaphragm; mottled in the arterial phase."""
    canvas = scene.canvas
    shape = SuperEllipsoid(
        center=scene.near(86, 32, 36), radii=scene.size(38, 50, 50, by=0.1), power=2.2, turn_deg=(15, 0, -25)
    )
    box = canvas.box(shape.bounds())
    spleen = _inside_abdomen(scene, canvas.distance(shape, box) + 2 * scene.rough_DHW[box], box)
    mottled_hu = 14 if scene.hu["aorta"] > 200 else 4
    canvas.blend(box, spleen, scene.parenchyma("spleen", mottled_hu)[box], LABELS["spleen"])


def paint_stomach(scene: Scene) -> None:
    """From the left dome across the midline; wall, fluid or food, and gas above the level, which lies to the front."""
    canvas, hu, full = scene.canvas, scene.hu, scene.rng.uniform(0.82, 1.12)
    path = ((44, 0, 66), (54, -20, 46), (56, -38, 18), (36, -48, -4), (8, -44, -12), (-16, -34, -6))
    radii = np.array((27, 29, 25, 20, 16, 12)) * np.array((full, full, full, full, 1, 1))
    shape = Tube(through=[scene.near(*point, by_mm=2.5) for point in path], radii=radii)
    box = canvas.box(shape.bounds())
    stomach = _inside_abdomen(scene, canvas.distance(shape, box) + 1.2 * scene.rough_DHW[box], box)
    canvas.blend(box, stomach, hu["stomach_wall"], LABELS["stomach"])
    food_hu, lumps_hu = hu["fluid"] + scene.rng.uniform(0, 35), scene.rng.uniform(0, 18)
    food = np.float32(food_hu) + np.float32(lumps_hu) * scene.texture_DHW[box]
    lumen = stomach + 5
    canvas.blend(box, lumen, food, None)
    front_mm = scene.rng.uniform(-54, -30)
    level = np.broadcast_to(canvas.axes_mm[1][box[1]][None, :, None] - np.float32(front_mm), lumen.shape)
    canvas.blend(box, np.maximum(lumen + 1, level), -950, None)


def paint_kidneys(scene: Scene) -> None:
    """Beside the spine, upper poles inward, in a rim of fat that is missing where a neighbour presses on it."""
    for organ, side, height in (("kidney_right", -1, -20), ("kidney_left", 1, -6)):
        canvas, hu = scene.canvas, scene.hu
        center = scene.near(side * 60, 38, height, by_mm=3.5)
        turn = (12, side * 12, side * 32)
        shape = SuperEllipsoid(center=center, radii=scene.size(25, 29, 53), power=2.1, turn_deg=turn)
        box = canvas.box(shape.bounds())
        kidney = canvas.distance(shape, box) + 1.0 * scene.rough_DHW[box]
        canvas.blend(box, kidney + 2.5 * scene.rough_DHW[box] - 1, scene.parenchyma("fat", 5)[box])
        canvas.blend(box, kidney, scene.parenchyma("kidney_cortex", 4)[box], LABELS[organ])
        canvas.blend(box, kidney + 8 + 2.5 * scene.texture_DHW[box], scene.parenchyma("kidney_medulla", 4)[box], None)
        inward = np.array((-side * 0.85, -0.5, 0.0))
        sinus = SuperEllipsoid(center=center + 18 * inward, radii=scene.size(14, 8, 19), power=2.2, turn_deg=turn)
        box = canvas.box(sinus.bounds())
        gap = canvas.distance(sinus, box) + 0.8 * scene.texture_DHW[box]
        canvas.blend(box, gap, np.float32(0.75 * hu["fat"]) + 30 * scene.texture_DHW[box].clip(-1, 1))
        vein_path = [center + 10 * inward, (side * 28, 18, height + 6), (-16, 14, height + 8)]
        renal_vein = Tube(through=vein_path, radii=[4, 5, 5])
        scene.canvas.paint(renal_vein, hu["vena_cava"] * 0.6 + hu["kidney_medulla"] * 0.4)


def paint_pancreas(scene: Scene) -> None:
    """Head in the duodenal loop, body over the aorta behind the stomach, tail to the spleen; lobulated."""
    canvas, hu = scene.canvas, scene.hu
    loop = [(-16, -34, -6), (-42, -20, -8), (-46, -2, -34), (-26, 4, -50), (10, 0, -46)]
    _paint_bowel_tube(scene, Tube(through=[scene.near(*point, by_mm=2) for point in loop], radii=[11, 13, 12, 12, 11]))
    middle = ((-24, -10, -30), (-22, -10, -18), (-6, -18, -4), (20, -19, 6), (46, -6, 14), (70, 10, 22))
    path = [scene.near(*point, by_mm=2.5) for point in middle]
    splenic = Tube(through=[point + np.array((0, 12, 2)) for point in path[2:]], radii=[6, 5, 5, 4])
    shape = Tube(through=path, radii=scene.size(14, 17, 11, 12, 13, 11, by=0.09))
    box = canvas.box(shape.bounds())
    pancreas = canvas.distance(shape, box) + 1.3 * scene.texture_DHW[box] + 1.2 * scene.rough_DHW[box]
    canvas.blend(box, pancreas, scene.parenchyma("pancreas", 9)[box], LABELS["pancreas"])
    scene.canvas.paint(splenic, hu["portal_vein"])
    trunk = Tube(through=[(-10, -3, -8), (-16, -6, 4), (-24, -10, 16)], radii=[7, 7, 6])
    mesenteric = Tube(through=[(-8, -6, -6), (-4, -12, -40), (2, -22, -100)], radii=[6, 5.5, 4])
    for vein in (trunk, mesenteric):
        scene.canvas.paint(vein, hu["portal_vein"])


def paint_great_vessels(scene: Scene) -> None:
    """Aorta with its upper branches, left of the midline before the spine, and vena cava to its right."""
    hu = scene.hu
    cava_path = [(-21, 14, -130), (-20, 14, -30), (-21, 10, 30), (-19, 4, 70), (-8, -8, 100)]
    cava = Tube(through=cava_path, radii=[11, 12, 12, 12, 13])
    aorta_path = [(4, 17, -130), (7, 12, -40), (7, 13, 20), (10, 22, 70), (16, 34, 130)]
    aorta = Tube(through=aorta_path, radii=[9, 10, 11, 12, 12])
    celiac = Tube(through=[(7, 10, 12), (5, -6, 14), (-8, -12, 18)], radii=[4, 3.5, 3])
    mesenteric = Tube(through=[(7, 8, 2), (6, -4, -8), (6, -16, -90)], radii=[4, 4, 3.5])
    scene.canvas.paint(cava, hu["vena_cava"])
    for artery in (mesenteric, celiac, aorta):
        scene.canvas.paint(artery, hu["aorta"])


def _paint_bowel_tube(scene: Scene, tube: Tube) -> None:
    canvas = scene.canvas
    box = canvas.box(tube.bounds())
    distance = canvas.distance(tube, box)
    canvas.blend(box, distance, scene.hu["bowel_wall"])
    canvas.blend(box, distance + 4.5, scene.hu["fluid"] + 12 * scene.texture_DHW[box])


def _branch(scene: Scene, root: Point, tip: Point, bend: Point, radii: Sequence[float]) -> Tube:
    end = scene.near(*tip, by_mm=7)
    return Tube(through=[root, (np.asarray(root) + end) / 2 + np.asarray(bend), end], radii=radii)


def _paint_within(scene: Scene, shape: Tube, hu: float, inside_DHW: np.ndarray) -> None:
    box = scene.canvas.box(shape.bounds())
    distance = np.where(inside_DHW[box], scene.canvas.distance(shape, box), np.float32(99))
    scene.canvas.blend(box, distance, hu, None)


def _inside_abdomen(scene: Scene, distance: np.ndarray, box: Box) -> np.ndarray:
    bound = np.maximum(scene.cavity_DHW[box] + _CLEAR_OF_WALL_MM, scene.diaphragm_DHW[box] + 2)
    return np.maximum(distance, bound)


def _both(a: Bounds, b: Bounds) -> Bounds:
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])
