"""A job pauses with a checkpoint and no process, resumes as if nothing had been; a cancel leaves nothing running."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from job_stories import assert_events_are_whole, assert_same_student, at_step, killed_run, types_of
from tiny_world import student_job

from organincrement.contract.errors import ContractError
from organincrement.contract.events import read_events
from organincrement.contract.job import claim_writer
from organincrement.workflows import cases_cache, jobs, train
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.train import create_job, run_job


@pytest.fixture(scope="module")
def uninterrupted(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    job = student_job(tiny_world, folder, "bla-uag")
    assert run_job(job) == "finished"
    return folder / "plan.json", job


def running(job, within_s=60.0):
    """Wait until a detached job has done a step; returns its process."""
    deadline = time.monotonic() + within_s
    while job.status().step < 1:
        assert time.monotonic() < deadline, job.log_path.read_text(encoding="utf-8")
        time.sleep(0.02)
    return psutil.Process(job.process().pid)


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_paused_and_resumed_job_ends_with_the_same_student(uninterrupted, tmp_path, monkeypatch, step):
    plan, reference = uninterrupted
    job = create_job(plan, tmp_path / "job")
    at_step(monkeypatch, step, job.request_pause)
    assert run_job(job) == "paused"
    status = job.status()
    assert (status.state, status.step, status.last_event.type) == ("paused", step, "paused")
    assert not job.process_path.exists() and not job.student_path.exists()
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)
    assert_events_are_whole(job)
    started = [event for event in read_events(job.events_path) if event.type == "started"]
    assert [event.resumed_from for event in started] == [None, step]


@pytest.mark.parametrize("place", ["preparing", "asking the teacher", "after the last step"])
def test_a_pause_is_said_wherever_it_finds_the_job(uninterrupted, tmp_path, monkeypatch, place):
    plan, reference = uninterrupted
    job = create_job(plan, tmp_path / "job")
    module, name = {
        "preparing": (cases_cache, "write_case"),
        "asking the teacher": (train, "prepare_cases"),
        "after the last step": (train, "load_best"),
    }[place]
    function = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *args, **named: (function(*args, **named), job.request_pause())[0])
    assert run_job(job) == "paused"
    assert job.status().state == "paused" and types_of(job)[-1] == "paused"
    monkeypatch.undo()
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)


def test_a_detached_job_pauses_ends_its_process_and_goes_on_where_it_was(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, "fine-tune", training__steps=100, validation__every_steps=50)
    process = jobs.start_detached(job)
    running(job)
    jobs.pause(job)
    assert process.wait(30) == 0
    status = job.status()
    assert status.state == "paused" and 0 < status.step < 100 and job.process() is None
    assert (job.checkpoint_path / f"step_{status.step:09d}.pt").is_file()
    jobs.resume(job)
    again = jobs.start_detached(job)
    assert again.wait(60) == 0 and job.status().state == "finished"
    reference = create_job(tmp_path / "plan.json", tmp_path / "reference")
    assert run_job(reference) == "finished"
    assert_same_student(job, reference)
    log = job.log_path.read_text(encoding="utf-8")
    assert "paused" in log and "finished" in log and str(tmp_path) not in log


def test_a_cancel_ends_the_process_and_its_workers_within_five_seconds(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, "fine-tune", training__steps=100_000, training__workers=2)
    popen = jobs.start_detached(job)
    process = running(job)
    family = [process, *process.children(recursive=True)]
    assert len(family) >= 3
    started = time.monotonic()
    jobs.cancel(job)
    assert time.monotonic() - started <= 5.0
    assert [left for left in family if left.is_running() and left.status() != psutil.STATUS_ZOMBIE] == []
    popen.wait(5)
    assert job.status().state == "cancelled" and not (job.path / "cache").exists()
    assert_events_are_whole(job)


def test_a_process_that_does_not_listen_is_ended(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, "fine-tune")
    deaf = (
        "import sys, time; from organincrement.contract.job import *\n"
        "with claim_writer(JobFolder.open(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", deaf, str(job.path)]
    with subprocess.Popen(
        command, cwd=train.__file__.rsplit("/organincrement/", 1)[0], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"in\n"
        started = time.monotonic()
        jobs.cancel(job)
        assert 3.0 < time.monotonic() - started <= 5.5
        assert not psutil.pid_exists(process.pid)
    assert job.status().state == "cancelled"


def test_a_cancelled_job_says_so_drops_its_cache_and_cannot_go_on(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    at_step(monkeypatch, 2, job.request_cancel)
    assert run_job(job) == "cancelled"
    assert job.status().state == "cancelled" and types_of(job)[-1] == "cancelled"
    assert not (job.path / "cache").exists() and not job.student_path.exists()
    for again in (jobs.resume, jobs.cancel, jobs.pause, run_job):
        with pytest.raises(WorkflowError, match="cancelled"):
            again(job)


def test_a_job_that_never_ran_is_cancelled_by_its_flag(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path)
    jobs.cancel(job)
    assert job.status().state == "cancelled"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("moment", ["prepare", "step", "package"])
def test_a_cancel_of_a_job_whose_process_was_killed_leaves_no_copies_of_scans(uninterrupted, tmp_path, moment):
    job = create_job(uninterrupted[0], tmp_path / "job")
    for _ in range(2):
        assert killed_run(job, moment, 2 if moment == "prepare" else 1) == -signal.SIGKILL
    job.partial_student_path.mkdir(exist_ok=True)
    assert (job.path / "cache").is_dir()
    assert jobs.cancel(job) == "cancelled"
    assert not (job.path / "cache").exists() and not job.partial_student_path.exists()
    with pytest.raises(WorkflowError, match="cancelled already"):
        jobs.cancel(job)


def test_a_cancel_of_a_failed_job_leaves_no_copies_of_scans(uninterrupted, tmp_path, monkeypatch):
    job = create_job(uninterrupted[0], tmp_path / "job")
    monkeypatch.setattr(train, "_trained_on", lambda *_: (_ for _ in ()).throw(WorkflowError("made up")))
    with pytest.raises(WorkflowError, match="made up"):
        run_job(job)
    assert job.status().state == "failed" and (job.path / "cache").is_dir()
    assert jobs.cancel(job) == "cancelled"
    assert not (job.path / "cache").exists()


def test_a_second_cancel_deletes_what_the_first_one_left(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path)
    jobs.cancel(job)
    (job.path / "cache").mkdir()
    (job.path / "cache" / "pt_1.image.b2nd").touch()
    assert jobs.cancel(job) == "cancelled"
    assert not (job.path / "cache").exists()


def test_copies_that_cannot_be_deleted_are_told_of(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    (job.path / "cache").mkdir()
    monkeypatch.setattr(jobs.shutil, "rmtree", lambda *_, **__: None)
    with pytest.raises(WorkflowError, match=r"^job: the job is cancelled, but .* could not be deleted"):
        jobs.cancel(job)


def test_a_process_that_has_not_begun_yet_counts_as_the_one_that_runs_the_job(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, "fine-tune", training__steps=2000, validation__every_steps=2000)
    process = jobs.start_detached(job)
    assert job.process() is None and jobs.has_process(job)
    for again in (jobs.resume, jobs.start_detached):
        with pytest.raises(WorkflowError, match=f"^job: process {process.pid} runs the job already"):
            again(job)
    running(job)
    with pytest.raises(WorkflowError, match=f"^job: the job is running, as process {process.pid}; only a paused"):
        jobs.resume(job)
    assert not job.starting_path.exists()
    assert jobs.cancel(job) == "cancelled"
    process.wait(5)


def test_a_job_is_cancelled_before_its_process_has_begun(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path)
    process = jobs.start_detached(job)
    assert jobs.cancel(job) == "cancelled"
    process.wait(1)
    assert not job.student_path.exists() and not (job.path / "cache").exists()


def test_a_process_that_died_at_once_does_not_keep_the_job_from_being_resumed(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(jobs.sys, "executable", "/bin/false" if os.name == "posix" else "where.exe")
        process = jobs.start_detached(job)
    while process.poll() is None:
        time.sleep(0.01)
    assert not jobs.has_process(job)
    jobs.resume(job)
    assert run_job(job) == "finished" and not job.starting_path.exists()


def test_of_two_resumes_at_the_same_moment_one_starts_a_process(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path)
    both, started, refused = threading.Barrier(2), [], []

    def start() -> None:
        jobs.resume(job)
        both.wait()
        try:
            started.append(jobs.start_detached(job))
        except WorkflowError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1 and refused == [
        f"job: process {started[0].pid} runs the job already; see `organincrement job status`"
    ]
    assert jobs.cancel(job) == "cancelled"
    started[0].wait(5)


def test_a_second_writer_is_refused_while_the_first_lives(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path)
    with claim_writer(job), pytest.raises(ContractError, match="is writing this job; wait for it or pause it"):
        run_job(job)
    assert not job.events_path.exists()
    assert run_job(job) == "finished"


def test_a_finished_job_is_neither_run_nor_paused_nor_cancelled_again(tiny_student):
    before = tiny_student.events_path.read_bytes()
    for again in (run_job, jobs.resume, jobs.pause, jobs.cancel):
        with pytest.raises(WorkflowError, match="finished"):
            again(tiny_student)
    assert tiny_student.events_path.read_bytes() == before and not tiny_student.cancel_requested


def test_batches_do_not_depend_on_who_makes_them(tiny_world, tmp_path):
    """A run with worker processes sees what a run without sees, so the student is the same."""
    alone = student_job(tiny_world, tmp_path / "alone", "fine-tune", training__steps=4)
    helped = student_job(tiny_world, tmp_path / "helped", "fine-tune", training__steps=4, training__workers=2)
    assert run_job(alone) == run_job(helped) == "finished"
    assert_same_student(helped, alone)
