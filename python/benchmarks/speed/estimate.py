"""Does a plan's estimate tell what the job then takes? Every method, three sizes: planned, measured, their ratio."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.speed.estimate_world import WORLDS, World, make_world, request, world_named
from benchmarks.speed.part import Options, Part, Table
from benchmarks.speed.timing import in_a_process
from organincrement.methods.registry import METHODS
from organincrement.workflows.make_plan import make_plan

_QUICK = ("bla-uag", "continual-segment")
_LOOK_EVERY_S, _WORKERS_EVERY_S = 0.05, 0.5  # seldom enough to leave the job its processor
_ENGINE = Path(__file__).resolve().parents[2]
_WITHIN = 0.25


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """What a plan promised, or a job took."""

    seconds: float
    ram_bytes: int
    disk_bytes: int


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One method in one size."""

    size: str
    method: str
    planned: _Taken
    measured: _Taken
    planning_s: float

    def ratio(self, what: str) -> float:
        """Planned to measured."""
        return float(getattr(self.planned, what) / getattr(self.measured, what))

    @property
    def furthest(self) -> float:
        """How far the worst of the three is from 1."""
        return max(abs(self.ratio(what) - 1) for what in _WHAT)


_WHAT = ("seconds", "ram_bytes", "disk_bytes")


def measure(options: Options) -> Part:
    """Plan and run every method in every size; quickly two methods in the smallest."""
    worlds, methods = (WORLDS[:1], _QUICK) if options.quick else (WORLDS, tuple(METHODS))
    busy = _is_busy()
    rows = []
    for world in worlds:
        with TemporaryDirectory(prefix="estimate-") as place:
            in_a_process(make_world, threads=1, name=world.name, folder=place)
            for method in methods:
                rows.append(_row(world, method, Path(place), busy))
                print(_said(rows[-1]), flush=True)
    rows.sort(key=lambda row: -row.furthest)
    return Part(
        title="What a plan says it will take, and what it takes",
        question=(
            "Each method of the registry, in three sizes, is planned and then trained to the end with "
            "`organincrement train` in a process of its own, on one thread. Time is that of the whole process, from "
            "its start to its end; memory the most that it and its data workers had resident together; disk the most "
            "that the job's folder held."
        ),
        tables=[_summary(rows), _table(rows)],
        check=_check(rows),
        remark=_remark(rows, busy),
    )


def planned(world: str, method: str, place: str, out: str, busy: bool) -> dict[str, float | int | None]:
    """The estimate of one plan, which is written."""
    size = world_named(world)
    # the processor's clock knows nothing of what data workers do at the same time
    clock, workers = (time.process_time, 0) if busy else (time.perf_counter, size.workers)
    said = make_plan(request(size, method, Path(place), Path(out), workers, clock=clock)).estimate
    return {what: getattr(said, what) for what in _WHAT}


def _row(world: World, method: str, place: Path, busy: bool) -> _Row:
    # in a folder of its own: a job takes cases over that another one beside it has prepared
    plan, job = place / f"{method}.json", place / "jobs" / method / "job"
    job.parent.mkdir(parents=True)
    made = in_a_process(planned, threads=1, world=world.name, method=method, place=str(place), out=str(plan), busy=busy)
    row = _Row(
        size=world.name, method=method, planned=_Taken(**made.answer), measured=_run(plan, job, busy),
        planning_s=made.cpu_s if busy else made.wall_s,
    )  # fmt: skip
    shutil.rmtree(job.parent)
    return row


def _run(plan: Path, job: Path, busy: bool) -> _Taken:
    """A job from the start of its process to the end of it."""
    environment = {**os.environ, "PYTHONPATH": str(_ENGINE), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "organincrement", "train", str(plan), "--job", str(job)]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=_ENGINE, env=environment, stdout=subprocess.DEVNULL)
    memory, disk = _Memory(process.pid), 0
    while True:
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        memory.look()
        disk = max(disk, _folder_bytes(job))
        time.sleep(_LOOK_EVERY_S)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{plan.name}: the job ended with code {process.returncode}")
    return _Taken(seconds=used.ru_utime + used.ru_stime if busy else seconds, ram_bytes=memory.most, disk_bytes=disk)


class _Memory:
    """The high-water marks of a process and of the data workers it had at once."""

    def __init__(self, pid: int) -> None:
        self._pid, self._own, self._workers, self._asked = pid, 0, 0, 0.0

    def look(self) -> None:
        """Read the marks as they are now."""
        self._own = max(self._own, _mark_bytes(self._pid))
        if time.perf_counter() - self._asked > _WORKERS_EVERY_S:  # to find children is slow
            self._asked = time.perf_counter()
            with suppress(psutil.Error):
                workers = psutil.Process(self._pid).children()
                self._workers = max(self._workers, sum(_mark_bytes(worker.pid) for worker in workers))

    @property
    def most(self) -> int:
        """Bytes of all together."""
        return self._own + self._workers


def _mark_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0  # it has ended
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def _folder_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except OSError:
                continue  # renamed or deleted since
    return total


def _is_busy() -> bool:
    """Whether others compute on this machine, so that the wall's clock would tell of them."""
    return os.getloadavg()[0] > 0.7 * len(os.sched_getaffinity(0))


def _table(rows: Sequence[_Row]) -> Table:
    columns = ["size", "method"]
    for what in ("s", "RAM MiB", "disk MiB"):
        columns += [f"{what} planned", "measured", "ratio"]
    lines = []
    for row in rows:
        line: list[str | int | float | None] = [row.size, f"`{row.method}`"]
        for what, unit in zip(_WHAT, (1, 2**20, 2**20), strict=True):
            line += [getattr(row.planned, what) / unit, getattr(row.measured, what) / unit, row.ratio(what)]
        lines.append(line)
    return Table(columns=columns, rows=lines, caption="The furthest from the truth first")


def _summary(rows: Sequence[_Row]) -> Table:
    lines = []
    for size in dict.fromkeys(row.size for row in rows):
        for what in _WHAT:
            ratios = [row.ratio(what) for row in rows if row.size == size]
            within = sum(abs(ratio - 1) <= _WITHIN for ratio in ratios)
            lines.append(
                [size, what.partition("_")[0], min(ratios), statistics.median(ratios), max(ratios),
                 f"{within} of {len(ratios)}"]
            )  # fmt: skip
    return Table(columns=["size", "what", "lowest", "median", "highest", "within 25 %"], rows=lines,
                 caption="Planned to measured")  # fmt: skip


def _check(rows: Sequence[_Row]) -> str:
    far = [row for row in rows if row.furthest > _WITHIN]
    named = ", ".join(f"`{row.method}` ({row.size})" for row in far)
    return f"{len(rows) - len(far)} of {len(rows)} jobs within 25 % in all three" + (f"; not {named}." if far else ".")


def _remark(rows: Sequence[_Row], busy: bool) -> str:
    clock = "the processor's, since others computed at the same time" if busy else "the wall's"
    planning = statistics.median(row.planning_s for row in rows)
    return (
        f"Seconds are {clock}. Making a plan took {planning:.1f} s in the median, imports left out. Memory on a GPU "
        "was not measured: none was at hand; the plan says what torch reserved while the same steps ran."
    )


def _said(row: _Row) -> str:
    ratios = ", ".join(f"{what.partition('_')[0]} {row.ratio(what):.2f}" for what in _WHAT)
    return f"{row.size} {row.method}: {row.measured.seconds:.1f} s, {ratios}; planned in {row.planning_s:.1f} s"
