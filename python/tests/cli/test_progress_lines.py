"""Progress for programs: plain lines, few of them, and none where nobody asked."""

import re

import pytest
from command_line import run

from organincrement.cli import progress
from organincrement.cli.progress import CaseCounter

LINE = re.compile(r"(\w+): (\d+) of (\d+)(?: \((.+?)\))?(?: (\d+) of (\d+))?")


class Clock:
    """A clock that a test moves."""

    def __init__(self, monkeypatch):
        self.now_s = 1000.0
        monkeypatch.setattr(progress.time, "monotonic", lambda: self.now_s)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setenv("ORGANINCREMENT_PROGRESS", "lines")


def fractions(lines):
    """How far each line says that the command is."""
    found = []
    for line in lines:
        match = LINE.fullmatch(line)
        assert match, line
        done, total, part, parts = (int(match[i] or 0) for i in (2, 3, 5, 6))
        found.append((done + (part / parts if parts else 0)) / total)
    return found


def test_there_are_at_most_two_lines_a_second_and_a_last_one(asked, clock, capsys):
    with CaseCounter("segment") as counter:
        for case in range(10):
            for window in range(100):
                counter.working(case, 10, f"pt_{case}", window, 100)
                clock.now_s += 0.01
            counter(case + 1, 10, f"pt_{case}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "segment: 0 of 10 (pt_0) 0 of 100" and lines[-1] == "segment: 10 of 10 (pt_9)"
    assert 15 <= len(lines) <= 22
    assert fractions(lines) == sorted(fractions(lines))


def test_nobody_asked_so_short_work_is_silent_and_long_work_says_a_line_now_and_then(clock, capsys, monkeypatch):
    monkeypatch.delenv("ORGANINCREMENT_PROGRESS", raising=False)
    with CaseCounter("segment") as counter:
        counter(1, 3, "pt_1")
        clock.now_s += 10
        counter(2, 3, "pt_2")
        assert capsys.readouterr().err == ""
        clock.now_s += 10
        counter.working(2, 3, "pt_3", 5, 10)
        clock.now_s += 10
        counter.working(2, 3, "pt_3", 6, 10)
        counter(3, 3, "pt_3")
    assert capsys.readouterr().err.splitlines() == ["segment: 2 of 3 (pt_3) 5 of 10", "segment: 3 of 3 (pt_3)"]


def test_a_name_of_several_lines_stays_in_one(asked, capsys):
    CaseCounter("import")(0, 2, "pt\n1")
    assert capsys.readouterr().err == "import: 0 of 2 (pt 1)\n"


@pytest.mark.slow
def test_every_long_command_tells_how_far_it_is(asked, tiny_world, tmp_path, capsys):
    data = tiny_world.site_b
    images = [data.image_path(case) for case in data.cases()[:2]]
    commands = {
        "segment": ["--model", tiny_world.teacher, "--out", tmp_path / "s", "--uncertainty", "perturbation", *images],
        "evaluate": ["--model", tiny_world.teacher, "--dataset", tiny_world.test.path, "--out", tmp_path / "e"],
        "audit": ["--teacher", tiny_world.teacher, "--dataset", data.path, "--out", tmp_path / "a"],
        "suggest": ["--model", tiny_world.teacher, "--images", data.path / "images", "--count", 1],
    }
    for name, arguments in commands.items():
        outcome = run(capsys, name, *arguments, "--device", "cpu")
        lines = outcome.err.splitlines()
        assert outcome.code == 0 and {line.partition(":")[0] for line in lines} == {name}
        assert fractions(lines) == sorted(fractions(lines)) and fractions(lines)[0] == 0 and fractions(lines)[-1] == 1
    labelled = ["--images", data.path / "images", "--labels", data.path / "labels", "--organs", "stomach=1"]
    outcome = run(capsys, "dataset", "import", *labelled, "--out", tmp_path / "made")
    lines = outcome.err.splitlines()
    assert outcome.code == 0 and fractions(lines)[0] == 0 and fractions(lines)[-1] == 1
