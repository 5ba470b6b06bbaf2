"""How soon is anything there: the contract, the command's help, the modules, a long table, a long log?"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.speed.part import Cell, Options, Part, Table
from benchmarks.speed.timing import side_by_side
from organincrement.contract import codec
from organincrement.contract.job import JobFolder, JobStatus
from organincrement.contract.plan import Estimate, Plan, Training, Validation

_ROOT = Path(__file__).resolve().parents[3]
_CONTRACT = (
    "import organincrement.contract.plan, organincrement.contract.job, organincrement.contract.events, "
    "organincrement.contract.dataset, organincrement.contract.results, organincrement.contract.model"
)
_LOG_BYTES = 50_000_000


def measure(options: Options) -> Part:
    """Commands in processes of their own, the modules in the viewer's harness, the log here."""
    log, is_equal = _log(5_000_000 if options.quick else _LOG_BYTES)
    panels, left_out = _panels()
    return Part(
        title="Start-up and panels",
        question="CPU seconds, so that other programs do not count; of a command all that its process takes.",
        tables=(_commands(3 if options.quick else 9), log, *panels),
        check=f"the state read from a log is the same both ways: {is_equal}.",
        remark=left_out or (
            "The panels run in the tests' harness: Qt and VTK are real, the application around them is not. A dataset "
            "of 10,000 cases on disk is opened by reading 10,000 case files and reports: about 3 s, then the table is "
            "filled as measured here."
        ),
    )  # fmt: skip


def _commands(rounds: int) -> Table:
    ways = {
        "python alone": ["-c", "pass"],
        "`import organincrement.contract`": ["-c", "import organincrement.contract"],
        "all that the modules import of it": ["-c", _CONTRACT],
        "`organincrement --help`": ["-m", "organincrement", "--help"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, arguments in ways.items():
            seconds[name].append(_cpu_of([sys.executable, *arguments]))
    middle = {name: median(taken) for name, taken in seconds.items()}
    alone = middle["python alone"]
    rows: list[tuple[Cell, ...]] = [
        (name, taken, max(0.0, taken - alone), limit)
        for (name, taken), limit in zip(middle.items(), (None, 0.05, None, 0.3), strict=True)
    ]
    return Table(columns=("what", "CPU s", "above python alone", "limit"), rows=rows, caption="Commands")


def _cpu_of(command: Sequence[str]) -> float:
    """What a process takes of the processor, its start included."""
    before = os.times()
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "python")}
    subprocess.run(command, cwd=_ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _log(size_bytes: int) -> tuple[Table, bool]:
    """The state of a job from a log of steps: every step's figures, or the last one's alone."""
    with TemporaryDirectory(prefix="organincrement-log-") as folder:
        job = _job_with_log(Path(folder), size_bytes)
        answers: dict[str, JobStatus] = {}

        def asked(name: str, look: Callable[[JobFolder], JobStatus]) -> Callable[[], None]:
            return lambda: answers.update({name: look(JobFolder.open(job.path))})

        ways = {
            "every step": asked("every step", lambda one: one.news()[0]),
            "the last step": asked("the last step", lambda one: one.status()),
        }
        took = side_by_side(ways, rounds=3, warm=0, clock=time.process_time)
    before, after = took["every step"].median_s, took["the last step"].median_s
    columns = ("log", "every step's figures, s", "the last one's, s", "ratio", "limit, s")
    rows = [(f"{size_bytes / 1e6:.0f} MB", before, after, f"{before / after:.0f}×", 1.0)]
    table = Table(columns=columns, rows=rows, caption="`job status` of a long job")
    return table, answers["every step"] == answers["the last step"]


def _job_with_log(folder: Path, size_bytes: int) -> JobFolder:
    plan = Plan(
        method="fine-tune", preset="practical", inputs=(), merges={}, settings={},
        training=Training(steps=200_000, batch=2, patch=(64, 64, 64), optimizer={}, schedule={}),
        validation=Validation(cases=(), every_steps=50), estimate=Estimate(),
    )  # fmt: skip
    job = JobFolder.create(folder / "job", codec.dumps(plan).encode())
    losses = {f"a_loss_with_a_rather_long_name_{i}": 0.123456789012345 for i in range(5)}
    figures = {
        "epoch": 1.5, "losses": losses, "total": 1.25, "lr": 0.001, "seconds_per_step": 0.1, "eta_s": 60.0,
        "data_wait": 0.0, "ram_bytes": 1000000, "gpu_bytes": None,
    }  # fmt: skip
    rest, written, number = json.dumps(figures)[1:], 0, 0
    with job.events_path.open("w", encoding="utf-8") as file:
        while written < size_bytes:
            head = f'{{"seq": {number}, "t": "2026-11-21T08:30:00.125Z", "type": "step", "phase": "increment", '
            number += 1
            written += file.write(f'{head}"step": {number}, {rest}\n')
    return job


def _panels() -> tuple[list[Table], str]:
    """The modules' costs, where the viewer's environment is there. Returns: tables, and else why there are none."""
    script = _ROOT / "Testing" / "tests" / "panel_costs.py"
    if importlib.util.find_spec("PySide6") is None or not script.is_file():
        return [], "The panels were left out: the viewer's environment is not there (`make test-viewer` makes it)."
    with TemporaryDirectory(prefix="organincrement-panels-") as folder:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT / "python"), "PYTHONUTF8": "1"}
        done = subprocess.run(
            [sys.executable, str(script), folder], cwd=_ROOT / "Testing", env=environment, capture_output=True,
            encoding="utf-8", check=False,
        )  # fmt: skip
    if done.returncode:
        return [], f"The panels were left out: {done.stderr.strip().splitlines()[-1]}"
    costs = json.loads(done.stdout.splitlines()[-1])
    opened, table, log = costs["opened"], costs["table"], costs["log"]
    modules = [(name, taken, opened["again"][name], 1.0) for name, taken in opened["first"].items()]
    long = [(f"10,000 cases: {name}", taken) for name, taken in table.items()]
    long += [(f"log of 50 MB: {name}", taken) for name, taken in log.items() if name != "bytes"]
    return [
        Table(columns=("module", "opened, s", "opened again, s", "limit, s"), rows=modules, caption="Modules"),
        Table(columns=("what", "CPU s"), rows=long, caption="Much to show"),
    ], ""
