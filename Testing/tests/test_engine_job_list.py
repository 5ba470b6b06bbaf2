"""The list of jobs: states, reasons and steps, from the two ends of each log; damage is shown, never raised."""

import os
import time

import pytest
from engine_jobs import appendSteps, newJob, trainerOf, writeStart, writeStep

from organincrement.contract.events import EventWriter
from OrganIncrementLib.Engine.JobList import JobList, summaryOf


@pytest.fixture
def job(tmp_path):
    return newJob(tmp_path / "jobs" / "one")


def the(folder):
    (summary,) = JobList(folder.parent).poll()
    return summary


def test_a_new_job_has_its_plan_and_no_time(job):
    summary = the(job.path)
    assert (summary.path, summary.name, summary.state, summary.method) == (job.path, "one", "created", "bla-uag")
    assert (summary.step, summary.totalSteps, summary.eta_s, summary.started) == (0, 200_000, None, "")


def test_a_long_log_is_read_from_its_ends(job):
    writeStart(job)
    appendSteps(job, range(1, 5001), firstSeq=1)
    with trainerOf(job):
        before_s = time.thread_time()
        summary = the(job.path)
        assert time.thread_time() - before_s < 0.05
        assert (summary.state, summary.step, summary.eta_s) == ("running", 5000, 40.0)
        assert summary.started.endswith("Z")


@pytest.mark.parametrize(
    ("event", "state", "says"),
    [
        ({"type": "paused", "step": 7}, "paused", "little room"),
        ({"type": "cancelled", "step": 7}, "cancelled", "little room"),
        ({"type": "finished", "package": "student", "metrics": {}, "seconds": 1.0}, "finished", "little room"),
        ({"type": "failed", "code": "diverged", "message": "The loss is NaN.", "what_to_do": "Look at pt_1."},
         "failed", "The loss is NaN. Look at pt_1."),
    ],
)  # fmt: skip
def test_the_end_of_a_job_and_why(job, event, state, says):
    writeStart(job)
    writeStep(job, 7)
    writer = EventWriter(job.events_path)
    writer.write("warned", code="disk_full", message="little room")
    writer.write(**event)
    assert (the(job.path).state, the(job.path).step, the(job.path).message) == (state, 7, says)


def test_steps_before_a_resume_do_not_count(job):
    writeStart(job)
    writeStep(job, 90)
    writeStart(job, resumedFrom=60)
    assert the(job.path).step == 60
    writeStep(job, 61)
    assert the(job.path).step == 61


def test_flags_show_before_the_trainer_answers(job):
    with trainerOf(job):
        writeStart(job)
        jobs = JobList(job.path.parent)
        assert jobs.poll()[0].state == "running"
        job.request_pause()
        assert jobs.poll()[0].state == "pausing"
        job.request_cancel()
        assert jobs.poll()[0].state == "cancelling"
    assert jobs.poll()[0].state == "cancelled"


def test_a_death_shows_though_no_file_changed(job):
    with trainerOf(job) as trainer:
        writeStart(job)
        jobs = JobList(job.path.parent)
        assert jobs.poll()[0].state == "running"
        trainer.kill()
        trainer.wait(10)
        assert jobs.poll()[0].state == "interrupted"


@pytest.mark.parametrize("name", ["plan.json", "process.json"])
def test_a_damaged_job_is_shown_with_the_reason_and_without_its_place(job, name):
    (job.path / name).write_text("{ half", encoding="utf-8")
    summary = the(job.path)
    assert summary.state == "unreadable" and summary.message.startswith(f"one/{name}: is not valid JSON")


def test_damaged_lines_are_passed_over(job):
    writeStart(job)
    writeStep(job, 5)
    with job.events_path.open("ab") as file:
        file.write(b"\xff\xfe damage\n{}\nhalf a li")
    assert (the(job.path).state, the(job.path).step) == ("interrupted", 5)


def test_jobs_are_listed_newest_first_and_other_folders_left_out(tmp_path):
    for name, t in (("a", "2026-01-01"), ("b", "2026-03-01"), ("c", "2026-02-01")):
        made = newJob(tmp_path / name)
        writeStart(made)
        text = made.events_path.read_text(encoding="utf-8")
        made.events_path.write_text(text.replace(text[text.index('"t": "') + 6 :][:10], t), encoding="utf-8")
    newJob(tmp_path / "not started")
    (tmp_path / "no job").mkdir()
    (tmp_path / "a file").touch()
    assert [job.name for job in JobList(tmp_path).poll()] == ["not started", "b", "c", "a"]


def test_a_folder_that_is_not_there_has_no_jobs(tmp_path):
    (tmp_path / "file").touch()
    assert JobList(tmp_path / "nothing").poll() == [] and JobList(tmp_path / "file").poll() == []


def test_a_hundred_jobs_are_looked_at_in_a_moment(tmp_path):
    for number in range(100):
        writeStart(newJob(tmp_path / f"job-{number}"))
    jobs = JobList(tmp_path)
    assert len(jobs.poll()) == 100
    took_s = []
    for _ in range(5):
        before_s = time.thread_time()
        jobs.poll()
        took_s.append(time.thread_time() - before_s)
    assert min(took_s) < 0.03


def test_the_list_never_writes(job):
    writeStart(job)
    before = {path.name: path.stat().st_mtime_ns for path in job.path.iterdir()}
    the(job.path)
    assert {path.name: path.stat().st_mtime_ns for path in job.path.iterdir()} == before


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_job_that_may_not_be_read_is_said(job):
    job.plan_path.chmod(0)
    assert "cannot be read" in summaryOf(job.path).message
