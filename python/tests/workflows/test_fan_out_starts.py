"""Processes that start: lost on the way, interrupted on the way, and each with its share of the threads."""

import os
import signal
import subprocess
import sys
import time

import pytest
from fan_out_work import Squaring, marks, squares

from organincrement.contract.job import JobFolder
from organincrement.workflows import fan_out_pool
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.fan_out import Crew, Waiting, fan_out
from organincrement.workflows.jobs import start_detached

# a command whose processes come by `in_process` while they import it
COMMAND = """
import os, sys, time
from dataclasses import dataclass
from pathlib import Path
if __name__ == "__mp_main__":
    Path(__file__).with_name(f"started.{os.getpid()}.{len(' '.join(sys.argv))}").touch()
    IN_PROCESS
if __name__ == "__main__":
    from fan_out_work import *
    @dataclass(frozen=True, kw_only=True)
    class Large(Squaring):
        books: bytes = bytes(500_000)
    try:
        squares(Large(folder=Path(sys.argv[1])), range(2), Crew(processes=2, retries=0), Waiting(notice=print))
    except (KeyboardInterrupt, RuntimeError) as stop:
        print(type(stop).__name__)
"""


def command(folder, in_process, *arguments):
    file = folder / "command.py"
    file.write_text(COMMAND.replace("IN_PROCESS", in_process), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, file, folder, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def test_processes_that_are_lost_while_they_import_leave_nobody_waiting(tmp_path):
    run = command(tmp_path, "os._exit(9)", *["a scan's name" * 1000] * 9)
    try:
        said, complaints = run.communicate(timeout=30)
    finally:
        run.kill()
    assert said.count("the process at it ended 1 times") == 2 and said.endswith("\nRuntimeError\n")
    assert complaints == "" and len(marks(tmp_path, "started")) == 2
    # nor does one that is lost before it reads the command's arguments: it is not sent them
    assert all(int(path.suffix[1:]) < 1000 for path in tmp_path.glob("started.*"))


def test_ctrl_c_while_processes_import_ends_them_without_a_word_of_theirs(tmp_path):
    run = command(tmp_path, "time.sleep(60)")
    try:
        while not marks(tmp_path, "started"):
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGINT)
        said, complaints = run.communicate(timeout=30)
    finally:
        run.kill()
    assert (said, complaints) == ("KeyboardInterrupt\n", "")


def test_what_a_process_starts_can_be_interrupted_though_it_cannot(tmp_path):
    blocked = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    results = dict(fan_out(Asking(), {"a": blocked, "b": blocked}, Crew(processes=2), Waiting()))
    assert results == {"a": "set()\n", "b": "set()\n"}


class Asking:
    """Work that runs code in a process of its own."""

    def begin(self):
        return lambda code, line: subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout


def test_no_more_processes_are_started_than_can_be_listened_to(tmp_path, monkeypatch):
    monkeypatch.setattr(fan_out_pool, "_MOST", 2)  # as on Windows 60
    assert len(squares(Squaring(folder=tmp_path, seconds=0.05), range(6), Crew(processes=4))) == 6
    assert len(marks(tmp_path, "begin")) == 2


@pytest.fixture
def three_jobs(tmp_path, monkeypatch):
    """Folders of jobs that are no trainings; the process of one only says on how many threads it would compute."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'job' in sys.orig_argv:\n"
        "    print('threads', os.environ.get('OMP_NUM_THREADS'), flush=True)\n"
        "    os._exit(0)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    jobs = [JobFolder(tmp_path / name) for name in ("a", "b", "c")]
    for job in jobs:
        job.path.mkdir()
        job.plan_path.write_text("{}")
    return jobs


def test_a_training_of_its_own_process_computes_on_as_many_threads_as_it_is_told(three_jobs):
    for job, threads in zip(three_jobs, (None, 1, 4), strict=True):
        assert start_detached(job, threads).wait(30) == 0
    assert [job.log_path.read_text() for job in three_jobs] == ["threads 6\n", "threads 1\n", "threads 4\n"]


@pytest.mark.slow  # imports torch in each process
def test_trainings_at_the_same_time_compute_on_their_shares_of_the_threads(three_jobs):
    jobs = three_jobs[:2]
    from organincrement.workflows.compare_training import finish_together

    with pytest.raises(WorkflowError, match=r"^2 of 2 failed"):
        finish_together({job.path.name: job for job in jobs}, Crew(processes=2), Waiting())
    assert [job.log_path.read_text() for job in jobs] == ["threads 3\n"] * 2
