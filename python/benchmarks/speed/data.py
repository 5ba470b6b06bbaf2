"""Does the trainer wait for data, how are many scans prepared, and how soon does a second job begin?"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch

from benchmarks.speed.data_world import (
    approved,
    augmented_by_monai,
    contents,
    files_opened,
    phantom_dataset,
    plan_for,
    prepare,
    real_dataset,
)
from benchmarks.speed.part import Cell, Options, Part, Table
from benchmarks.speed.timing import in_a_process, side_by_side
from organincrement.contract import codec
from organincrement.imaging.cache import CachedCase
from organincrement.imaging.patches import PatchSampler, seed_of
from organincrement.networks.build import build_network
from organincrement.networks.sizing import LADDER, Size, unet_spec
from organincrement.training.batches import BatchSource, stream
from organincrement.workflows.cases_cache import Prepared
from organincrement.workflows.shared_cases import FOLDER

_BATCH = 2
_BATCHES_A_ROUND = 8
_LOOK_EVERY_S = 0.01
_ENGINE = Path(__file__).resolve().parents[2]
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def measure(options: Options) -> Part:
    """Batches, preparing, and the start of a second job."""
    with TemporaryDirectory(prefix="organincrement-data-") as folder:
        root = Path(folder)
        many = phantom_dataset(root / "many", 24 if options.quick else 500)
        plan = plan_for(many, root / "many" / "plan.json")
        preparing, is_same = _preparing(plan, root / "many", approved(many))
        few = real_dataset(options.shared, root / "few") if options.shared else phantom_dataset(root / "few", 16)
        what = "scans of a clinic" if options.shared else "phantoms"
        starts = _starts(plan_for(few, root / "few" / "plan.json"), root / "few", f"{approved(few)} {what}")
        batches, is_equal = _batches(root / "few" / "jobs" / "cases" / "cache", 2 if options.quick else 5)
    return Part(
        title="Data",
        question=(
            "One worker, batches of two patches, as training makes them; CPU seconds. A step is forward and backward "
            "of the plainest method's network on the CPU: the shortest there is. `waits` is measured with a trainer "
            "that sleeps as long as a step computes, as on a core of its own."
        ),
        tables=(batches, preparing, starts),
        check=(
            f"batches are bit-equal to MONAI's: {is_equal}. A killed job's cases, and those of a second job, are "
            f"bit-equal to the first's: {is_same}."
        ),
        remark=(
            "Half of a batch's time is MONAI's resampling in float64, which is kept: float32 would be another "
            "image. On a GPU a step may be shorter than a batch takes to make: then `training.workers`. Not measured "
            "on a GPU here. A start's seconds are the wall's, from the command to the first step's event; most of "
            "them are Python's imports of torch. The input files are hashed each time: a changed one is refused."
        ),
    )


def _batches(cache: Path, rounds: int) -> tuple[Table, bool]:
    cases = [
        CachedCase(id=note.stem, folder=cache, shape=codec.read(Prepared, note).shape)
        for note in sorted(cache.glob("*.json"))
    ]
    rows, is_equal = [], True
    for size in LADDER[:2]:
        sampler = PatchSampler(cases=cases, patch=size.patch, batch=_BATCH, foreground=1, seed=0, fill=-1.0)
        source = BatchSource(sampler=sampler, mirror_left_right=False)
        steps = range(_BATCHES_A_ROUND)
        after = _Repeated(lambda step, source=source: source[step][:2], steps)
        before = _Repeated(lambda step, sampler=sampler: _by_monai(sampler, step), steps)
        took = side_by_side({"before": before, "after": after}, rounds=rounds, clock=time.process_time)
        seconds = {name: spread.median_s / _BATCHES_A_ROUND for name, spread in took.items()}
        pairs = zip(before.answers, after.answers, strict=True)
        is_equal = is_equal and all(torch.equal(*two) for pair in pairs for two in zip(*pair, strict=True))
        step_s = side_by_side({"step": _step_of(size)}, rounds=rounds, clock=time.process_time)["step"].median_s
        rows.append(
            (
                f"{size.patch[0]}³, {len(size.features)} levels", seconds["before"], seconds["after"],
                f"{seconds['before'] / seconds['after']:.2f}×", step_s, f"{100 * _waits(source, step_s):.1f} %",
            )
        )  # fmt: skip
    columns = ("patch, network", "batch by MONAI, s", "batch, s", "ratio", "step on a CPU, s", "waits")
    return Table(columns=columns, rows=rows, caption="Batches"), is_equal


class _Repeated:
    """Something for each of several numbers; its answers are kept."""

    def __init__(self, make: Callable[[int], tuple[torch.Tensor, torch.Tensor]], numbers: range) -> None:
        self.make, self.numbers = make, numbers
        self.answers: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __call__(self) -> None:
        self.answers = [self.make(number) for number in self.numbers]


def _by_monai(sampler: PatchSampler, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    return augmented_by_monai(sampler.draw(step), seed_of(sampler.seed, step, 1))


def _step_of(size: Size) -> Callable[[], None]:
    spec = unet_spec(size, 1, 2)
    network = build_network(spec.kind, spec.args)
    image_BCDHW, labels_BDHW = torch.randn(_BATCH, 1, *size.patch), torch.zeros(_BATCH, *size.patch, dtype=torch.long)

    def step() -> None:
        network.zero_grad()
        torch.nn.functional.cross_entropy(network(image_BCDHW), labels_BDHW).backward()

    return step


def _waits(source: BatchSource, step_s: float, steps: int = 12) -> float:
    """The share of a step's time that is waited for the next batch, once the worker has begun."""
    draws, waited_s, started = stream(source, range(steps), workers=1, pin=False), 0.0, 0.0
    for number in range(steps):
        asked = time.perf_counter()
        next(draws)
        if number == 0:
            started = time.perf_counter()  # the worker's own start is counted with the job's
        else:
            waited_s += time.perf_counter() - asked
        time.sleep(step_s)
    draws.close()  # type: ignore[attr-defined]
    return waited_s / (time.perf_counter() - started)


def _preparing(plan: Path, folder: Path, cases: int) -> tuple[Table, bool]:
    first, second, killed = folder / "jobs" / "first", folder / "jobs" / "second", folder / "alone" / "killed"
    (folder / "jobs").mkdir()
    (folder / "alone").mkdir()
    whole = in_a_process(prepare, threads=1, plan=str(plan), job=str(first))
    again = in_a_process(prepare, threads=1, plan=str(plan), job=str(second))
    _kill_in_the_middle(plan, killed, cases)
    left = cases - len(list((killed / "cache").glob("*.json")))
    before = files_opened(killed)
    shutil.rmtree(folder / "alone" / FOLDER)  # so that what was read shows that it went on by its own cache
    rest = in_a_process(prepare, threads=1, plan=str(plan), job=str(killed))
    is_same = contents(first / "cache") == contents(second / "cache") == contents(killed / "cache")
    rows: list[tuple[Cell, ...]] = [
        (name, count, one.cpu_s, one.cpu_s / max(1, count), one.peak_bytes / 2**20, opened)
        for name, count, one, opened in (
            ("first job", cases, whole, files_opened(first)),
            ("second job on the same data", cases, again, files_opened(second)),
            ("killed in the middle, gone on", left, rest, files_opened(killed) - before),
        )
    ]
    columns = ("what", "cases to prepare", "CPU s", "CPU s a case", "peak RAM, MiB", "data files read")
    return Table(columns=columns, rows=rows, caption=f"Preparing {cases} cases"), is_same


def _kill_in_the_middle(plan: Path, job: Path, cases: int) -> None:
    code = "import sys; from benchmarks.speed.data_world import prepare; prepare(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(plan), str(job)]
    process = subprocess.Popen(command, cwd=_ENGINE, env=_environment(), **_SILENT)
    while process.poll() is None and len(list((job / "cache").glob("*.json"))) < cases // 2:
        time.sleep(_LOOK_EVERY_S)
    process.kill()
    process.wait()


def _starts(plan: Path, folder: Path, what: str) -> Table:
    (folder / "jobs").mkdir()
    prepare(
        str(plan), str(folder / "jobs" / "cases")
    )  # the batches' cases; and the operating system has read the files
    shutil.rmtree(folder / "jobs" / FOLDER)
    rows = [(name, what, *_start(plan, folder / "jobs" / name)) for name in ("first job", "second job")]
    columns = ("what", "cases", "wall s to the first step", "CPU s to the first step")
    return Table(columns=columns, rows=rows, caption="Start of a job")


def _start(plan: Path, job: Path) -> tuple[float, float]:
    """Seconds from the command to the first step's event, of the wall and of all its processes' CPU."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "organincrement", "train", str(plan), "--job", str(job)]
    process = subprocess.Popen(command, cwd=_ENGINE, env=_environment(), **_SILENT)
    cpu_s = 0.0
    try:
        while process.poll() is None and not _has_stepped(job / "events.jsonl"):
            cpu_s = max(cpu_s, _cpu_of(process.pid))
            time.sleep(_LOOK_EVERY_S)
        return time.perf_counter() - started, cpu_s
    finally:
        process.kill()
        process.wait()


def _has_stepped(events: Path) -> bool:
    if not events.is_file():
        return False
    return any(json.loads(line)["type"] == "step" for line in events.read_text("utf-8").splitlines()[:20] if line)


def _cpu_of(pid: int) -> float:
    total_s = 0.0
    try:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            times = process.cpu_times()
            total_s += times.user + times.system
    except psutil.NoSuchProcess:
        return 0.0
    return total_s


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ENGINE), "PYTHONUTF8": "1"}
