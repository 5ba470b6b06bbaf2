"""Scans that one job prepared and the next one on the same data takes up: the same, faster, and nobody else's."""

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest
from tiny_world import Order, copied, write_plan

from organincrement.contract.dataset import DatasetFolder
from organincrement.contract.job import JobFolder
from organincrement.imaging.safe_read import read_image
from organincrement.workflows import cases_cache, shared_cases
from organincrement.workflows.cases_cache import prepare_cases
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.setup import set_up
from organincrement.workflows.shared_cases import FOLDER, KEPT_S, SharedCases, forget_shared_cases
from organincrement.workflows.train import create_job


@pytest.fixture
def dataset(tiny_world, tmp_path) -> DatasetFolder:
    return copied(tiny_world.site_b, tmp_path / "data")


def prepared_job(
    tiny_world, dataset: DatasetFolder, path: Path, method: str = "fine-tune", seed: int = 0, read=read_image
) -> JobFolder:
    """A job with its cases prepared, as its process does before it trains. Args: read: how it reads a scan."""
    order = Order(
        dataset=dataset.path, out=path.with_suffix(".plan.json"), teacher=tiny_world.teacher, method=method,
        overrides={"seed": seed},
    )  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    job = create_job(write_plan(order), path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cases_cache, "read_image", read)
        prepare_cases(set_up(job.plan(), job.plan_path), job, job.path / "cache", lambda: None)
    return job


def contents(job: JobFolder) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (job.path / "cache").iterdir()}


def never(*_: object) -> None:
    raise AssertionError("the scan was read again")


def shared(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.b2nd"))


def test_a_second_job_reads_no_scan_and_has_the_same_cases(tiny_world, dataset, tmp_path):
    first = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    second = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "second", read=never)
    assert contents(second) == contents(first) and len(contents(first)) == 16
    assert second.reads_log.read_text(encoding="utf-8") == first.reads_log.read_text(
        encoding="utf-8"
    )  # what a job trains on, it says


@pytest.mark.parametrize(("method", "seed"), [("self-training", 0), ("fine-tune", 5)])
def test_another_method_and_another_seed_have_what_they_would_have_prepared(
    tiny_world, dataset, tmp_path, method, seed
):
    alone = prepared_job(tiny_world, dataset, tmp_path / "elsewhere" / "alone", method, seed)
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    second = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "second", method, seed, read=never)
    assert contents(second) == contents(alone)


def test_a_file_that_has_changed_is_refused_although_its_scan_is_shared(tiny_world, dataset, tmp_path):
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    image = dataset.image_path(dataset.cases()[0])
    image.write_bytes(image.read_bytes() + b"\0")
    with pytest.raises(WorkflowError, match=f"{image.name}: has changed since the dataset recorded it"):
        prepared_job(tiny_world, dataset, tmp_path / "jobs" / "second")


@pytest.mark.parametrize("kind", ["image", "labels"])
def test_a_damaged_copy_is_not_used_and_is_replaced(tiny_world, dataset, tmp_path, kind):
    first = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    right = contents(first)
    damaged = next(path for path in shared(tmp_path / "jobs") if path.name.endswith(f"{kind}.b2nd"))
    whole = damaged.read_bytes()
    damaged.unlink()
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # as a disk that forgets a bit
    assert contents(prepared_job(tiny_world, dataset, tmp_path / "jobs" / "second")) == right
    assert damaged.read_bytes() == whole


def test_a_job_keeps_its_scans_when_the_shared_ones_are_deleted(tiny_world, dataset, tmp_path):
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    second = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "second")
    right = contents(second)
    forget_shared_cases(tmp_path / "jobs")
    assert not (tmp_path / "jobs" / FOLDER).exists() and contents(second) == right


def test_old_data_is_never_shared(tiny_world, dataset, tmp_path):
    order = Order(
        dataset=dataset.path, out=tmp_path / "plan.json", teacher=tiny_world.teacher, method="fine-tune"
    )  # fmt: skip
    job = create_job(write_plan(order), tmp_path / "jobs" / "job")
    setup = set_up(job.plan(), job.plan_path)
    for planned in setup.cases:
        object.__setattr__(planned, "old", True)
    prepare_cases(setup, job, job.path / "cache", lambda: None)
    assert len(contents(job)) == 16 and shared(tmp_path / "jobs") == []


def test_a_plan_that_is_only_tried_shares_nothing(tiny_world, dataset, tmp_path):
    job = prepared_job(tiny_world, dataset, tmp_path / "elsewhere" / "job")
    (tmp_path / "jobs").mkdir()
    tried = JobFolder.create(tmp_path / "jobs" / "tried", job.plan_path.read_bytes())
    prepare_cases(set_up(job.plan(), job.plan_path), tried, tried.path / "attempt", lambda: None)
    assert not (tmp_path / "jobs" / FOLDER).exists()


def test_what_was_not_used_for_a_week_is_gone_when_the_next_job_starts(tiny_world, dataset, tmp_path):
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    notes = sorted((tmp_path / "jobs" / FOLDER).glob("*.json"))
    long_ago_s = time.time() - KEPT_S - 60
    for note in notes[1:]:
        os.utime(note, (long_ago_s, long_ago_s))
    SharedCases(tmp_path / "jobs")
    left = {path.name.partition(".")[0] for path in shared(tmp_path / "jobs")}
    assert notes[0].stem in left and not left & {note.stem for note in notes[1:]}


def test_what_a_killed_job_left_half_shared_goes_after_a_week(tiny_world, dataset, tmp_path, monkeypatch):
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    first, *others = sorted((tmp_path / "jobs" / FOLDER).glob("*.json"))
    first.unlink()
    SharedCases(tmp_path / "jobs")
    half = [path for path in shared(tmp_path / "jobs") if path.name.startswith(first.stem)]
    assert len(half) == 2  # another job may be writing the note just now
    for note in others:
        os.utime(note, (time.time() + 2 * KEPT_S,) * 2)
    later = time.time() + KEPT_S + 60
    monkeypatch.setattr(shared_cases.time, "time", lambda: later)
    SharedCases(tmp_path / "jobs")
    left = shared(tmp_path / "jobs")
    assert not set(half) & set(left) and len(left) == 2 * len(others)


def test_a_scan_that_cannot_be_shared_whole_is_not_shared_in_part(tiny_world, dataset, tmp_path, monkeypatch):
    def full(*of_file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shared_cases, "write_array", full)
    job = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    assert len(contents(job)) == 16 and shared(tmp_path / "jobs") == []


def test_a_label_is_not_taken_over_by_a_dataset_that_declares_other_values(tiny_world, dataset, tmp_path):
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    case, cases = dataset.cases()[0], SharedCases(tmp_path / "jobs")
    job = JobFolder.open(tmp_path / "jobs" / "first")
    preprocessing = set_up(job.plan(), job.plan_path).preprocessing
    packed = tmp_path / "image.b2nd"
    assert cases.take(case, dataset.label_values, preprocessing, packed) is not None
    assert cases.take(case, dataset.label_values - {1}, preprocessing, packed) is None


def test_without_room_nothing_is_shared_and_the_job_goes_on(tiny_world, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_cases, "MOST_BYTES", 1000)
    job = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    assert len(contents(job)) == 16 and shared(tmp_path / "jobs") == []


def test_a_file_in_the_folders_place_keeps_it_from_being_made(tiny_world, dataset, tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / FOLDER).touch()
    job = prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    assert len(contents(job)) == 16 and (tmp_path / "jobs" / FOLDER).is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="rights of files as POSIX has them")
def test_only_a_folder_of_ones_own_is_used_and_nobody_else_may_look_into_it(tiny_world, dataset, tmp_path):
    prepared_job(tiny_world, dataset, tmp_path / "jobs" / "first")
    assert (tmp_path / "jobs" / FOLDER).stat().st_mode & 0o777 == 0o700
    (tmp_path / "linked").mkdir()
    (tmp_path / "strange").mkdir()
    (tmp_path / "linked" / FOLDER).symlink_to(tmp_path / "strange")
    job = prepared_job(tiny_world, dataset, tmp_path / "linked" / "job")
    assert len(contents(job)) == 16 and list((tmp_path / "strange").iterdir()) == []
