"""What the tests of jobs share: making something happen at a step, in this process or in one of its own."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from fuzz.kills import PRELOADED
from organincrement.contract.events import read_events
from organincrement.contract.job import JobFolder
from organincrement.contract.package import read_manifest
from organincrement.training import checkpoint
from organincrement.training.checkpoint import load_newest
from organincrement.training.reporting import Reporter
from organincrement.workflows import cases_cache, train
from organincrement.workflows.train import run_job

_WITHIN_S = 60.0


def at_step(monkeypatch, number: int, action: Callable[[], object]) -> None:
    """Do something right after a step, once."""
    stepped = Reporter.stepped

    def then(self, step, *rest):
        stepped(self, step, *rest)
        if step == number:
            monkeypatch.setattr(Reporter, "stepped", stepped)
            action()

    monkeypatch.setattr(Reporter, "stepped", then)


def killed_run(job: JobFolder, moment: str, count: int) -> int:
    """Run a job in a process that is killed at the count-th moment of its kind. Returns: the exit code, -9 when killed.

    Moments: prepare (a case is about to be cached), step (one is done), write (a file of a checkpoint is about to be
    written), package (the student is about to be written), packaged (it has been).
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=_run_and_die, args=(str(job.path), moment, count))
    process.start()
    process.join(_WITHIN_S)
    if process.exitcode is None:
        process.kill()
    assert process.exitcode is not None, "the job hangs"
    return process.exitcode


def _run_and_die(path: str, moment: str, count: int) -> None:
    seen = iter(range(1, count))

    def die_at_last() -> None:
        if next(seen, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(function):
        return lambda *args, **settings: (die_at_last(), function(*args, **settings))[1]

    def after(function):
        return lambda *args, **settings: (function(*args, **settings), die_at_last())[0]

    if moment == "prepare":
        cases_cache.write_case = before(cases_cache.write_case)
    elif moment == "step":
        Reporter.stepped = after(Reporter.stepped)
    elif moment == "write":
        checkpoint.write_atomic = before(checkpoint.write_atomic)
    elif moment == "package":
        train.write_student = before(train.write_student)
    else:
        train.write_student = after(train.write_student)
    run_job(JobFolder.open(Path(path)))


def weights_of(job: JobFolder) -> dict[str, torch.Tensor]:
    """The weights of a job's student."""
    return safetensors.torch.load_file(job.student_path / "weights.safetensors")


def assert_same_student(job: JobFolder, reference: JobFolder) -> None:
    """Bit for bit the same weights and last checkpoint, and the same manifest but for the hash of the weights' file.

    The package holds the best weights, which may be early ones; the last checkpoint tells whether all went on alike.
    The order in which safetensors writes a header's notes is random, so two files of the same weights differ.
    """
    weights, expected = weights_of(job), weights_of(reference)
    assert weights.keys() == expected.keys()
    different = [name for name, tensor in weights.items() if not torch.equal(tensor, expected[name])]
    assert different == []
    last, wanted_last = (load_newest(of.checkpoint_path) for of in (job, reference))
    assert last[0] == wanted_last[0]
    assert_same_state({**last[1], "plan_sha256": ""}, {**wanted_last[1], "plan_sha256": ""})
    made, wanted = (replace(read_manifest(of.student_path), weights=()) for of in (job, reference))
    assert made == wanted


def assert_same_state(state: Any, expected: Any, where: str = "state") -> None:
    """Dicts, lists, tensors and numbers, all of them equal."""
    assert type(state) is type(expected), where
    if isinstance(state, dict):
        assert state.keys() == expected.keys(), where
        for key in state:
            assert_same_state(state[key], expected[key], f"{where}.{key}")
    elif isinstance(state, list | tuple):
        for index, (one, other) in enumerate(zip(state, expected, strict=True)):
            assert_same_state(one, other, f"{where}[{index}]")
    elif isinstance(state, torch.Tensor):
        assert torch.equal(state, expected), where
    else:
        assert state == expected, where


def assert_events_are_whole(job: JobFolder) -> None:
    """Every line an event, and `seq` without a gap from 0 on."""
    problems: list[str] = []
    read_events(job.events_path, problems)
    assert problems == []


def types_of(job: JobFolder) -> list[str]:
    """The types of a job's events that count, in their order."""
    return [event.type for event in read_events(job.events_path)]
