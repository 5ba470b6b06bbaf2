"""Kill -9 at any moment, run the job again, and the student is bit for bit that of a run without interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from job_stories import assert_events_are_whole, assert_same_student, killed_run, types_of
from tiny_world import student_job

from organincrement.contract.events import EventTail
from organincrement.contract.job import JobFolder
from organincrement.workflows.train import create_job, run_job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
STEPS = {"training__steps": 6, "validation__every_steps": 2}


@pytest.fixture(scope="module")
def uninterrupted(tiny_world, tmp_path_factory):
    """A plan, and the finished job of it that nobody disturbed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    job = student_job(tiny_world, folder, "fine-tune", **STEPS)
    assert run_job(job) == "finished"
    return folder / "plan.json", job


@pytest.mark.parametrize(
    ("moment", "count"),
    [
        ("prepare", 2),
        ("write", 1),
        ("write", 2),
        ("step", 1),
        ("write", 4),  # of the first best checkpoint, its digest
        ("write", 5),  # the best is whole, the step's own checkpoint is not there
        ("write", 6),
        ("step", 3),
        ("step", 6),
        ("package", 1),
        ("packaged", 1),
    ],
)
def test_a_killed_job_that_runs_again_ends_with_the_same_student(uninterrupted, tmp_path, moment, count):
    plan, reference = uninterrupted
    job = create_job(plan, tmp_path / "job")
    assert killed_run(job, moment, count) == -signal.SIGKILL
    assert job.status().state == "interrupted" and job.student_path.exists() == (moment == "packaged")
    assert run_job(JobFolder.open(job.path)) == "finished"
    assert_same_student(job, reference)
    assert_events_are_whole(job)


def test_a_job_that_is_killed_again_and_again_ends_with_the_same_student(uninterrupted, tmp_path):
    plan, reference = uninterrupted
    job = create_job(plan, tmp_path / "job")
    for moment, count in (("step", 3), ("write", 3), ("step", 2), ("step", 1)):
        assert killed_run(job, moment, count) == -signal.SIGKILL
    assert run_job(job) == "finished"
    assert_same_student(job, reference)
    assert types_of(job).count("finished") == 1 and job.status().problems == ()


def test_the_command_line_goes_on_with_a_job_whose_process_was_killed(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, "fine-tune", training__steps=80, validation__every_steps=20)
    reference = create_job(tmp_path / "plan.json", tmp_path / "reference")
    command = [sys.executable, "-m", "organincrement", "job", "run", str(job.path)]
    engine = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=engine, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    tail, deadline = EventTail(job.events_path), time.monotonic() + 60
    while not any(event.type == "checkpointed" and event.step > 0 for event in tail.poll()):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert job.status().state == "interrupted" and 20 <= job.status().step < 80
    done = subprocess.run(command, cwd=engine, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0 and "finished; the student is" in done.stdout
    assert all(line.startswith("running · step ") for line in done.stderr.splitlines())
    assert run_job(reference) == "finished"
    assert_same_student(job, reference)
    assert_events_are_whole(job)
