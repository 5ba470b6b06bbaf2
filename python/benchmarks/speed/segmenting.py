"""Segmenting: what each lever saves, stock nnU-Net v2 on the same scan, and 118 organs on a large one."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed import segmenting_world as world
from benchmarks.speed.part import Cell, Options, Part, Table
from benchmarks.speed.timing import in_a_process
from organincrement.imaging.volume import Volume
from organincrement.inference import answers, labelling, predict
from organincrement.inference.boxes import split
from organincrement.inference.predict import Prediction, PredictionSettings, predict_volume

_ENGINE = Path(__file__).resolve().parents[2]
_STOCK_PYTHON = _ENGINE.parent / ".venv-parity" / "bin" / "python"
_CLASSES = 119
_MIB = 2**20
_KNOWN = 4  # organs of the stock model, by their labels in the clinic's files: 1 to 4


def measure(options: Options) -> Part:
    """Levers on a scan made up for it; stock nnU-Net where `shared` and its environment are there."""
    tables = [_levers(options), _large(options)]
    stock = _stock(options)
    if isinstance(stock, Table):
        tables.insert(1, stock)
    return Part(
        title="Segmenting",
        question=(
            f"What does each lever save when a scan is segmented with {_CLASSES} classes, how does the whole compare "
            "with stock nnU-Net v2, and how much memory does a large scan take? CPU time of one thread."
        ),
        tables=tables,
        check="Labels and doubt of each way are compared with the other way's, voxel by voxel, in the run.",
        remark=_REMARK + (stock if isinstance(stock, str) else ""),
    )


_REMARK = (
    "With few organs on a CPU the network's own passes are nine tenths of the time, as many for both tools, and none "
    "can be reused: the ratio to stock comes from what surrounds them. Features in the place of channels are exact "
    "up to rounding (the last linear layer changes places with weighted means), and are not used where another tool "
    "rounds to half precision in between. Labels from the network's grid are bit-equal: what leads at every neighbour "
    "leads between them. Keeping freed memory (networks/heap.py) changes no bit and takes a tenth more memory. A model "
    "by nnU-Net's rules is computed in single precision, as nnU-Net does on a CPU; `segment --precision fastest` takes "
    "bfloat16 on processors that have it, as models by our own rules always do. That is where a factor of two comes "
    "from, and it moves single voxels of an organ's edge. "
    "GPU figures are missing: there was none. "
)


def _scan(options: Options) -> Volume:
    shape, mm = ((48, 96, 96), 2.0) if options.quick else ((120, 200, 200), 1.5)
    found = world.body(shape, (mm, mm, mm))
    return found.with_array(found.array_DHW.astype(np.float32))


def _levers(options: Options) -> Table:
    image = _scan(options)
    ways: list[tuple[str, str, Callable[[], Any], int]] = [
        ("windows in slabs, not in boxes", "entropy", _boxes, 4),
        ("features, not channels, accumulated", "entropy", _channels, 4),
        ("features, not channels, accumulated", "none", _channels, 256),
        ("labels from the network's grid", "none", _all_voxels, 256),
        ("labels and doubt from the network's grid", "entropy", _all_voxels, 256),
    ]
    rows = [_lever(image, *way) for way in ways]
    columns = ["lever", "doubt", "before, s", "after, s", "ratio", "windows before", "after", "voxels that differ"]
    return Table(columns=columns, rows=rows, caption=f"Levers, {' x '.join(map(str, image.shape_DHW))} voxels")


def _lever(image: Volume, name: str, doubt: str, before: Callable[[], Any], mib: int) -> list[Cell]:
    timed = [_segmented(image, way(), doubt, mib) for way in (before, nullcontext)]
    (old, old_s, old_windows), (new, new_s, new_windows) = timed
    differing = int((old.labels_DHW != new.labels_DHW).sum())
    doubtful = ""
    if old.uncertainty_DHW is not None and new.uncertainty_DHW is not None:
        apart = np.abs(old.uncertainty_DHW.astype(int) - new.uncertainty_DHW)
        doubtful = f"; doubt {int((apart > 0).sum())}, by {int(apart.max())} per cent at most"
    return [name, doubt, old_s, new_s, old_s / new_s, old_windows, new_windows, f"{differing}{doubtful}"]


def _segmented(image: Volume, way: Any, doubt: str, mib: int) -> tuple[Prediction, float, int]:
    network, manifest = world.model(_CLASSES, spacing_mm=3.0, patch=32)
    windows: list[int] = []
    settings = PredictionSettings(
        uncertainty=doubt,  # type: ignore[arg-type]
        budget_bytes=mib * _MIB, progress=lambda done, total: windows.append(done),
    )  # fmt: skip
    torch.set_num_threads(1)
    with way, torch.inference_mode():
        started = time.process_time()
        found = predict_volume(network, manifest, image, world.CPU, settings)
        return found, time.process_time() - started, len(windows)


@contextmanager
def _replaced(owner: Any, name: str, by: Any) -> Iterator[None]:
    kept = getattr(owner, name)
    setattr(owner, name, by)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def _channels() -> Any:
    """All channels accumulated."""
    return _replaced(answers, "linear_output", lambda *of_network: None)


def _all_voxels() -> Any:
    """Every channel of every output voxel interpolated."""
    return _replaced(labelling.Labeller, "_cells_tell", lambda self, density: False)


def _boxes() -> Any:
    """Boxes cut along all three axes, whose sums fit the budget; the windows of each are run for it alone."""
    tiles = predict.tiles

    def cut(grid: Any, axes: Any, most_columns: int) -> Iterator[Any]:
        planes = 32 + 2  # that a column of the same budget holds
        for tile in tiles(grid, axes, 10**9):
            shape = tuple(o.stop - o.start for o in tile.output)
            source = tuple(r.stop - r.start for r in tile.read)
            for box in split(shape, source, most_columns * planes):  # type: ignore[arg-type]
                output = tuple(
                    slice(o.start + b.start, o.start + b.stop) for o, b in zip(tile.output, box, strict=True)
                )
                read = tuple(axis.source_range(o) for axis, o in zip(axes, output, strict=True))
                inside = tuple(
                    slice(max(r.start, i.start), min(r.stop, i.stop)) for r, i in zip(read, grid.inside, strict=True)
                )
                within = tuple(slice(i.start - o, i.stop - o) for i, o in zip(inside, grid.offset, strict=True))
                yield replace(tile, output=output, read=read, inside=inside, box=within)

    return _replaced(predict, "tiles", cut)


def _large(options: Options) -> Table:
    """512 x 512 x 800 from file to file, each in a process of its own."""
    shape = (80, 128, 128) if options.quick else (800, 512, 512)
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        scan = world.write_scan(Path(folder), shape, (1.0, 0.8, 0.8))
        ways = (("none", 0.0, False), ("none", 0.0, True), ("entropy", 0.0, True), ("none", 10.0, True))
        for doubt, sharpness, kept in ways[: 2 if options.quick else None]:
            done = in_a_process(
                world.from_file_to_file, threads=1, scan=str(scan), out=folder, classes=_CLASSES, spacing_mm=4.5,
                uncertainty=doubt, sharpness=sharpness, kept=kept,
            )  # fmt: skip
            said = ("certain" if sharpness == 0 else "noise") + ("" if kept else "; freed memory given back")
            seconds = [done.answer[name] for name in ("read", "segment", "write")]
            rows.append([said, doubt, *seconds, done.peak_bytes / _MIB])
    return Table(
        columns=["the network's answer", "doubt", "read, s", "segment, s", "write, s", "peak RAM, MiB"], rows=rows,
        caption=f"{_CLASSES - 1} organs, {' x '.join(map(str, reversed(shape)))} voxels, thin network at 4.5 mm",
    )  # fmt: skip


def _stock(options: Options) -> Table | str:
    """Real scans by stock nnU-Net and by this engine; or why not."""
    shared = options.shared
    if shared is None or not (shared / "teachers" / "nnunet_v2_headneck").is_dir():
        return "The comparison with stock nnU-Net is missing: no --shared folder with its model and scans. "
    if not _STOCK_PYTHON.exists():
        return "The comparison with stock nnU-Net is missing: its environment is not there (make parity makes it). "
    teacher, images = shared / "teachers" / "nnunet_v2_headneck", shared / "data" / "headneck" / "devtest" / "images"
    rows: list[list[Cell]] = []
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "package"
        subprocess.run(
            [sys.executable, "-m", "organincrement", "model", "import", teacher, "--out", package], cwd=_ENGINE,
            check=True, capture_output=True,
        )  # fmt: skip
        for image in sorted(images.glob("*.nii.gz"))[: 1 if options.quick else 6]:
            rows.append(_compared(image, teacher, package, Path(folder)))
    ratios = [round(statistics.median(float(row[place] or 0) for row in rows), 2) for place in (3, 6)]
    apart = statistics.mean(float(row[8] or 0) - float(row[7] or 0) for row in rows)
    columns = [
        "scan", "stock, s", "this engine, s", "ratio", "least Dice of one against the other", "fastest precision, s",
        "ratio", "stock against the clinic's labels, mean Dice", "fastest precision against them",
    ]  # fmt: skip
    return Table(
        columns=columns, rows=rows,
        caption=(
            f"Stock nnU-Net v2 on the same weights, from file to file: {ratios[0]} and, in the fastest precision, "
            f"{ratios[1]} times as fast (medians); mean Dice {apart:+.5f} with the latter"
        ),
    )  # fmt: skip


def _compared(image: Path, teacher: Path, package: Path, folder: Path) -> list[Cell]:
    name, truth = image.name.removesuffix(".nii.gz"), image.parents[1] / "labels" / image.name
    own, fastest = (
        in_a_process(
            world.real_scan, threads=1, package=str(package), image=str(image), out=f"{folder}/{name}-{is_own}",
            own_precision=is_own,
        ).answer
        for is_own in (True, False)
    )  # fmt: skip
    done = subprocess.run(
        [_STOCK_PYTHON, Path(__file__).with_name("segmenting_stock.py"), teacher, image, folder / name],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    stock, theirs = folder / f"{name}.nii.gz", json.loads(done.stdout.splitlines()[-1])["cpu_s"]
    against = [statistics.mean(world.dice(truth, labels)[:_KNOWN]) for labels in (stock, Path(fastest["labels"]))]
    return [
        name, theirs, own["cpu_s"], theirs / own["cpu_s"],
        f"{min(world.dice(stock, Path(own['labels']))):.5f}", fastest["cpu_s"], theirs / fastest["cpu_s"],
        *(f"{value:.4f}" for value in against),
    ]  # fmt: skip
