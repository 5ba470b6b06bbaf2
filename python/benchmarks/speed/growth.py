"""How time and memory grow with voxels, classes, copies, cases, decoders and processes."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib

from benchmarks.decoders import segmenting as by_decoders
from benchmarks.speed import growth_world as world
from benchmarks.speed.guidance_world import guided_step
from benchmarks.speed.part import FOLDER, Cell, Options, Part, Table
from benchmarks.speed.timing import in_a_process

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_MIB = 2**20
_LEAST_MIB = 8  # that must come with the last sizes, for a power of memory to be told
_PICTURE = "growth.png"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What grows with what. sizes: each twice the one before, three or more."""

    name: str
    along: str
    sizes: tuple[int, ...]
    run: Callable[[int], tuple[float, float]]
    reason: str = ""  # why it grows faster than in a line


@dataclass(frozen=True, kw_only=True)
class Grown:
    """CPU seconds of each size, and MiB beyond the imports."""

    curve: Curve
    seconds: tuple[float, ...]
    mib: tuple[float, ...]


def measure(options: Options) -> Part:
    """Each size of each curve in a process of its own; then the same scans by several processes."""
    imports = in_a_process(world.nothing, threads=1).peak_bytes / _MIB
    grown = []
    for curve in _curves(imports):
        sizes = curve.sizes[:3] if options.quick else curve.sizes
        seconds, mib = zip(*map(curve.run, sizes), strict=True)
        grown.append(Grown(curve=curve, seconds=seconds, mib=mib))
        print(curve.name, curve.along, sizes, seconds, mib, flush=True)
    if not options.quick:
        _draw(FOLDER / _PICTURE, grown)
    columns = ["what", "grows with", "from", "to", "CPU s, first", "CPU s, last", "power", "MiB, first", "MiB, last",
               "power of memory", "why more than 1"]  # fmt: skip
    return Part(
        title="Growth",
        question=(
            "Does any step grow faster than in a line? The power p of size^p that leads from the last but two sizes to "
            "the last, four times as large: 1 is a line, 2 a square; a fixed part pulls it down, which the picture "
            "shows, and other work on the machine moves it by up to a tenth. One thread, CPU seconds; memory "
            f"is the most that a process of its own had beyond its imports ({imports:.0f} MiB)."
        ),
        tables=[Table(columns=columns, rows=list(map(_row, grown))), _processes(3 if options.quick else 12)],
        check=(
            "With the same threads a process, results do not depend on the number of processes, byte for byte "
            "(tests/workflows/test_fan_out*.py)."
        ),
        remark=_REMARK,
        pictures=() if options.quick else (_PICTURE,),
    )


_REMARK = (
    "A power of memory is left out where less than 8 MiB came with the last sizes. Where the sums of all windows do "
    "not fit their budget, a scan is done in slabs: memory grows more slowly than scan and classes. All pairs of scans "
    "are the one square there is, and a share of `dataset check`. A process more costs its start: Python, torch and "
    "the model; so `--processes auto` asks for four scans for each."
)


def _curves(imports: float) -> list[Curve]:
    def alone(function: Callable[..., float], **fixed: Any) -> Callable[..., tuple[float, float]]:
        def run(**size: Any) -> tuple[float, float]:
            done = in_a_process(function, threads=1, **fixed, **size)
            return done.answer, done.peak_bytes / _MIB - imports

        return run

    def decoders(count: int) -> tuple[float, float]:
        found = by_decoders(count)
        return found["seconds"], found["mib"]

    segment, step = alone(world.segment_scan), alone(guided_step)
    plain: list[tuple[str, str, tuple[int, ...], Callable[..., tuple[float, float]], str]] = [
        ("segment, 8 classes", "planes of 96 x 96", (48, 96, 192, 384), lambda n: segment(planes=n, classes=8), ""),
        ("segment, 96 planes", "classes", (15, 30, 60, 120), lambda n: segment(planes=96, classes=n), ""),
        ("segment, one encoder", "decoders", (18, 36, 72, 144), decoders, ""),
        ("guided step, 4 organs, Q = 2", "planes of a patch", (16, 32, 64, 128),
         lambda n: step(patch=[n, 32, 32], organs=4, perturbations=2), ""),
        ("guided step, 32\u00b3, Q = 2", "organs", (15, 30, 60, 120),
         lambda n: step(patch=[32] * 3, organs=n, perturbations=2), ""),
        ("guided step, 32\u00b3, 4 organs", "perturbed copies", (2, 4, 8, 16),
         lambda n: step(patch=[32] * 3, organs=4, perturbations=n), ""),
        ("prepare for training", "cases", (16, 32, 64, 128), lambda n: alone(world.prepare_cases)(cases=n), ""),
        ("`dataset check`", "cases", (16, 32, 64, 128), lambda n: alone(world.check_dataset)(cases=n),
         "it compares each pair of scans: the next row"),
        ("`dataset check`: prints compared", "scans", (50, 100, 200, 400),
         lambda n: alone(world.compare_prints)(scans=n), "each pair of patients might be one: docs/scale.md"),
        ("choose 100 exemplars", "slabs", (12_500, 25_000, 50_000, 100_000),
         lambda n: alone(world.choose_exemplars)(slabs=n), ""),
    ]  # fmt: skip
    return [Curve(name=n, along=a, sizes=s, run=r, reason=w) for n, a, s, r, w in plain]


def _row(grown: Grown) -> list[Cell]:
    curve, seconds, mib = grown.curve, grown.seconds, grown.mib
    sizes = curve.sizes[: len(seconds)]

    def power(values: tuple[float, ...]) -> float:
        return math.log(values[-1] / values[-3]) / math.log(sizes[-1] / sizes[-3])

    return [
        curve.name, curve.along, f"{sizes[0]:,}", f"{sizes[-1]:,}", seconds[0], seconds[-1], power(seconds),
        mib[0], mib[-1], power(mib) if mib[-1] - mib[-3] > _LEAST_MIB else None, curve.reason,
    ]  # fmt: skip


def _processes(scans: int) -> Table:
    """The same scans by the command with more and more processes."""
    rows: list[list[Cell]] = []
    with TemporaryDirectory() as folder:
        arguments = world.write_world(Path(folder), scans)
        for count in (1, 2, 4):
            done = in_a_process(
                world.segment_many, threads=1, arguments=arguments, out=f"{folder}/out-{count}", processes=count
            )
            rows.append([count, done.answer, done.children_cpu_s])
    return Table(columns=["processes", "wall s", "CPU s of all"], rows=rows, caption=f"`segment` of {scans} scans")


def _draw(path: Path, grown: list[Grown]) -> None:
    with plt.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        columns = math.ceil(len(grown) / 2)
        figure, grid = plt.subplots(2, columns, figsize=(2.3 * columns, 4.6), layout="constrained")
        for axes, one in zip(grid.flat, grown, strict=False):
            seconds, memory = axes, axes.twinx()
            seconds.plot(one.curve.sizes, one.seconds, "o-", color="#0072b2", markersize=4)
            memory.plot(one.curve.sizes, one.mib, "s--", color="#d55e00", markersize=3, linewidth=1)
            seconds.set(xlabel=one.curve.along, xlim=(0, None), ylim=(0, None))
            seconds.set_title(one.curve.name.replace("`", ""), fontsize=8)
            seconds.tick_params(axis="y", colors="#0072b2")
            memory.tick_params(axis="y", colors="#d55e00")
            memory.set(ylim=(0, max(16, 1.15 * max(one.mib))))
            memory.spines["right"].set_visible(False)
        figure.suptitle("CPU seconds (blue) and MiB beyond the imports (orange)", fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=120, metadata={"Software": None})
        plt.close(figure)
