"""Watching a job: nothing waits, memory stays flat, deaths are noticed, and only one application has the buttons."""

import gc
import itertools
import json
import shutil
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from engine_jobs import STEP, appendSteps, newJob, trainerOf, until, writeStart, writeStep

from organincrement.contract.events import EventWriter
from OrganIncrementLib.Engine.JobWatcher import JobWatcher
from OrganIncrementLib.Engine.Series import MOST_POINTS

LIBRARY = Path(__file__).resolve().parents[2] / "OrganIncrement"
SECOND_APPLICATION = (
    f"import sys, time; sys.path.insert(0, {str(LIBRARY)!r})\n"
    "from pathlib import Path\n"
    "from OrganIncrementLib.Engine.JobWatcher import JobWatcher\n"
    "watcher = JobWatcher(Path(sys.argv[1]))\n"
    "print(watcher.poll().readOnly, flush=True)\n"
    "sys.stdin.readline()\n"
)


@pytest.fixture
def job(tmp_path):
    return newJob(tmp_path / "job")


@pytest.fixture
def watcher(job):
    watcher = JobWatcher(job.path)
    yield watcher
    watcher.close()


def caughtUp(watcher, budget_s=0.02, within_s=120.0):
    """Poll until all events are read. Returns: the last view, and what each poll took of this thread's time."""
    took_s, deadline_s = [], time.monotonic() + within_s
    while True:
        before_s = time.thread_time()
        view = watcher.poll(budget_s)
        took_s.append(time.thread_time() - before_s)
        if not view.catchingUp:
            return view, took_s
        assert time.monotonic() < deadline_s


def test_a_job_is_followed_from_its_first_event_to_its_last(job, watcher):
    view = watcher.poll()
    assert (view.status.state, view.alive, view.readOnly, view.problem) == ("created", False, False, "")
    assert dict(view.series) == {}
    with trainerOf(job):
        assert watcher.poll().alive
        writeStart(job)
        writeStep(job, 1)
        EventWriter(job.events_path).write(
            "validated", step=1, dice={"stomach": 0.5}, agreement={"liver": 0.9, "spleen": None}, best=True
        )
        view = watcher.poll()
        assert (view.status.state, view.status.step, view.status.phase) == ("running", 1, "train")
        assert view.series == {
            "loss": ((1.0, 0.75),), "loss/distillation": ((1.0, 0.25),), "loss/new_organ": ((1.0, 0.5),),
            "dice/stomach": ((1.0, 0.5),), "agreement/liver": ((1.0, 0.9),),
        }  # fmt: skip
        assert watcher.poll().series is view.series
        job.request_pause()
        assert watcher.poll().status.state == "pausing"
        EventWriter(job.events_path).write("paused", step=1)
        assert watcher.poll().status.state == "paused"


def test_a_log_of_100000_lines_and_50_megabytes_is_caught_up_in_small_bites(job):
    writeStart(job)
    appendSteps(job, range(100_000), firstSeq=1, padding=205)
    assert job.events_path.stat().st_size > 50e6
    with trainerOf(job):
        watcher = JobWatcher(job.path)
        first = watcher.poll()
        assert first.catchingUp and (first.status.state, first.status.step) == ("running", 99_999)
        gc.collect()
        view, took_s = caughtUp(watcher)
        watcher.close()
    print(f"{len(took_s)} polls, longest {1000 * max(took_s):.1f} ms, all {sum(took_s):.2f} s")
    assert max(took_s) < 0.05 and sorted(took_s)[len(took_s) // 2] < 0.02
    assert len(took_s) < 300  # a minute of ticks
    assert (view.status.state, view.status.step, view.status.problems) == ("running", 99_999, ())
    loss = view.series["loss"]
    assert MOST_POINTS / 4 < len(loss) <= MOST_POINTS and (loss[0][0], loss[-1][0]) == (0, 99_999)


@pytest.mark.slow
def test_memory_stays_flat_over_a_day(job):
    """200,000 events are two a second for 28 hours."""
    writeStart(job)
    watcher, seq, sizes = JobWatcher(job.path), 1, []
    tracemalloc.start()
    try:
        for _ in range(20):
            appendSteps(job, range(seq, seq + 10_000), firstSeq=seq)
            seq += 10_000
            caughtUp(watcher, budget_s=5.0)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
            assert len(watcher.poll().series["loss"]) <= MOST_POINTS
    finally:
        tracemalloc.stop()
        watcher.close()
    print("KiB:", [size // 1024 for size in sizes])
    assert max(sizes) < 4 * 2**20
    assert max(sizes[10:]) - max(sizes[:10]) < 256 * 1024


def test_events_that_a_resumed_job_repeats_are_taken_out_of_the_plots(job, watcher):
    writeStart(job)
    for step in (10, 20, 30):
        writeStep(job, step)
    assert [x for x, _ in watcher.poll().series["loss"]] == [10, 20, 30]
    writeStart(job, resumedFrom=20)
    view = watcher.poll()
    assert [x for x, _ in view.series["loss"]] == [10, 20] and view.status.step == 20
    writeStep(job, 25, total=0.5)
    assert watcher.poll().series["loss"][-1] == (25, 0.5)
    writeStart(job)
    assert dict(watcher.poll().series) == {}


def test_an_undefined_loss_leaves_a_gap(job, watcher):
    writeStart(job)
    for step, total in ((1, 0.5), (2, None), (3, 0.25)):
        writeStep(job, step, total=total, losses={"a": total})
    assert watcher.poll().series["loss"] == ((1, 0.5), (3, 0.25))


def test_a_half_written_line_is_waited_for(job, watcher):
    writeStart(job)
    appendSteps(job, range(5, 6), firstSeq=1)
    whole = job.events_path.read_bytes()
    job.events_path.write_bytes(whole[:-30])
    view = watcher.poll()
    assert view.status.step == 0 and view.status.problems == () and not view.catchingUp
    job.events_path.write_bytes(whole)
    assert watcher.poll().status.step == 5


def test_a_dead_trainer_is_noticed_within_two_seconds(job, watcher):
    with trainerOf(job) as trainer:
        writeStart(job)
        writeStep(job, 3)
        assert watcher.poll().status.state == "running"
        trainer.kill()
        killed_s = time.monotonic()
        until(lambda: watcher.poll().status.state == "interrupted", 2.0, "nobody noticed")
        assert time.monotonic() - killed_s < 2.0
        assert not watcher.poll().alive


def test_a_trainer_that_dies_while_its_log_is_read_is_noticed_too(job):
    writeStart(job)
    appendSteps(job, range(50_000), firstSeq=1)
    with trainerOf(job) as trainer:
        watcher = JobWatcher(job.path)
        assert watcher.poll(0.001).status.state == "running"
        trainer.kill()
        trainer.wait(10)
        view = watcher.poll(0.001)
        assert view.catchingUp and view.status.state == "interrupted"
        watcher.close()


def test_a_second_application_may_only_look_until_the_first_one_ends(job, watcher):
    command = [sys.executable, "-c", SECOND_APPLICATION, str(job.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"False\n"
        assert watcher.poll().readOnly
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as third:
            assert third.stdout.readline() == b"True\n"
            third.kill()
        other.kill()
        other.wait(10)
        until(lambda: not watcher.poll().readOnly, 5)


def test_a_closed_watcher_gives_the_buttons_away_and_so_does_one_forgotten(job):
    watchers = [JobWatcher(job.path), JobWatcher(job.path)]
    assert [watcher.poll().readOnly for watcher in watchers] == [False, True]
    watchers.pop(0).close()
    until(lambda: not watchers[0].poll().readOnly, 5)
    watchers.clear()
    gc.collect()
    third = JobWatcher(job.path)
    assert not third.poll().readOnly
    third.close()


def test_a_finished_job_belongs_to_nobody(job, watcher):
    other = JobWatcher(job.path)
    assert not other.poll().readOnly and watcher.poll().readOnly
    writeStart(job)
    EventWriter(job.events_path).write("finished", package="student", metrics={}, seconds=1.0)
    assert other.poll().status.state == "finished" and not watcher.poll().readOnly
    other.close()


def test_a_job_folder_that_disappears_is_said_in_words_and_comes_back(job, watcher, tmp_path):
    with trainerOf(job):
        writeStart(job)
        writeStep(job, 7)
        watcher.poll()
        job.path.rename(tmp_path / "elsewhere")
        view = watcher.poll()
        assert view.problem == "The job's folder job was moved or deleted."
        assert (view.status.state, view.status.step, view.alive) == ("interrupted", 7, False)
        (tmp_path / "elsewhere").rename(job.path)
        view = watcher.poll()
        assert (view.problem, view.status.state) == ("", "running")


def test_a_damaged_process_record_is_said_in_words(job, watcher):
    writeStart(job)
    (job.path / "process.json").write_text("{", encoding="utf-8")
    view = watcher.poll()
    assert view.problem.startswith("job/process.json: is not valid JSON") and str(job.path.parent) not in view.problem


def test_a_copy_with_fewer_events_is_read_anew(job, watcher):
    writeStart(job)
    whole = job.events_path.read_bytes()
    for step in (1, 2, 3):
        writeStep(job, step)
    assert watcher.poll().status.step == 3
    job.events_path.write_bytes(whole)
    assert watcher.poll().status.step == 0 and dict(watcher.poll().series) == {}


def test_a_folder_that_is_no_job_is_said(tmp_path):
    view = JobWatcher(tmp_path / "nothing").poll()
    assert view.problem and view.status.state == "interrupted"


def test_idle_polls_cost_next_to_nothing(job, watcher):
    writeStart(job)
    appendSteps(job, range(1000), firstSeq=1)
    with trainerOf(job):
        caughtUp(watcher)
        took_s = []
        for _ in range(100):
            before_s = time.thread_time()
            watcher.poll()
            took_s.append(time.thread_time() - before_s)
    assert sorted(took_s)[50] < 0.005


def test_the_plots_look_alike_whether_watched_or_read_later(job):
    writeStart(job)
    watching = JobWatcher(job.path)
    for start in range(0, 30_000, 1000):
        appendSteps(job, range(start, start + 1000), firstSeq=start + 1)
        caughtUp(watching)
    later = JobWatcher(job.path)
    one, other = (caughtUp(w)[0].series["loss"] for w in (watching, later))
    for points in (one, other):
        xs = [x for x, _ in points]
        assert xs == sorted(set(xs)) and (xs[0], xs[-1]) == (0, 29_999)
        assert MOST_POINTS / 4 < len(xs) <= MOST_POINTS
        assert max(b - a for a, b in itertools.pairwise(xs)) < 30_000 / 200
    watching.close()
    later.close()


def test_the_events_made_here_are_those_that_trainers_write(job, tmp_path):
    writeStep(job, 5)
    appendSteps(job, [5], firstSeq=0)
    written, made = (json.loads(line) for line in job.events_path.read_text(encoding="utf-8").splitlines())
    assert list(written) == list(made) and written | {"t": ""} == made | {"t": ""}
    assert set(written) == {"seq", "t", "type", *STEP}
    shutil.rmtree(job.path)
