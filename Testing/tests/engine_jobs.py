"""Job folders as trainers leave them, and commands run to their end: what the tests of the engine's side share."""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from organincrement.contract.events import EventWriter
from organincrement.contract.job import JobFolder
from OrganIncrementLib.Engine.EngineFolder import engineFolder

STEP = {
    "phase": "train", "step": 0, "epoch": 0.5, "losses": {"distillation": 0.25, "new_organ": 0.5}, "total": 0.75,
    "lr": 3e-5, "seconds_per_step": 0.5, "eta_s": 40.0, "data_wait": 0.0, "ram_bytes": 10**9, "gpu_bytes": None,
}  # fmt: skip
PLAN = {
    "schema": "organincrement/plan/1", "method": "bla-uag", "preset": "practical", "inputs": [], "merges": {},
    "include": ["approved"], "settings": {},
    "training": {
        "steps": 200_000, "batch": 2, "patch": [16, 16, 16], "accumulation": 1, "precision": "auto", "optimizer": {},
        "schedule": {}, "ema": None, "workers": 0,
    },
    "validation": {"cases": [], "every_steps": 10, "recommended_above": 0.9}, "seed": 0, "device": "cpu",
    "estimate": {"seconds": None, "gpu_bytes": None, "ram_bytes": None, "disk_bytes": None, "measured_on": None},
}  # fmt: skip
TRAINER = (
    f"import sys, time; sys.path.insert(0, {str(engineFolder())!r})\n"
    "from pathlib import Path\n"
    "from organincrement.contract.job import JobFolder, claim_writer\n"
    "with claim_writer(JobFolder.open(Path(sys.argv[1]))):\n"
    "    print('ready', flush=True)\n"
    "    time.sleep(600)\n"
)


def newJob(folder):
    """A job that nobody has started."""
    return JobFolder.create(folder, json.dumps(PLAN).encode())


def writeStart(job, resumedFrom=None):
    """The event with which a process takes a job up."""
    EventWriter(job.events_path).write(
        "started", pid=1, host="desk", device="cpu", precision="fp32", batch=2, versions={}, total_steps=200_000,
        phases=["train"], resumed_from=resumedFrom,
    )  # fmt: skip


def writeStep(job, step, **figures):
    """One step event, as a trainer writes it."""
    EventWriter(job.events_path).write("step", **{**STEP, "step": step, **figures})


def appendSteps(job, steps, firstSeq, padding=0):
    """Many step events at once, without the trainer's fsync. padding: bytes by which each line is made longer."""
    losses = {**STEP["losses"], **({"x" * padding: 1.0} if padding else {})}
    rest = json.dumps({**STEP, "losses": losses})[1:].replace('"step": 0,', '"step": %d,')
    head = '{"seq": %d, "t": "2026-11-21T08:30:00.125Z", "type": "step", '
    line = head + rest + "\n"
    with job.events_path.open("a", encoding="utf-8") as file:
        file.writelines(line % (firstSeq + i, step) for i, step in enumerate(steps))


@contextmanager
def trainerOf(job):
    """A process that holds the job and does nothing."""
    with subprocess.Popen([sys.executable, "-c", TRAINER, str(job.path)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def untilEnded(command, within_s=60.0):
    """Poll a command to its end. Returns: it, and the longest that a poll took."""
    deadline_s, longest_s = time.monotonic() + within_s, 0.0
    while command.running:
        before_s = time.thread_time()
        command.poll()
        longest_s = max(longest_s, time.thread_time() - before_s)
        assert time.monotonic() < deadline_s, f"still running: {command.command}"
        time.sleep(0.005)
    return command, longest_s


def until(condition, within_s=30.0, message="it never came true"):
    """Ask again and again, until it is so."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, message
        time.sleep(0.01)


def python(code, *arguments):
    """A command for BackgroundCommand that runs a line of Python."""
    return [sys.executable, "-c", code, *map(str, arguments)]


def isGone(pid):
    """Whether a process has ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
