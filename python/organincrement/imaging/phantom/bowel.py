"""The phantom's bowel: small bowel loops packed into the lower abdomen, framed by the colon with stool and gas."""

import numpy as np
from scipy.spatial import cKDTree

from .shapes import SuperEllipsoid, Tube
from .trunk import Scene

_LOOP_RADIUS_MM, _LOOP_WALL_MM, _SEEDS_PER_LOOP = 13.5, 3.0, 4
_LOOPS, _LOOPS_LOW, _LOOPS_HIGH = 62, (-90, -75, -140), (100, 20, -10)


def paint_small_bowel(scene: Scene) -> None:
    """Loops as the cells around scattered points, each full of fluid, collapsed, or with some gas in front."""
    canvas, rng, hu = scene.canvas, scene.rng, scene.hu
    region = SuperEllipsoid(center=(8, -26, -75), radii=(88, 46, 62), power=2.5)
    seeds_xyz = _strings_of_seeds(rng)
    loops = len(seeds_xyz) // _SEEDS_PER_LOOP
    contents = rng.choice((hu["fluid"], hu["bowel_wall"] * 0.8, 32.0), loops).astype(np.float32)
    gas_front = rng.choice((-60.0, -9.0, -3.0), loops, p=(0.8, 0.1, 0.1)).astype(np.float32)
    box = canvas.box(region.bounds())
    within = np.maximum(canvas.distance(region, box), scene.cavity_DHW[box] + 3)
    points = np.stack(canvas.points_in(box), -1)
    used = within < 3
    near, other, seed = _nearest_loops(seeds_xyz, points[used])
    loop = np.full(within.shape, 99, np.float32)
    loop[used] = np.maximum((near - other) / 2 + 1.2, near - _LOOP_RADIUS_MM)
    inside_hu, gas = np.zeros_like(loop), np.full_like(loop, 99)
    inside_hu[used] = contents[seed // _SEEDS_PER_LOOP]
    gas[used] = points[used][:, 1] - seeds_xyz[seed, 1] - gas_front[seed // _SEEDS_PER_LOOP]
    loop = np.maximum(loop, within)
    canvas.blend(box, loop, hu["bowel_wall"])
    canvas.blend(box, loop + _LOOP_WALL_MM, inside_hu)
    canvas.blend(box, np.maximum(loop + _LOOP_WALL_MM, gas), -900)


def paint_colon(scene: Scene) -> None:
    """Ascending, transverse and descending colon with haustra; stool mottled with gas, the transverse full of gas."""
    near, haustra = scene.near, 0.13
    ascending = [near(-86, 18, -130), near(-88, 10, -85), near(-82, -12, -52), near(-70, -34, -48)]
    transverse = [near(-70, -34, -48), near(-30, -60, -58), near(20, -64, -48), near(66, -50, -18), near(88, -22, 2)]
    descending = [near(88, -22, 2), near(97, 10, -15), near(94, 26, -60), near(92, 22, -130)]
    _paint_segment(scene, Tube(through=descending, radii=[15, 15, 14, 14], haustra=haustra), gas_share=0.15)
    _paint_segment(scene, Tube(through=ascending, radii=[22, 22, 21, 18], haustra=haustra), gas_share=0.3)
    _paint_segment(scene, Tube(through=transverse, radii=[18, 17, 17, 18, 17], haustra=haustra), gas_share=0.6)


def _paint_segment(scene: Scene, tube: Tube, gas_share: float) -> None:
    canvas, hu = scene.canvas, scene.hu
    box = canvas.box(tube.bounds())
    wall = np.maximum(canvas.distance(tube, box), scene.cavity_DHW[box] + 1)
    texture = scene.texture_DHW[box]
    mottled_hu = np.where(texture > 1.0, np.float32(-500), np.float32(hu["stool"]) + 25 * texture)
    canvas.blend(box, wall, hu["bowel_wall"])
    canvas.blend(box, wall + 3, mottled_hu)
    y = np.broadcast_to(canvas.axes_mm[1][box[1]][None, :, None], wall.shape)
    lumen_y = y[wall < -3]
    level = np.quantile(lumen_y, gas_share) if lumen_y.size else np.float32(-999)
    canvas.blend(box, np.maximum(wall + 3, y - level), -930)


def _strings_of_seeds(rng: np.random.Generator) -> np.ndarray:
    """Seeds (n, 3) in short bent strings, mostly running across the body; each string is one loop."""
    start = rng.uniform(_LOOPS_LOW, _LOOPS_HIGH, (_LOOPS, 1, 3))
    heading = rng.standard_normal((_LOOPS, 1, 3)) * (1.0, 0.7, 0.5)
    heading /= np.linalg.norm(heading, axis=2, keepdims=True)
    steps = 13 * heading + rng.normal(0, 5, (_LOOPS, _SEEDS_PER_LOOP, 3))
    return (start + np.cumsum(steps, axis=1)).reshape(-1, 3).astype(np.float32)


def _nearest_loops(seeds_xyz: np.ndarray, points_xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of each point to the nearest seed and to the nearest one of another loop; the nearest seed's index."""
    distance, index = cKDTree(seeds_xyz).query(points_xyz, k=_SEEDS_PER_LOOP + 1)
    foreign = index // _SEEDS_PER_LOOP != index[:, :1] // _SEEDS_PER_LOOP
    other = np.take_along_axis(distance, foreign.argmax(1)[:, None], 1)[:, 0]
    return distance[:, 0].astype(np.float32), other.astype(np.float32), index[:, 0]
