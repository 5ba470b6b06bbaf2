"""A job opens the teacher and the planned cases and nothing else, and no network socket."""

import socket
import sys
from contextlib import contextmanager

import psutil
import pytest
from job_stories import assert_events_are_whole, types_of
from tiny_world import student_job

from organincrement.contract import codec
from organincrement.contract.events import read_events
from organincrement.training.reporting import Reporter
from organincrement.workflows.train import run_job

_watched: list[tuple[str, str]] | None = None


def _note(event, arguments):
    if _watched is None:
        return
    if event == "open":
        _watched.append((event, str(arguments[0])))
    elif event == "socket.__new__":
        _watched.append((event, socket.AddressFamily(arguments[1]).name))
    elif event.startswith("socket."):
        _watched.append((event, ""))


sys.addaudithook(_note)  # it stays for the life of the process, and notes only inside `watched`


@contextmanager
def watched():
    """What Python opens inside the block: files, and sockets of any kind."""
    global _watched
    _watched = seen = []
    try:
        yield seen
    finally:
        _watched = None


def read_lines(job):
    return [tuple(line.split()) for line in job.reads_log.read_text(encoding="utf-8").splitlines()]


def test_the_read_log_lists_every_file_of_the_planned_cases_and_nothing_else(tiny_world, tiny_student):
    cases = tiny_world.site_b.cases()
    expected = [(case.id, digest) for case in cases for digest in (case.image_sha256, case.label_sha256)]
    assert sorted(read_lines(tiny_student)) == sorted(expected)


def test_the_teachers_old_dataset_is_not_opened_for_it_is_not_there(tiny_world, tmp_path):
    hidden = tiny_world.site_a.path.with_name("hidden")
    tiny_world.site_a.path.rename(hidden)
    try:
        job = student_job(tiny_world, tmp_path, "bla-uag")
        with watched() as seen:
            assert run_job(job) == "finished"
    finally:
        hidden.rename(tiny_world.site_a.path)
    opened = [path for event, path in seen if event == "open"]
    assert any(str(tiny_world.teacher.resolve()) in path for path in opened)
    assert any(str(tiny_world.site_b.path.resolve()) in path for path in opened)
    assert not [path for path in opened if "site-a" in path or str(hidden) in path]
    assert "site-a" not in job.plan_path.read_text(encoding="utf-8")


def test_a_first_model_reads_each_case_once_though_it_is_held_back(tiny_world):
    plan = tiny_world.teacher_job.plan()
    lines = read_lines(tiny_world.teacher_job)
    assert len(lines) == len(set(lines)) == 2 * len(tiny_world.site_a.cases())
    assert set(plan.validation.cases) < {case for case, _ in lines}


def test_a_job_with_workers_opens_no_network_socket(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path, training__workers=1, training__steps=4)
    seen_connections = []
    stepped = Reporter.stepped

    def look(self, *rest):
        stepped(self, *rest)
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            seen_connections.extend(process.net_connections(kind="inet"))

    monkeypatch.setattr(Reporter, "stepped", look)
    with watched() as seen:
        assert run_job(job) == "finished"
    # not even between its own processes; the name of the host alone is asked for
    assert {event for event, _ in seen if event.startswith("socket.")} <= {"socket.gethostname"}
    assert seen_connections == []


def test_events_tell_the_whole_run_in_order(tiny_student):
    types = types_of(tiny_student)
    assert types[:3] == ["started", "checkpointed", "step"] and types[-1] == "finished"
    assert types.count("validated") == 2 and types.count("checkpointed") == 3
    assert_events_are_whole(tiny_student)
    events = read_events(tiny_student.events_path)
    assert [event.seq for event in events] == list(range(len(events)))
    last = [event for event in events if event.type == "step"][-1]
    assert last.step == 6 and last.eta_s == 0 and last.epoch == pytest.approx(6 * 2 / 3)
    assert last.total == pytest.approx(sum(last.losses.values()))
    assert 0 <= last.data_wait <= 1 and last.ram_bytes > 10**8 and last.gpu_bytes is None


def test_started_says_what_auto_became(tiny_student):
    started = read_events(tiny_student.events_path)[0]
    assert started.device.startswith("cpu: ") and started.precision == "fp32" and started.batch == 2
    assert started.total_steps == 6 and started.phases == ("increment",) and started.resumed_from is None
    assert set(started.versions) == {"organincrement", "torch"}


def test_a_finished_job_keeps_no_copy_of_a_patient(tiny_world, tiny_student):
    left = {path.relative_to(tiny_student.path).parts[0] for path in tiny_student.path.rglob("*")}
    assert left == {"plan.json", "events.jsonl", "reads.log", "checkpoint", "student", "process.lock"}
    told = codec.dumps(tiny_student.plan()) + tiny_student.events_path.read_text(encoding="utf-8")
    assert str(tiny_world.root) not in told
