"""A job whose data workers are killed, or run out of memory, goes on to the same student, and says so."""

import multiprocessing
import os
import signal

import pytest
from job_stories import assert_same_student, at_step
from tiny_world import student_job

from organincrement.contract.events import read_events
from organincrement.contract.job import JobFolder
from organincrement.training.batches import BatchSource
from organincrement.workflows.train import run_job

NO_RAM = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried 8 bytes"


@pytest.fixture(scope="module")
def undisturbed(tiny_world, tmp_path_factory):
    job = student_job(tiny_world, tmp_path_factory.mktemp("undisturbed"))
    assert run_job(job) == "finished"
    return job


def said_of(job: JobFolder) -> list[str]:
    return [event.message for event in read_events(job.events_path) if event.type == "warned"]


def test_a_data_worker_that_is_killed_changes_nothing_but_is_said(tiny_world, undisturbed, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path, training__workers=2)

    def kill_one():
        workers = [child for child in multiprocessing.active_children() if child.name == "data-worker"]
        os.kill(workers[0].pid, signal.SIGKILL)

    at_step(monkeypatch, 2, kill_one)
    assert run_job(job) == "finished"
    assert said_of(job) == ["a data worker ended unexpectedly: going on with 1 of them"]
    assert_same_student(job, undisturbed)
    assert not [child for child in multiprocessing.active_children() if child.name == "data-worker"]


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("Unable to allocate 8 GiB"), RuntimeError(NO_RAM)])
def test_data_workers_without_memory_are_done_without(tiny_world, undisturbed, tmp_path, monkeypatch, error):
    job = student_job(tiny_world, tmp_path, training__workers=2)

    def greedy(self, step):
        raise error

    monkeypatch.setattr(BatchSource, "plain", greedy)
    assert run_job(job) == "finished"
    out = "a data worker is out of memory: going on"
    assert said_of(job) == [f"{out} with 1 of them", f"{out} without them, more slowly"]
    assert_same_student(job, undisturbed)


def test_what_else_a_data_worker_raises_ends_the_job(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path, training__workers=2)

    def wrong(self, step):
        raise RuntimeError("sizes of tensors must match")

    monkeypatch.setattr(BatchSource, "plain", wrong)
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        run_job(job)
    assert said_of(job) == [] and job.status().failure.code == "internal"
