"""Kill -9 at any moment: a job that goes on must end with bit for bit the student of a job that nobody disturbed."""

import argparse
import multiprocessing
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.after_a_kill import described, left_of_session, problems_after_kill
from fuzz.kill_moments import CLOCK, Moment, drawn_stories, job_of, run_to_moment

_TESTS = Path(__file__).resolve().parents[1] / "tests"
_WITHIN_S = 120.0
# loaded once, not in every process: with what is imported where it is used, they take seconds
PRELOADED = (
    "organincrement.workflows.train", "organincrement.workflows.make_plan", "monai.transforms",
    "dynamic_network_architectures.architectures.unet", "torch._dynamo",
)  # fmt: skip
_WORKERS = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Story:
    """A plan, the job of it that nobody disturbed, and how many calls each place of it has."""

    plan_file: Path
    reference: Any
    counts: dict[str, int]
    seconds: float


@dataclass(kw_only=True)
class Outcome:
    """What a story of kills came to. `killed`: the places where it was; `problems`: empty when all is well."""

    killed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def make_story(world: Any, folder: Path, workers: int) -> Story:
    """Plan a job on the tiny world and run it undisturbed in a process of its own, counting."""
    from tiny_world import Order, write_plan

    from organincrement.contract.job import JobFolder

    steps = {"training.steps": 6, "validation.every_steps": 2, "training.workers": workers}
    plan_file = write_plan(
        Order(dataset=world.site_b.path, out=folder / "plan.json", teacher=world.teacher, overrides=steps)
    )
    _, _, answer = _run(plan_file, folder / "reference", {}, None)
    assert answer is not None, "the undisturbed job did not finish"
    return Story(
        plan_file=plan_file, reference=JobFolder.open(folder / "reference"), counts=answer[0], seconds=answer[1]
    )


def play(story: Story, moments: Sequence[Moment], folder: Path) -> Outcome:
    """Kill a job at each of the moments, going on with it in between, look at it each time, then let it finish."""
    from job_stories import assert_events_are_whole, assert_same_student

    from organincrement.workflows.train import run_job

    outcome = Outcome()
    for moment in moments:
        pid, code, answer = _run(story.plan_file, folder, _fatal(story, moment), _delay_s(story, moment))
        if answer is None and code != -signal.SIGKILL:
            outcome.problems.append(f"at {moment}: the process ended by itself with {code}")
        outcome.problems += [f"after {moment}: {problem}" for problem in problems_after_kill(folder)]
        outcome.problems += [f"after {moment}: {left} is left behind" for left in map(described, left_of_session(pid))]
        if answer is not None or outcome.problems:
            break  # it came to its end before the moment did
        outcome.killed.append(moment.place)
    try:
        job = job_of(story.plan_file, folder)
        if job.status().state != "finished":
            run_job(job)
        assert_same_student(job, story.reference)
        assert_events_are_whole(job)
    except Exception as error:
        outcome.problems.append(f"{type(error).__name__}: {error}")
    return outcome


def _fatal(story: Story, moment: Moment) -> dict[str, int]:
    calls = story.counts.get(moment.place, 0)
    return {} if moment.place == CLOCK else {moment.place: 1 + int(moment.share * calls)}


def _delay_s(story: Story, moment: Moment) -> float | None:
    return moment.share * story.seconds if moment.place == CLOCK else None


def _run(plan_file: Path, folder: Path, fatal: dict[str, int], delay_s: float | None) -> tuple[int, int | None, Any]:
    """Run a job in a process of its own. Returns: its number, its exit code, and what it sent at its end, or None."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=run_to_moment, args=(plan_file, folder, fatal, writer))
    process.start()
    writer.close()
    answer = None
    try:
        reader.recv()
        process.join(delay_s if delay_s is not None else _WITHIN_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            assert delay_s is not None, "the job hangs"
        if reader.poll():
            answer = reader.recv()
    except EOFError:
        process.join()
    finally:
        reader.close()
    assert process.pid is not None
    return process.pid, process.exitcode, answer


def main(arguments: Sequence[str]) -> int:
    """Play seeded stories on a tiny world. Returns: 0 where every job came out as if nothing had been."""
    parser = argparse.ArgumentParser(prog="python -m fuzz kills", description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="skip so many of the runs, which another call has done")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no run after so long")
    options = parser.parse_args(arguments)
    sys.path[:0] = [str(_TESTS), str(_TESTS / "workflows")]  # the tiny worlds lie with the tests
    from tiny_world import make_world

    started_s = time.monotonic()
    killed: Counter[str] = Counter()
    failed = done = 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        world = make_world(root / "world")
        told = [make_story(world, root / f"workers-{workers}", workers) for workers in _WORKERS]
        stories = drawn_stories(options.runs, options.seed)
        for number, moments in enumerate(stories[options.first :], options.first):
            if time.monotonic() - started_s > options.seconds:
                break
            outcome = play(told[number % len(told)], moments, root / f"run-{number}")
            killed.update(outcome.killed)
            done += 1
            failed += bool(outcome.problems)
            for problem in outcome.problems:
                print(f"run {number}, workers {_WORKERS[number % len(told)]}: {problem}", flush=True)
    places = ", ".join(f"{place} {count}" for place, count in sorted(killed.items()))
    spent_s = time.monotonic() - started_s
    print(f"{done} runs from {options.first}, {killed.total()} kills ({places}), {failed} failed, {spent_s:.0f} s")
    return 1 if failed else 0
