"""A training outlives the scene, the module and Slicer; its death is noticed; cancelling it leaves nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import slicer
from train_world import ENVIRONMENT, longJob, run, stop, withMethods

from harness import records
from organincrement.contract.job import JobFolder
from organincrement.contract.process import is_alive

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, engineWorld):
    """A workspace with one job, which is ended after the last test."""
    folder = engineWorld.copiedTo(tmp_path_factory.mktemp("jobs") / "OrganIncrement")
    withMethods(folder)
    yield folder
    stop(JobFolder(folder / "jobs" / "long"))


@pytest.fixture
def job(workspace, engineWorld, setting):
    """The job, running, in the workspace of the settings."""
    setting("OrganIncrement/folder", str(workspace))
    for key in ("engine/python", "OrganIncrement/engine/python"):
        setting(key, sys.executable)
    job = JobFolder(workspace / "jobs" / "long")
    if job.status().state in ("created", "cancelled"):
        shutil.rmtree(job.path, ignore_errors=True)
        job = longJob(workspace, engineWorld)
    record = job.process()
    if record is None or not is_alive(record):
        run(job)
    return job


def isShown(ui, word):
    return lambda: word in ui.jobTitleLabel.text


def otherApplication(folder, *arguments):
    """What a second Slicer shows of the same workspace."""
    command = [sys.executable, str(HERE / "second_application.py"), str(folder), *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_running_job_is_found_and_goes_on_when_the_scene_is_closed(job, openModule, settle):
    ui = openModule("OrganIncrement").ui
    settle(until=isShown(ui, "running"))
    pid, step = job.process().pid, ui.jobProgressBar.value
    slicer.mrmlScene.Clear(0)
    settle(until=lambda: ui.jobProgressBar.value > step, seconds=30)
    assert "running" in ui.jobTitleLabel.text
    assert job.process().pid == pid
    assert ui.pauseButton.enabled


def test_reloaded_module_has_one_watcher(job, openModule, settle):
    before = openModule("OrganIncrement")
    settle(until=isShown(before.ui, "running"))
    slicer.util.reloadScriptedModule("OrganIncrement")
    after = slicer.util.getModuleWidget("OrganIncrement")
    assert after is not before
    assert before.controller is None
    settle(until=isShown(after.ui, "running"))
    settle(until=lambda: after.ui.pauseButton.enabled, seconds=10)  # the lock of the panel before is free


def test_second_application_can_only_watch_and_a_restarted_one_has_the_buttons(job, workspace, openModule, settle):
    ui = openModule("OrganIncrement").ui
    settle(until=isShown(ui, "running"))
    second = otherApplication(workspace)
    assert "Another application" in second["message"]
    assert not second["pause"]
    assert "Another application" in second["hint"]
    slicer.util.getModuleWidget("OrganIncrement").cleanup()  # this application ends
    restarted = otherApplication(workspace)
    assert "running" in restarted["title"]
    assert restarted["pause"]
    assert not restarted["torch"]


def test_plots_are_shown_on_request_and_the_views_come_back(job, openModule, settle):
    ui = openModule("OrganIncrement").ui
    settle(until=lambda: ui.plotsButton.enabled, seconds=20)
    layout = slicer.app.layoutManager().layout
    ui.plotsButton.click()
    settle(seconds=0.5)
    assert slicer.app.layoutManager().layout != layout
    assert slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")
    ui.plotsButton.click()
    assert slicer.app.layoutManager().layout == layout
    assert not slicer.util.getNodesByClass("vtkMRMLPlotSeriesNode")


def test_killed_trainer_is_noticed_within_two_seconds_and_its_job_goes_on(job, openModule, settle):
    ui = openModule("OrganIncrement").ui
    settle(until=isShown(ui, "running"))
    os.kill(job.process().pid, signal.SIGKILL)
    killed = time.monotonic()
    settle(until=isShown(ui, "interrupted"), seconds=10)
    assert time.monotonic() - killed < 2
    assert "Resume" in ui.jobMessageLabel.text
    assert not ui.pauseButton.enabled
    ui.resumeButton.click()
    settle(until=isShown(ui, "running"), seconds=100)
    settle(until=lambda: ui.pauseButton.enabled, seconds=20)


def test_cancel_asks_and_then_leaves_no_process(job, openModule, settle):
    ui = openModule("OrganIncrement").ui
    settle(until=isShown(ui, "running"))
    trainer = psutil.Process(job.process().pid)
    tree = [trainer, *trainer.children(recursive=True)]
    records.answer("confirmYesNo", False)
    ui.cancelJobButton.click()
    settle(seconds=0.5)
    assert trainer.is_running()
    ui.cancelJobButton.click()
    assert "Give up" in records.texts("confirmYesNo")[-1]
    settle(until=isShown(ui, "cancelled"), seconds=20)
    settle(until=lambda: not any(process.is_running() for process in tree), seconds=6)
    assert not ui.cancelJobButton.enabled


def test_copies_of_scans_that_cannot_be_deleted_are_told(job, openModule, settle, tmp_path):
    ui = openModule("OrganIncrement").ui
    settle(until=isShown(ui, "running"))
    cache = job.path / "cache"
    cache.rename(tmp_path / "scans")
    cache.symlink_to(tmp_path / "scans")
    ui.cancelJobButton.click()
    settle(until=lambda: "copies of its scans" in "".join(records.texts("error")), seconds=30)
    assert str(cache) in records.texts("error")[-1]
    settle(until=isShown(ui, "cancelled"), seconds=20)
    cache.unlink()
