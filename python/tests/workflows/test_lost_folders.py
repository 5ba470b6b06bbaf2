"""A job's folder that may not be written, or is moved away while it runs; and files in it that are damaged."""

import errno
import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest
import torch
from job_stories import assert_events_are_whole, assert_same_student, at_step, weights_of
from test_full_disks import small_disk
from tiny_world import student_job

from fuzz.kills import PRELOADED
from organincrement.cli.main import main
from organincrement.contract.errors import ContractError
from organincrement.contract.events import read_events
from organincrement.contract.job import JobFolder
from organincrement.training import checkpoint
from organincrement.training.reporting import Reporter
from organincrement.training.validation import ValidationResult
from organincrement.workflows import jobs
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.train import create_job, run_job


@pytest.fixture(scope="module")
def undisturbed(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    job = student_job(tiny_world, folder)
    assert run_job(job) == "finished"
    return folder / "plan.json", job


def remount(disk: Path, how: str) -> None:
    for _ in range(20):  # it is refused while a heartbeat is being written
        if (
            subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=False, capture_output=True).returncode
            == 0
        ):
            return
    pytest.fail(f"{disk} cannot be made {how}")


def one_line(capsys, *arguments: object) -> tuple[int, str]:
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert said.err.count("\n") <= 1 and "Traceback" not in said.err
    return code, said.err + said.out


def test_a_read_only_job_is_looked_at_but_not_run(undisturbed, tmp_path, capsys):
    plan, reference = undisturbed
    with small_disk(tmp_path / "disk", 8192) as disk:
        job = create_job(plan, disk / "job")
        remount(disk, "ro")
        code, said = one_line(capsys, "job", "run", job.path)
        assert code in (1, 3) and "ead-only file system" in said
        assert one_line(capsys, "job", "status", job.path) == (0, "created\n")
        code, said = one_line(capsys, "train", plan, "--job", disk / "other")
        assert code in (1, 3) and "ead-only file system" in said
        remount(disk, "rw")
        assert run_job(job) == "finished"
        assert_same_student(job, reference)


def test_a_folder_that_turns_read_only_ends_the_job_which_goes_on_when_it_is_mended(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    with small_disk(tmp_path / "disk", 8192) as disk:
        job = create_job(plan, disk / "job")
        at_step(monkeypatch, 2, lambda: remount(disk, "ro"))
        with pytest.raises(OSError, match="Read-only"):
            run_job(job)
        remount(disk, "rw")
        job.process_path.unlink(missing_ok=True)  # this process lives on, as a real one would not
        assert job.status().state == "interrupted" and job.status().problems == ()
        jobs.resume(job)
        assert run_job(job) == "finished"
        assert_same_student(job, reference)


def test_results_into_a_read_only_folder_are_refused_in_a_line(tiny_world, tiny_student, tmp_path, capsys):
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    with small_disk(tmp_path / "disk", 1024) as disk:
        remount(disk, "ro")
        model = tiny_student.student_path
        for command in (
            ["segment", "--model", model, "--out", disk / "out", scan],
            ["evaluate", "--model", model, "--dataset", tiny_world.test.path, "--out", disk / "out"],
            ["plan", "--teacher", model, "--dataset", tiny_world.site_b.path, "--out", disk / "plan.json"],
        ):
            code, said = one_line(capsys, *command, "--device", "cpu")
            assert code in (1, 3) and said.startswith("organincrement: ") and list(disk.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_checkpoint_that_may_not_be_written_fails_with_what_to_do(undisturbed, tmp_path, monkeypatch, number):
    job = create_job(undisturbed[0], tmp_path / "job")

    def forbidden(path, data):
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "write_atomic", forbidden)
        with pytest.raises(OSError, match=os.strerror(number)):
            run_job(job)
    failure = job.status().failure
    assert failure.code == "bad_input" and failure.what_to_do.startswith("Make the folder readable and writable")
    assert str(tmp_path) not in failure.message and "step_000000000.pt" in failure.message
    jobs.resume(job)
    assert run_job(job) == "finished"


def run_and_move(path: str, to: str) -> None:
    stepped = Reporter.stepped

    def then(self, step, *rest):
        stepped(self, step, *rest)
        if step == 4:
            Path(path).rename(to)

    Reporter.stepped = then
    try:
        run_job(JobFolder.open(Path(path)))
    except WorkflowError as error:
        os._exit(7 if "was moved or deleted while it ran; resume it where it is now" in str(error) else 1)


@pytest.mark.parametrize("to", ["beside", "elsewhere/deeper/job"])
def test_a_job_that_is_moved_while_it_runs_goes_on_where_its_inputs_are_found(undisturbed, tmp_path, to):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    (tmp_path / to).parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    process = context.Process(target=run_and_move, args=(str(job.path), str(tmp_path / to)))
    process.start()
    process.join(60)
    assert process.exitcode == 7 and not job.path.exists()
    moved = JobFolder.open(tmp_path / to)
    assert moved.status().state == "interrupted" and moved.status().problems == ()
    if to != "beside":
        with pytest.raises(ContractError, match="cannot be read"):
            run_job(moved)
        assert moved.status().failure.code == "bad_input" and str(tmp_path) not in moved.status().failure.message
        moved.path.rename(job.path)
        moved = JobFolder.open(job.path)
    jobs.resume(moved)
    assert run_job(moved) == "finished"
    assert_same_student(moved, reference)
    assert_events_are_whole(moved)


def warned(job: JobFolder) -> dict[str, str]:
    return {event.code: event.message for event in read_events(job.events_path) if event.type == "warned"}


def paused_at(job: JobFolder, step: int, monkeypatch) -> None:
    at_step(monkeypatch, step, job.request_pause)
    assert run_job(job) == "paused"


def damage(*paths: Path) -> None:
    for path in paths:
        path.write_bytes(path.read_bytes()[:-7] + bytes(7))


def test_without_a_whole_checkpoint_a_job_starts_again_and_says_so(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    paused_at(job, 5, monkeypatch)
    damage(*job.checkpoint_path.glob("*.pt"))
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert {"checkpoint_corrupt", "starts_again"} <= warned(job).keys()
    assert [e.resumed_from for e in read_events(job.events_path) if e.type == "started"] == [None, None]
    assert_same_student(job, reference)
    assert_events_are_whole(job)


def test_damaged_later_checkpoints_do_not_push_out_whole_earlier_ones(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")
    paused_at(job, 5, monkeypatch)
    damage(*job.checkpoint_path.glob("step_*.pt"))
    jobs.resume(job)
    at_step(monkeypatch, 1, job.request_pause)
    assert run_job(job) == "paused"
    assert checkpoint.load_newest(job.checkpoint_path)[0] == 1 and checkpoint.load_newest(job.checkpoint_path)[2] == []


@pytest.mark.parametrize("lost", [["best"], ["best", "step_000000003"]], ids=["best", "best and its step"])
def test_a_damaged_best_checkpoint_is_taken_from_its_step_or_missed_aloud(undisturbed, tmp_path, monkeypatch, lost):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    paused_at(job, 5, monkeypatch)
    assert checkpoint.load_newest(job.checkpoint_path)[1]["progress"]["best_step"] == 3
    damage(*(job.checkpoint_path / f"{name}.pt" for name in lost))
    # nothing after it is better, whatever the tiny network does
    monkeypatch.setattr(ValidationResult, "score", 0.0)
    jobs.resume(job)
    assert run_job(job) == "finished"
    said = "has the weights of the last step" in warned(job).get("best_corrupt", "")
    assert said == (len(lost) == 2)
    kept = checkpoint.load_newest(job.checkpoint_path)[1] if said else reference_state(reference, 3)
    weights = weights_of(job)
    assert all(torch.equal(weights[name], (kept["average"] or kept["student"])[name]) for name in weights)


def reference_state(reference: JobFolder, step: int) -> dict:
    return torch.load(reference.checkpoint_path / f"step_{step:09d}.pt", weights_only=True)


def test_a_cached_case_that_is_damaged_is_made_again(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    paused_at(job, 1, monkeypatch)
    notes, images = (sorted((job.path / "cache").glob(kind)) for kind in ("*.json", "*.image.b2nd"))
    notes[0].write_text("{", encoding="utf-8")
    images[1].write_bytes(b"")
    images[2].unlink()
    before = len(job.reads_log.read_text(encoding="utf-8").splitlines())
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert len(job.reads_log.read_text(encoding="utf-8").splitlines()) == before + 6
    assert_same_student(job, reference)


def test_what_a_killed_process_left_half_written_is_cleared_away(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")
    paused_at(job, 1, monkeypatch)
    left = [folder / ".x.1234.partial" for folder in (job.path, job.checkpoint_path, job.path / "cache")]
    for path in left:
        path.write_bytes(b"half")
    jobs.resume(job)
    assert run_job(job) == "finished" and not any(path.exists() for path in left)


def test_a_gpu_that_is_not_there_is_refused_in_a_line(
    undisturbed, tiny_world, tiny_student, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    scan = tiny_world.test.image_path(tiny_world.test.cases()[0])
    model = ["--model", tiny_student.student_path, "--out", tmp_path / "out", "--device", "cuda"]
    for command in (
        ["train", undisturbed[0], "--job", tmp_path / "job", "--device", "cuda"],
        ["segment", *model, scan],
        ["evaluate", *model, "--dataset", tiny_world.test.path],
        ["plan", "--teacher", tiny_student.student_path, "--dataset", tiny_world.site_b.path, "--device", "cuda",
         "--out", tmp_path / "plan.json"],
    ):  # fmt: skip
        code, said = one_line(capsys, *command)
        assert code == 3 and said.startswith("organincrement: no CUDA device was found: use --device cpu")
    assert list(tmp_path.iterdir()) == []
