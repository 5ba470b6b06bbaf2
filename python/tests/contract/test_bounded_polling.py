"""Watching a job whose events are many, or damaged: each look takes a bounded time, and memory does not grow."""

import json
import re
import sys
import time
from pathlib import Path
from statistics import median

import contract_samples as samples
import pytest

from organincrement.contract.events import MOST_PROBLEMS, EventTail, EventWriter, Started, Step
from organincrement.contract.job import MOST_WARNINGS, JobFolder


def lines(steps: range, *, first_seq: int = 1) -> bytes:
    """Step events as a writer writes them, without its fsync."""
    head = '{{"seq": {}, "t": "2026-11-21T08:30:00.125Z", "type": "step", '
    rest = json.dumps(samples.step(0))[1:]
    return "".join(
        head.format(first_seq + i) + rest.replace('"step": 0,', f'"step": {step},') + "\n"
        for i, step in enumerate(steps)
    ).encode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    EventWriter(tmp_path / "events.jsonl").write("started", **samples.started())
    return tmp_path / "events.jsonl"


def test_the_lines_made_here_are_those_that_a_writer_writes(path: Path) -> None:
    EventWriter(path).write("step", **samples.step(0))
    written = path.read_bytes().splitlines(keepends=True)[1]
    made, written = (re.sub(rb'"t": "[^"]+"', b"", line) for line in (lines(range(1)), written))
    assert made == written


def test_a_poll_ends_in_time_and_the_next_goes_on_where_it_stopped(path: Path) -> None:
    with path.open("ab") as file:
        file.write(lines(range(2000)))
    tail, seen, took_s = EventTail(path), [], []
    while not seen or tail.behind:
        before_s = time.process_time()
        seen += tail.poll(0.002)
        took_s.append(time.process_time() - before_s)
    assert len(took_s) > 5 and median(took_s) < 0.02  # of the longest, the garbage collector may have a share
    assert [event.seq for event in seen] == list(range(2001))
    assert tail.problems == []


def test_steps_that_nobody_wants_are_passed_over_but_for_the_last_before_another_event(path: Path) -> None:
    with path.open("ab") as file:
        file.write(lines(range(10)))
    EventWriter(path).write("paused", step=9)
    with path.open("ab") as file:
        file.write(lines(range(10, 15), first_seq=12))
    answers = iter([number == 4 for number in range(15)])
    tail = EventTail(path)
    events = tail.poll(None, lambda: next(answers))
    assert [(event.type, getattr(event, "step", None)) for event in events] == [
        ("started", None),
        ("step", 4),
        ("step", 9),
        ("paused", 9),
        ("step", 14),
    ]
    assert next(answers, None) is None and tail.problems == []


def test_a_gap_among_steps_that_nobody_wants_is_reported(path: Path) -> None:
    with path.open("ab") as file:
        file.write(lines(range(5)) + lines(range(5, 9), first_seq=8))
    tail = EventTail(path)
    tail.poll(None, lambda: False)
    assert ["seq goes from 5 to 8" in problem for problem in tail.problems] == [True]


def test_a_file_full_of_damage_gives_only_so_many_problems(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"damage\n" * (3 * MOST_PROBLEMS))
    tail = EventTail(path)
    assert [type(event) for event in tail.poll()] == [Started]
    assert len(tail.problems) == MOST_PROBLEMS


def test_a_line_longer_than_a_block_is_read_whole(path: Path) -> None:
    EventWriter(path).write("warned", code="long", message="x" * 200_000)
    EventWriter(path).write("step", **samples.step(1))
    assert [event.type for event in EventTail(path).poll(1.0)] == ["started", "warned", "step"]


def test_only_the_last_warnings_of_a_job_are_kept(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", samples.plan_bytes())
    writer = EventWriter(job.events_path)
    for number in range(MOST_WARNINGS + 20):
        writer.write("warned", code="slow", message=f"slow {number}")
    warnings = job.status().warnings
    assert len(warnings) == MOST_WARNINGS
    assert (warnings[0], warnings[-1]) == ("slow 20", f"slow {MOST_WARNINGS + 19}")


def test_news_are_the_status_and_the_events_that_made_it(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", samples.plan_bytes())
    writer = EventWriter(job.events_path)
    writer.write("started", **samples.started())
    writer.write("step", **samples.step(3))
    status, events = job.news(1.0)
    assert [type(event) for event in events] == [Started, Step]
    assert (status.step, job.is_behind, job.bytes_read) == (3, False, job.events_path.stat().st_size)
    assert job.news(1.0) == (status, [])


def test_the_status_of_a_job_with_a_log_of_50_mb_is_told_within_a_second_and_is_that_of_every_line(
    tmp_path: Path,
) -> None:
    job = JobFolder.create(tmp_path / "job", samples.plan_bytes())
    EventWriter(job.events_path).write("started", **samples.started())
    size = len(lines(range(1)))
    with job.events_path.open("ab") as file:
        file.write(lines(range(50_000_000 // size)))
    EventWriter(job.events_path).write("paused", step=7)
    assert job.events_path.stat().st_size > 50_000_000
    tracer = sys.gettrace()
    sys.settrace(None)  # coverage's tracer takes ten times as long as what it watches
    before_s = time.process_time()
    status = JobFolder.open(job.path).status()
    took_s = time.process_time() - before_s
    sys.settrace(tracer)
    assert took_s < 1.0
    assert status.state == "paused" and status.progress is not None
    assert (status.progress.step, status.problems) == (50_000_000 // size - 1, ())


def test_the_status_without_the_figures_of_each_step_is_the_one_with_them(tmp_path: Path) -> None:
    job = JobFolder.create(tmp_path / "job", samples.plan_bytes())
    writer = EventWriter(job.events_path)
    writer.write("started", **samples.started())
    for step in range(1, 6):
        writer.write("step", **samples.step(step))
    writer.write("warned", code="slow", message="slow")
    writer.write("step", **samples.step(6))
    writer.write("started", **{**samples.started(), "resumed_from": 4})
    assert JobFolder.open(job.path).status() == JobFolder.open(job.path).news()[0]
    writer.write("step", **samples.step(5))
    assert JobFolder.open(job.path).status() == JobFolder.open(job.path).news()[0]
