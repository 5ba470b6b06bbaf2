"""What several folders of tests share: a tiny world of phantoms, trained once in each worker."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# a shell starts what runs in its background with interrupts switched off, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[object]":
    """Datasets and a trained teacher; to be read only, a test that changes something copies it first."""
    # imported here, because torch takes seconds and most tests need none of this
    from tiny_world import make_world

    yield make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def tiny_student(tiny_world: object, tmp_path_factory: pytest.TempPathFactory) -> object:
    """A finished job of the default method that added the stomach to the tiny world's teacher; to be read only."""
    from tiny_world import student_job

    from organincrement.workflows.train import run_job

    folder: Path = tmp_path_factory.mktemp("student")
    job = student_job(tiny_world, folder, "bla-uag")  # type: ignore[arg-type]
    run_job(job)
    return job
