"""Start, pause, resume and cancel faster than a job can follow: one writer, a state that can be told, nobody left."""

import itertools
import multiprocessing
import random
import sys
import time
from pathlib import Path

import psutil
import pytest
from job_stories import assert_events_are_whole, assert_same_student
from tiny_world import student_job

from fuzz.after_a_kill import left_of_session
from fuzz.kills import PRELOADED
from organincrement.contract.errors import ContractError
from organincrement.contract.events import EventTail, read_events
from organincrement.contract.job import JobFolder
from organincrement.workflows import jobs
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.train import create_job, run_job

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="Windows has no sessions"), pytest.mark.slow]
STEPS = {"training__steps": 24, "validation__every_steps": 8, "training__workers": 1}
REFUSED = 3


def run_alone(path: str) -> None:
    import os

    os.setsid()
    try:
        run_job(JobFolder.open(Path(path)))
    except (ContractError, WorkflowError):
        os._exit(REFUSED)


def started(job: JobFolder):
    """A process that runs the job, as `job run` does, but without the seconds that imports take."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=run_alone, args=(str(job.path),))
    process.start()
    return process


@pytest.fixture(scope="module")
def undisturbed(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    job = student_job(tiny_world, folder, **STEPS)
    assert run_job(job) == "finished"
    return folder / "plan.json", job


class Desk:
    """Somebody who types commands and does not wait."""

    def __init__(self, job: JobFolder, seed: int) -> None:
        self.job, self.random, self.processes = job, random.Random(seed), []

    def types(self, command: str) -> None:
        try:
            if command == "resume":
                jobs.resume(self.job)
                self.processes.append(started(self.job))
            elif command == "pause":
                jobs.pause(self.job)
            elif command == "look":
                self.waits(0.3 * self.random.random())
        except WorkflowError as refusal:
            assert "\n" not in str(refusal) and str(refusal).startswith("job: ")
        assert JobFolder.open(self.job.path).status().problems == ()

    def waits(self, seconds: float) -> None:
        """For a process to end, or for so long."""
        if self.processes:
            self.processes[-1].join(seconds)

    def cancels(self) -> str:
        begun = time.monotonic()
        state = jobs.cancel(self.job)
        assert time.monotonic() - begun <= 5.0
        return state

    def goes_home(self) -> None:
        """Every process ends by itself, and none of theirs is left."""
        for process in self.processes:
            process.join(60)
            assert process.exitcode in (0, REFUSED, -9)
            assert left_of_session(process.pid) == []
        assert JobFolder.open(self.job.path).status() == JobFolder.open(self.job.path).status()


@pytest.mark.parametrize("seed", range(3))
def test_a_job_that_is_paused_and_resumed_at_random_ends_as_if_nothing_had_been(undisturbed, tmp_path, seed):
    plan, reference = undisturbed
    desk = Desk(create_job(plan, tmp_path / "job"), seed)
    desk.types("resume")
    for _ in range(14):
        desk.types(desk.random.choice(["resume", "resume", "pause", "pause", "look", "look"]))
    while desk.job.status().state != "finished":
        desk.types("resume")
        desk.waits(30)
    desk.goes_home()
    assert_same_student(desk.job, reference)
    assert_events_are_whole(desk.job)
    assert_one_writer_at_a_time(desk.job)


@pytest.mark.parametrize("seed", range(10, 13))
def test_a_cancel_amid_other_commands_is_the_end_within_five_seconds(undisturbed, tmp_path, seed):
    desk = Desk(create_job(undisturbed[0], tmp_path / "job"), seed)
    for _ in range(6):
        desk.types(desk.random.choice(["resume", "pause", "look", "look"]))
    if desk.job.status().state != "finished":
        assert desk.cancels() in ("cancelled", "finished")
    desk.goes_home()
    assert JobFolder.open(desk.job.path).status().state in ("cancelled", "finished")
    with pytest.raises(WorkflowError, match=r"cancelled|finished"):
        jobs.resume(desk.job)
    assert_one_writer_at_a_time(desk.job)


def assert_one_writer_at_a_time(job: JobFolder) -> None:
    """A process that started wrote its last event before the next one started; none lives."""
    for before, after in itertools.pairwise(EventTail(job.events_path).poll()):
        assert after.type != "started" or before.type in ("paused", "failed"), (before, after)
    record = job.process()
    assert record is None or not psutil.pid_exists(record.pid)


def test_of_two_processes_that_start_at_once_one_writes_and_the_other_is_refused(undisturbed, tmp_path):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    both = [started(job), started(job)]
    for process in both:
        process.join(60)
    assert sorted(process.exitcode for process in both) == [0, REFUSED]
    assert [event.type for event in read_events(job.events_path)].count("started") == 1
    assert_same_student(job, reference)


def test_a_resume_waits_for_a_process_that_has_said_paused_and_is_about_to_end(undisturbed, tmp_path):
    job = create_job(undisturbed[0], tmp_path / "job")
    job.request_pause()
    for _ in range(4):
        process = started(job)
        while job.status().state not in ("paused", "failed"):
            assert process.is_alive()
        jobs.resume(job)
        assert job.process() is None
        job.request_pause()
        process.join(30)
