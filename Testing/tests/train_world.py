"""For the tests of sections 1 to 3: the engine's list of methods without asking twice, and jobs that run for long."""

import gc
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from fixtures.engine_world import ENGINE
from harness.views.off_screen_view import drawing_s
from organincrement.contract import codec
from organincrement.contract.job import JobFolder
from organincrement.contract.plan import Plan, moved_plan
from organincrement.contract.process import is_alive
from OrganIncrementLib.Controllers.MethodList import keepMethods

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ENGINE)}
_methodsText = []


def engine(*arguments):
    """Run a command of the real engine. Returns: what it printed."""
    command = [sys.executable, "-m", "organincrement", *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=200, check=True)
    return done.stdout


def withMethods(folder):
    """Keep the engine's real list of methods in a workspace, as after the first time that the module was open."""
    if not _methodsText:
        _methodsText.append(engine("methods", "--json"))
        json.loads(_methodsText[0])
    keepMethods(Path(folder), _methodsText[0])


def chooseBoth(ui):
    """Choose the first teacher and the first dataset."""
    ui.teacherComboBox.currentIndex = 1
    ui.datasetComboBox.currentIndex = 1


def timedTicks(widget):
    """How long each tick keeps the panel busy: a list that grows; of its own thread, so that others do not count.

    Nor does drawing, which is the stand-in's software renderer.
    """
    taken, tick = [0.0], widget.controller.tick
    gc.collect()
    gc.freeze()  # what earlier tests have left is not the panel's to look through

    def timed():
        started, drawn_s = time.thread_time(), drawing_s[1]
        tick()
        taken.append(time.thread_time() - started - (drawing_s[1] - drawn_s))

    widget.controller.tick = timed
    return taken


def longJob(folder, world, name="long", steps=500_000):
    """A job in a workspace's jobs folder that would run for a day; not started yet."""
    path = Path(folder) / "jobs" / name
    plan = codec.read(Plan, world.studentJob / "plan.json")
    plan = replace(plan, training=replace(plan.training, steps=steps))
    plan = moved_plan(plan, world.studentJob / "plan.json", path / "plan.json")
    return JobFolder.create(path, codec.dumps(plan).encode())


def run(job):
    """Start or resume a job's trainer as a process that is nobody's child, and wait for its first step."""
    engine("job", "resume", job.path)
    waitFor(lambda: job.status().state == "running" and job.status().step > 0, 120)
    return job.process().pid


def waitFor(condition, seconds):
    """Wait without an event loop."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the engine took too long"
        time.sleep(0.05)


def stop(job):
    """End a job's trainer, however it fares."""
    record = job.process()
    if record is not None and is_alive(record):
        engine("job", "cancel", job.path)
