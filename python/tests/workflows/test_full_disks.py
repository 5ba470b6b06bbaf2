"""A disk that is full, wherever it shows: the job pauses, says what it needs, and ends later as if nothing had been."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from job_stories import assert_events_are_whole, assert_same_student, at_step, types_of
from tiny_world import student_job

from organincrement.contract import codec, events, files
from organincrement.contract.events import read_events
from organincrement.contract.job import JobFolder
from organincrement.imaging import cache, writing
from organincrement.imaging.errors import ImageError
from organincrement.models import package
from organincrement.training import checkpoint
from organincrement.workflows import evaluate as evaluating
from organincrement.workflows import jobs
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.evaluate import evaluate
from organincrement.workflows.segment import SegmentRequest, segment
from organincrement.workflows.train import create_job, run_job


@pytest.fixture(scope="module")
def undisturbed(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    job = student_job(tiny_world, folder)
    assert run_job(job) == "finished"
    return folder / "plan.json", job


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """A file system of its own in memory, so small."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    if sys.platform != "linux" or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("a file system cannot be mounted here: that takes Linux and the rights of root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill the file system to its last byte."""
    filler = folder / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            if file.write(bytes(4096)) < 4096:
                file.write(b"0")
    return filler


def said_of(job: JobFolder) -> str:
    return next(e.message for e in reversed(read_events(job.events_path)) if getattr(e, "code", "") == "disk_full")


def test_a_disk_that_fills_up_while_a_job_runs_pauses_it_until_there_is_room(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    with small_disk(tmp_path / "disk", 4096) as disk:
        job = create_job(plan, disk / "job")
        at_step(monkeypatch, 2, lambda: fill(disk))
        assert run_job(job) == "paused"
        assert job.status().state == "paused" and "MiB are needed; free space and resume" in said_of(job)
        assert checkpoint.newest_step(job.checkpoint_path) is not None
        assert_nothing_half_written(disk / "job")
        (disk / "filler").unlink()
        jobs.resume(job)
        assert run_job(job) == "finished"
        assert_same_student(job, reference)
        assert_events_are_whole(job)


def assert_nothing_half_written(folder: Path) -> None:
    left = [path.name for path in folder.rglob("*") if "partial" in path.name]
    assert left == []
    for path in folder.glob("checkpoint/*.pt"):
        assert path.with_suffix(".sha256").exists()
    assert checkpoint.load_newest(folder / "checkpoint")[2] == []


@pytest.mark.parametrize("kib", [24, 100, 200, 400])
def test_a_disk_too_small_from_the_start_says_so_and_needs_only_more_room(undisturbed, tmp_path, kib):
    plan, _ = undisturbed
    with small_disk(tmp_path / "disk", kib) as disk:
        job = create_job(plan, disk / "job")
        try:
            outcome = run_job(job)
            said = said_of(job)
        except WorkflowError as error:
            outcome, said = "refused", str(error)
        assert outcome in ("paused", "refused") and "about " in said and "MiB are needed" in said
        assert job.status().state in ("created", "paused", "interrupted") and job.status().problems == ()
        assert not job.student_path.exists()
        assert_nothing_half_written(disk / "job")
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
        jobs.resume(job)
        assert run_job(job) == "finished"


def full_after(count: int, function):
    """The function, every call after so many failing for want of room."""
    left = iter(range(count))

    def call(path, *rest):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return function(path, *rest)

    return call


@pytest.mark.parametrize(
    ("module", "name", "count"),
    [
        (cache, "write_atomic", 0), (cache, "write_atomic", 4), (codec, "write_atomic", 1),
        (checkpoint, "write_atomic", 3), (package, "write_weights", 0), (events, "append_line", 1),
        (events, "append_line", 4),
    ],
)  # fmt: skip
def test_room_that_ends_anywhere_is_a_pause(undisturbed, tmp_path, monkeypatch, module, name, count):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    with monkeypatch.context() as full:
        full.setattr(module, name, full_after(count, getattr(module, name)))
        try:
            assert run_job(job) == "paused"
        except WorkflowError as error:  # no room for an event either
            assert "the disk is full: about" in str(error) and module is events
    assert job.status().state in ("paused", "interrupted") and not job.student_path.exists()
    assert_nothing_half_written(job.path)
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)
    assert_events_are_whole(job)


def test_older_checkpoints_make_room_for_the_words_that_the_disk_is_full(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    append = events.append_line

    def full(path, line):
        if len(list(job.checkpoint_path.glob("step_*.pt"))) > 1:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        append(path, line)

    with monkeypatch.context() as patch:
        patch.setattr(events, "append_line", full)
        assert run_job(job) == "paused"
    assert types_of(job)[-2:] == ["warned", "paused"] and job.status().state == "paused"
    assert len(list(job.checkpoint_path.glob("step_*.pt"))) == 1
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)


@pytest.mark.parametrize("writes", range(4))
def test_a_scan_that_cannot_be_written_leaves_no_folder(tiny_world, tiny_student, tmp_path, monkeypatch, writes):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    left, opened = iter(range(writes)), writing.replacing

    def full(path):
        if next(left, None) is None:
            raise ImageError(f"{path}: cannot be written (No space left on device); free disk space")
        return opened(path)

    write = full_after(max(0, writes - 2), files.write_atomic)
    monkeypatch.setattr(writing, "replacing", full)
    monkeypatch.setattr(codec, "write_atomic", write)
    request = SegmentRequest(
        model=tiny_student.student_path, out=tmp_path / "out", images=[scan], uncertainty="entropy"
    )
    with pytest.raises((ImageError, OSError), match="No space left"):
        list(segment(request))
    assert list((tmp_path / "out").rglob("*")) == []


def test_an_earlier_result_without_its_report_is_not_taken_for_whole(tiny_world, tiny_student, tmp_path, monkeypatch):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    request = SegmentRequest(model=tiny_student.student_path, out=tmp_path / "out", images=[scan], uncertainty="none")
    (folder,) = segment(request)
    before = (folder / "segmentation.seg.nrrd").read_bytes()
    monkeypatch.setattr(codec, "write_atomic", full_after(0, files.write_atomic))
    with pytest.raises(OSError, match="No space left"):
        list(segment(request))
    assert (folder / "segmentation.seg.nrrd").read_bytes() == before and not (folder / "report.json").exists()


@pytest.mark.parametrize("writes", range(3))
def test_an_evaluation_that_cannot_be_written_leaves_only_whole_files(
    tiny_world, tiny_student, tmp_path, monkeypatch, writes
):
    write = full_after(writes, files.write_atomic)
    monkeypatch.setattr(codec, "write_atomic", write)
    monkeypatch.setattr(evaluating, "write_atomic", write)
    with pytest.raises(OSError, match="No space left"):
        evaluate(tiny_student.student_path, tiny_world.test.path, tmp_path / "out", "cpu")
    names = ["evaluation.json", "evaluation.csv", "evaluation.html"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names[:writes])
