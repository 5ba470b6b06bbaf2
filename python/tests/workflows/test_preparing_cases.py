"""Preparing a job's cases: one after another, and after an interruption only those that are left."""

import os
import stat
import weakref
from pathlib import Path

import numpy as np
import pytest
from tiny_world import student_job

from organincrement.contract.job import JobFolder
from organincrement.imaging.cache import private_folder, write_case
from organincrement.workflows import cases_cache
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.setup import set_up


@pytest.fixture
def job(tiny_world, tmp_path) -> JobFolder:
    (tmp_path / "prepared-scans").touch()  # nothing is shared: what is read is read from the scans
    return student_job(tiny_world, tmp_path)


def prepared(job: JobFolder, between=lambda: None) -> dict:
    return prepare_cases(set_up(job.plan(), job.plan_path), job, job.path / "cache", between)


def test_only_one_case_is_in_memory_at_a_time(job, monkeypatch):
    made, alive = cases_cache._made, []

    def watched(*arguments):
        alive.append(sum(image() is not None for image in seen))
        case = made(*arguments)
        seen.append(weakref.ref(case.image_DHW))
        return case

    seen: list[weakref.ref] = []
    monkeypatch.setattr(cases_cache, "_made", watched)
    assert len(prepared(job)) == 4
    assert alive == [0, 0, 0, 0]


def test_an_interrupted_preparation_goes_on_with_the_cases_that_are_left(job):
    asked = iter(range(100))

    def stop_at_third() -> None:
        if next(asked) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepared(job, stop_at_third)
    assert len(list((job.path / "cache").glob("*.json"))) == 2
    before = len(job.reads_log.read_text(encoding="utf-8").splitlines())
    assert len(prepared(job)) == 4
    assert (before, len(job.reads_log.read_text(encoding="utf-8").splitlines())) == (4, 8)  # a scan and a label each


def rights(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="rights of files as POSIX has them")
def test_copies_of_patients_scans_are_for_their_owner_alone_from_the_first_moment_on(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path)
    seen, link = [], cases_cache.image_file
    monkeypatch.setattr(
        cases_cache, "image_file", lambda folder, case_id: (seen.append(rights(folder)), link(folder, case_id))[1]
    )
    before = os.umask(0o022)
    try:
        prepared(job)
    finally:
        os.umask(before)
    assert seen == [0o700] * 4 and rights(job.path / "cache") == 0o700
    files = [path for path in (job.path / "cache").iterdir() if path.suffix != ".json"]
    assert len(files) == 12 and {rights(path) for path in files} == {0o600}
    assert {rights(path) for path in (tmp_path / "prepared-scans").glob("*.b2nd")} == {0o600}


@pytest.mark.skipif(os.name != "posix", reason="rights of files as POSIX has them")
def test_a_cache_that_an_earlier_version_left_open_to_others_is_closed(job):
    (job.path / "cache").mkdir()
    (job.path / "cache").chmod(0o755)
    prepared(job)
    assert rights(job.path / "cache") == 0o700
    (job.path / "cache").chmod(0o755)
    prepared(job)  # all is there already
    assert rights(job.path / "cache") == 0o700


@pytest.mark.skipif(os.name != "posix", reason="rights of files as POSIX has them")
def test_a_case_by_itself_and_what_teachers_say_of_it_lie_in_a_folder_for_its_owner_alone(tmp_path):
    write_case(tmp_path / "cache", "a", np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 4), np.int16), seed=0)
    private_folder(tmp_path / "answers")
    assert [rights(tmp_path / name) for name in ("cache", "answers")] == [0o700] * 2


def test_points_of_many_organs_are_those_of_each_alone(tmp_path: Path):
    labels = np.random.default_rng(1).integers(-1, 40, (20, 21, 22)).astype(np.int16)
    labels[labels == 7] = 0
    points = write_case(tmp_path, "a", np.zeros(labels.shape, np.float32), labels, seed=3).points()
    assert list(points) == [label for label in range(1, 40) if label != 7]
    for label, places in points.items():
        np.testing.assert_array_equal(places, np.argwhere(labels == label))
