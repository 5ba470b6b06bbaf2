"""Kill -9 at seeded moments anywhere in a job; `python -m fuzz kills` goes on with more of the same stories."""

import sys
from dataclasses import replace

import pytest

from fuzz.after_a_kill import left_of_session, problems_after_kill
from fuzz.kill_moments import CLOCK, PLACES, Moment, drawn_stories
from fuzz.kills import make_story, play

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"), pytest.mark.slow]
_SEED = 20261121


@pytest.fixture(scope="module")
def stories(tiny_world, tmp_path_factory):
    """Alone, and with a data worker."""
    return [make_story(tiny_world, tmp_path_factory.mktemp("story"), workers) for workers in (0, 1)]


@pytest.fixture
def story(stories):
    return stories[0]


@pytest.mark.parametrize("number", range(10))
def test_a_job_killed_anywhere_ends_as_if_nothing_had_been(stories, tmp_path, number):
    outcome = play(stories[number % 2], drawn_stories(10, _SEED)[number], tmp_path / "job")
    assert outcome.problems == [] and outcome.killed


def test_the_stories_of_ten_kill_in_every_place():
    places = {moment.place for story in drawn_stories(10, _SEED) for moment in story}
    assert len({story[0].place for story in drawn_stories(10, _SEED)}) == 10
    assert places == {*PLACES, CLOCK}


def test_a_torn_file_a_missing_event_and_a_wrong_state_would_be_found(story, tmp_path):
    """What looks at a job after a kill is itself looked at: it must not find everything fine."""
    outcome = play(story, [Moment(place="validation", share=0.9)], tmp_path / "job")
    assert outcome.problems == []
    folder = tmp_path / "job"
    assert problems_after_kill(folder) == []
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "events.jsonl").write_bytes(b"".join(lines[:1] + lines[2:]))
    assert any("seq" in problem for problem in problems_after_kill(folder))
    (folder / "events.jsonl").write_bytes(b"".join(lines))
    for path in (folder / "checkpoint").glob("step_*.pt"):
        path.write_bytes(path.read_bytes()[:-1])
    assert any("none is whole" in problem for problem in problems_after_kill(folder))
    (folder / "student" / "model.json").write_bytes(b"{")
    assert any("model.json" in problem for problem in problems_after_kill(folder))


def test_a_story_that_ends_otherwise_than_the_undisturbed_job_would_be_found(story, tmp_path):
    other = replace(story, reference=make_story_of_other_seed(story, tmp_path))
    assert play(other, [], tmp_path / "job").problems


def make_story_of_other_seed(story, tmp_path):
    from organincrement.contract import codec
    from organincrement.contract.plan import Plan
    from organincrement.workflows.train import create_job, run_job

    plan_file = story.plan_file.with_name("other.json")
    codec.write(replace(codec.read(Plan, story.plan_file), seed=1), plan_file)
    job = create_job(plan_file, tmp_path / "other")
    run_job(job)
    return job


def test_processes_of_an_ended_session_are_found():
    import subprocess

    code = "import os, sys; os.setsid(); print(os.getpid(), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert left_of_session(int(process.stdout.readline())) == [process.pid]
        process.communicate()
    assert left_of_session(process.pid) == []
