"""What the panel costs: opening it, a long log of events, and clicks that no test may forget."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import slicer
from train_world import ENVIRONMENT, longJob, timedTicks, withMethods

from fixtures.modules import EXTENSION

HERE = Path(__file__).resolve().parent
FORM = EXTENSION / "OrganIncrement" / "Resources" / "UI" / "OrganIncrement.ui"
LINES = 100_000


@pytest.mark.slow
def test_module_opens_within_a_second_and_without_torch(filledWorkFolder, tmp_path):
    withMethods(filledWorkFolder)
    environment = {**ENVIRONMENT, "PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, str(HERE / "second_application.py"), str(filledWorkFolder), "--only-open"]
    for _attempt in ("writes the bytecode", "finds it, as in an installed Slicer"):
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=120)
        assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    assert not shown["torch"]
    assert shown["opened_s"] < 1.0


def writeEvents(job):
    """A started job with LINES steps, each line about 500 bytes long, whose process is gone."""
    from organincrement.contract.files import utc_now

    started = {
        "seq": 0, "t": utc_now(), "type": "started", "pid": 1, "host": "elsewhere", "device": "cpu",
        "precision": "fp32", "batch": 2, "versions": {}, "total_steps": LINES, "phases": ["increment"],
        "resumed_from": None,
    }  # fmt: skip
    losses = {f"a_loss_with_a_rather_long_name_{i}": 0.123456789012345 for i in range(5)}
    step = {
        "seq": -1, "t": utc_now(), "type": "step", "phase": "increment", "step": -2, "epoch": 1.5, "losses": losses,
        "total": 1.25, "lr": 0.001, "seconds_per_step": 0.1, "eta_s": 60.0, "data_wait": 0.0, "ram_bytes": 1000000,
        "gpu_bytes": None,
    }  # fmt: skip
    line = json.dumps(step)
    with job.events_path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(started) + "\n")
        for i in range(1, LINES):
            file.write(line.replace('"seq": -1', f'"seq": {i}').replace('"step": -2', f'"step": {i}') + "\n")


def test_long_log_of_events_never_holds_the_panel_up(filledWorkFolder, engineWorld, openModule, settle):
    withMethods(filledWorkFolder)
    job = longJob(filledWorkFolder, engineWorld, steps=LINES)
    writeEvents(job)
    widget = openModule("OrganIncrement")
    ui, ticks = widget.ui, timedTicks(widget)
    assert "interrupted" in ui.jobTitleLabel.text  # at once, before the log is read
    settle(until=lambda: "loss" in ui.jobPhaseLabel.text, seconds=150)
    ui.plotsButton.click()
    settle(seconds=2)
    assert ui.jobProgressBar.value == LINES - 1
    assert max(ticks) < 0.05, f"the panel was busy for {max(ticks):.3f} s at a time"
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")) == 6


def test_idle_panel_costs_next_to_nothing(filledWorkFolder, openModule, settle):
    withMethods(filledWorkFolder)
    widget = openModule("OrganIncrement")
    settle(until=lambda: widget.controller.engine.facts is not None, seconds=60)
    ticks = timedTicks(widget)
    settle(seconds=3)
    assert len(ticks) > 5
    assert sorted(ticks)[len(ticks) // 2] < 0.01


def test_every_button_of_the_form_is_clicked_in_some_test():
    buttons = set(re.findall(r'class="QPushButton" name="(\w+)"', FORM.read_text(encoding="utf-8")))
    sources = "\n".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_train_*.py"))
    clicked = set(re.findall(r"ui\.(\w+)\.click\(\)", sources))
    in_loops = set(re.findall(r"ui\.(\w+Button)\b", sources))
    assert buttons - clicked - in_loops == set()
    assert {
        "startButton",
        "pauseButton",
        "resumeButton",
        "cancelJobButton",
        "auditButton",
        "importStartButton",
    } <= clicked
