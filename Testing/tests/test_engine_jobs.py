"""Trainings by the real engine: started, paused, resumed, cancelled from beside; they outlive who started them."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine_jobs import isGone, newJob, trainerOf, until, untilEnded, writeStart

from organincrement.contract.job import JobFolder
from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment
from OrganIncrementLib.Engine.JobRunner import JobError, JobRunner
from OrganIncrementLib.Engine.JobWatcher import JobWatcher
from OrganIncrementLib.Settings import DictStore, Settings

LIBRARY = Path(__file__).resolve().parents[2] / "OrganIncrement"
STARTER = (
    f"import sys, time; sys.path.insert(0, {str(LIBRARY)!r})\n"
    "from pathlib import Path\n"
    "from OrganIncrementLib.Engine.EngineEnvironment import EngineEnvironment\n"
    "from OrganIncrementLib.Engine.JobRunner import JobRunner\n"
    "from OrganIncrementLib.Settings import DictStore, Settings\n"
    "engine = EngineEnvironment(Settings(DictStore()), sys.executable, dict)\n"
    "command = JobRunner(engine).start(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    "while command.running: command.poll(); time.sleep(0.01)\n"
    "print(command.state, flush=True)\n"
    "sys.stdin.readline()\n"
)


@pytest.fixture
def engine():
    return EngineEnvironment(Settings(DictStore()), sys.executable, dict)


@pytest.fixture
def runner(engine):
    return JobRunner(engine)


@pytest.fixture(scope="module")
def longPlan(engineWorld, tmp_path_factory):
    """The plan of a job that would take hours."""
    engine = EngineEnvironment(Settings(DictStore()), sys.executable, dict)
    plan = tmp_path_factory.mktemp("plan") / "plan.json"
    wanted = ["training.steps=100000", "training.precision=fp32", "training.workers=0", "training.patch=[16,16,16]"]
    command = engine.run(
        "plan", "--teacher", engineWorld.teacher, "--dataset", engineWorld.dataset, "--method", "fine-tune",
        "--device", "cpu", "--out", plan, "--set", *wanted,
    )  # fmt: skip
    untilEnded(command.start(), 200)
    assert command.state == "finished", command.message
    return plan


def pidOf(folder):
    """The trainer's process."""
    return json.loads((folder / "process.json").read_text(encoding="utf-8"))["pid"]


@pytest.mark.slow
def test_a_job_is_started_paused_resumed_and_cancelled_from_beside(runner, longPlan, tmp_path):
    folder = tmp_path / "jobs" / "long"
    started, _ = untilEnded(runner.start(longPlan, folder), 200)
    assert started.state == "finished", started.message
    watcher = JobWatcher(folder)
    until(lambda: watcher.poll().status.step > 0, 200, "it does not train")
    view = watcher.poll()
    assert view.status.state == "running" and view.alive and "loss" in view.series
    runner.pause(folder)
    assert watcher.poll().status.state in ("pausing", "paused")
    until(lambda: watcher.poll().status.state == "paused" and not watcher.poll().alive, 100)
    step = watcher.poll().status.step
    resumed, _ = untilEnded(runner.resume(folder), 100)
    assert resumed.state == "finished", resumed.message
    until(lambda: watcher.poll().status.state == "running" and watcher.poll().status.step > step, 200)
    pid = pidOf(folder)
    asked_s = time.monotonic()
    cancel = runner.cancel(folder)
    assert (folder / "cancel").exists() and time.monotonic() - asked_s < 0.5
    untilEnded(cancel, 60)
    assert cancel.state == "finished" and time.monotonic() - asked_s < 30  # five, where it need not share a processor
    assert isGone(pid) and watcher.poll().status.state == "cancelled"
    watcher.close()


@pytest.mark.slow
def test_a_training_outlives_the_application_that_started_it(runner, longPlan, tmp_path):
    folder = tmp_path / "jobs" / "long"
    command = [sys.executable, "-c", STARTER, str(longPlan), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as application:
        assert application.stdout.readline() == b"finished\n"
        until(lambda: JobFolder(folder).status().state == "running", 200)
        application.kill()
        application.wait(10)
    pid = pidOf(folder)
    assert not isGone(pid) and JobWatcher(folder).poll().status.state == "running"
    untilEnded(runner.cancel(folder), 60)
    assert isGone(pid)


def test_a_plan_that_is_none_is_refused_in_words(runner, tmp_path):
    (tmp_path / "plan.json").write_text("{}", encoding="utf-8")
    command, _ = untilEnded(runner.start(tmp_path / "plan.json", tmp_path / "job"), 100)
    assert command.state == "failed" and "schema: is missing" in command.message and not (tmp_path / "job").exists()


def test_a_job_that_does_not_run_cannot_be_paused(runner, tmp_path):
    job = newJob(tmp_path / "job")
    writeStart(job)
    with pytest.raises(JobError, match="The job job does not run"):
        runner.pause(job.path)
    assert not job.pause_requested


@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_a_folder_that_is_gone_is_said_in_words(runner, tmp_path, act):
    with pytest.raises(JobError, match="gone"):
        getattr(runner, act)(tmp_path / "gone")


def test_a_trainer_that_does_not_answer_is_ended_within_seconds(runner, tmp_path):
    job = newJob(tmp_path / "job")
    with trainerOf(job) as trainer:
        writeStart(job)
        command, _ = untilEnded(runner.cancel(job.path), 60)
        assert command.state == "finished"
        until(lambda: trainer.poll() is not None, 2)
        assert JobWatcher(job.path).poll().status.state == "cancelled"


def test_cancelling_what_is_over_is_no_failure(runner, tmp_path):
    job = newJob(tmp_path / "job")
    writeStart(job)
    for _ in range(2):
        assert untilEnded(runner.cancel(job.path), 60)[0].state == "finished"


def test_copies_of_scans_that_a_cancelled_job_leaves_are_named(runner, tmp_path):
    job = newJob(tmp_path / "job")
    writeStart(job)
    (tmp_path / "elsewhere").mkdir()
    cache = job.path / "cache"
    cache.symlink_to(tmp_path / "elsewhere")  # a link is not followed, and stays
    command, _ = untilEnded(runner.cancel(job.path), 60)
    assert command.state == "finished" and command.leftCopies == cache
    cache.unlink()
    assert command.leftCopies is None


def test_without_an_engine_a_trainer_is_ended_all_the_same(tmp_path):
    runner = JobRunner(EngineEnvironment(Settings(DictStore()), "/nowhere/python", dict))
    job = newJob(tmp_path / "job")
    with trainerOf(job) as trainer:
        writeStart(job)
        asked_s = time.monotonic()
        command = runner.cancel(job.path)
        assert command.running and "cannot be started" in command.message and job.cancel_requested
        untilEnded(command, 20)
        assert command.state == "finished" and time.monotonic() - asked_s < 9
        until(lambda: trainer.poll() is not None, 2)
    assert runner.resume(job.path).state == "failed"
