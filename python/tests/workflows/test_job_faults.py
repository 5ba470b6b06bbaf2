"""What goes wrong while a job runs: divergence, a full disk, too little memory, damaged or changed files."""

import errno

import pytest
import torch
from job_stories import assert_events_are_whole, assert_same_student, at_step, types_of
from tiny_world import Order, copied, student_job, write_plan

from organincrement.contract.errors import ContractError
from organincrement.contract.events import read_events
from organincrement.contract.files import write_atomic
from organincrement.contract.job import JobFolder
from organincrement.methods.fine_tune import FineTune
from organincrement.methods.protocol import LossTerms
from organincrement.models import package
from organincrement.training import checkpoint
from organincrement.training.signals import DiskFull, Diverged
from organincrement.workflows import batches_of_cases, jobs
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.failures import failure_of
from organincrement.workflows.train import create_job, run_job


@pytest.fixture(scope="module")
def undisturbed(tiny_world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    job = student_job(tiny_world, folder)
    assert run_job(job) == "finished"
    return folder / "plan.json", job


def spoil_losses(monkeypatch, *calls):
    """The loss of these calls (from 1) is not a number."""
    loss, count = FineTune.loss, iter(range(1, 10_000))

    def spoilt(self, student, batch):
        terms, number = loss(self, student, batch).terms, next(count)
        factor = float("nan") if number in calls else 1.0
        return LossTerms(terms={name: term * factor for name, term in terms.items()})

    monkeypatch.setattr(FineTune, "loss", spoilt)


def warnings_of(job: JobFolder) -> dict[str, str]:
    return {event.code: event.message for event in read_events(job.events_path) if event.type == "warned"}


def case_ids(world) -> set[str]:
    return {case.id for case in world.site_b.cases()}


def test_a_loss_that_is_no_number_goes_back_once_with_half_the_step_size(
    tiny_world, undisturbed, tmp_path, monkeypatch
):
    job = create_job(undisturbed[0], tmp_path / "job")
    spoil_losses(monkeypatch, 5)
    assert run_job(job) == "finished"
    message = warnings_of(job)["not_finite"]
    assert "at step 4" in message and "back to step 3 with half the step size" in message
    assert any(case in message for case in case_ids(tiny_world))
    rates = [
        [event.lr for event in read_events(of.events_path) if event.type == "step" and event.step == 6][-1]
        for of in (job, undisturbed[1])
    ]
    assert rates[0] == pytest.approx(rates[1] / 2)
    assert_events_are_whole(job)


def test_a_second_time_fails_as_diverged_with_the_cases_named(tiny_world, undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")
    spoil_losses(monkeypatch, 2, 4)
    with pytest.raises(Diverged):
        run_job(job)
    failure = job.status().failure
    assert job.status().state == "failed" and failure.code == "diverged"
    assert "also with a smaller step" in failure.message and "smaller learning rate" in failure.what_to_do
    assert any(case in failure.message for case in case_ids(tiny_world))


def test_steps_that_are_far_too_large_are_noticed_before_a_student_is_made(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, training__optimizer__lr=1e30)
    with pytest.raises(Diverged):
        run_job(job)
    assert warnings_of(job).keys() == {"not_finite"} and not job.student_path.exists()


def test_gradients_that_overflow_do_not_reach_the_weights(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")
    loss, count = FineTune.loss, iter(range(1, 100))

    def steep(self, student, batch):
        terms = loss(self, student, batch)
        if next(count) != 5:
            return terms
        weight = next(student.parameters())
        infinite = (weight * 0).sqrt().sum()  # the root of nothing is nothing, and infinitely steep
        return LossTerms(terms={**terms.terms, "steep": infinite})

    monkeypatch.setattr(FineTune, "loss", steep)
    assert run_job(job) == "finished" and "at step 4" in warnings_of(job)["not_finite"]


@pytest.mark.parametrize("writes", [0, 2, 5])
def test_a_full_disk_pauses_the_job_and_says_how_much_it_needs(undisturbed, tmp_path, monkeypatch, writes):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    left = iter(range(writes))

    def full(path, data):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "no space left on device", str(path))
        write_atomic(path, data)

    monkeypatch.setattr(checkpoint, "write_atomic", full)
    assert run_job(job) == "paused"
    assert job.status().state == "paused" and types_of(job)[-2:] == ["warned", "paused"]
    assert "MiB are needed; free space and resume" in warnings_of(job)["disk_full"]
    monkeypatch.undo()
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)


def test_a_disk_that_is_full_when_the_student_is_written_pauses_too(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")

    def full(path, state, told):
        raise OSError(errno.ENOSPC, "no space left on device", str(path))

    monkeypatch.setattr(package, "write_weights", full)
    assert run_job(job) == "paused" and not job.student_path.exists()
    monkeypatch.undo()
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert_same_student(job, reference)


def test_a_pause_onto_a_full_disk_is_a_pause(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")

    def full(path, data):
        raise OSError(errno.EDQUOT, "quota exceeded", str(path))

    def fill_and_pause():
        monkeypatch.setattr(checkpoint, "write_atomic", full)
        job.request_pause()

    at_step(monkeypatch, 2, fill_and_pause)
    assert run_job(job) == "paused" and job.status().state == "paused" and "disk_full" in warnings_of(job)


def test_a_folder_that_may_not_be_written_is_not_called_a_full_disk(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")

    def forbidden(path, data):
        raise PermissionError(errno.EACCES, "permission denied", str(path))

    monkeypatch.setattr(checkpoint, "write_atomic", forbidden)
    with pytest.raises(PermissionError):
        run_job(job)
    assert job.status().failure.code == "bad_input" and "permission denied" in job.status().failure.message


def test_a_batch_that_does_not_fit_is_halved_until_it_does(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path, training__batch=4)
    loss, sizes = FineTune.loss, []

    def greedy(self, student, batch):
        sizes.append(len(batch.case_ids))
        if len(batch.case_ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(self, student, batch)

    monkeypatch.setattr(FineTune, "loss", greedy)
    assert run_job(job) == "finished"
    assert sizes[:6] == [4, 2, 1, 1, 1, 1] and set(sizes[6:]) == {1} and len(sizes) == 2 + 4 * 6
    said = [event.message for event in read_events(job.events_path) if event.type == "warned"]
    assert said == [f"out of GPU memory: going on with parts of {parts} patches" for parts in (2, 1)]


def test_a_single_patch_that_does_not_fit_fails_with_what_to_do(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")

    def greedy(self, student, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(FineTune, "loss", greedy)
    with pytest.raises(torch.OutOfMemoryError):
        run_job(job)
    failure = job.status().failure
    assert failure.code == "out_of_memory" and "smaller patch, or use --device cpu" in failure.what_to_do


def test_accumulated_parts_give_the_step_of_the_whole_batch(tiny_world, tmp_path):
    """Cross entropy and Dice are taken per part, so the parts agree closely, not exactly."""
    whole, parts = (
        student_job(tiny_world, tmp_path / name, training__batch=4, training__accumulation=n, training__steps=1)
        for name, n in (("whole", 1), ("parts", 2))
    )
    assert run_job(whole) == run_job(parts) == "finished"
    totals = [next(e.total for e in read_events(job.events_path) if e.type == "step") for job in (whole, parts)]
    assert totals[0] == pytest.approx(totals[1], rel=0.1) and totals[0] != totals[1]


def test_a_damaged_newest_checkpoint_is_passed_over_and_said(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    at_step(monkeypatch, 5, job.request_pause)
    assert run_job(job) == "paused"
    newest = job.checkpoint_path / "step_000000005.pt"
    newest.write_bytes(newest.read_bytes()[:-1])
    jobs.resume(job)
    assert run_job(job) == "finished"
    assert "step_000000005.pt is damaged and was passed over" in warnings_of(job)["checkpoint_corrupt"]
    started = [event.resumed_from for event in read_events(job.events_path) if event.type == "started"]
    assert started == [None, 3]
    assert_same_student(job, reference)


def test_what_a_failed_job_says_tells_nobodys_folders(tiny_world, tmp_path):
    dataset = copied(tiny_world.site_b, tmp_path / "ward-7")
    plan = write_plan(Order(dataset=dataset.path, out=tmp_path / "plan.json", teacher=tiny_world.teacher))
    job = create_job(plan, tmp_path / "job")
    (dataset.path / "dataset.json").write_text("{", encoding="utf-8")
    with pytest.raises(ContractError):
        run_job(job)
    assert job.status().failure.message.startswith("ward-7/dataset.json: is not valid JSON")
    assert str(tmp_path) not in job.events_path.read_text(encoding="utf-8")


def test_an_error_of_our_own_leaves_where_it_arose_in_the_log(undisturbed, tmp_path, monkeypatch):
    job = create_job(undisturbed[0], tmp_path / "job")
    monkeypatch.setattr(batches_of_cases, "PatchSampler", None)
    with pytest.raises(TypeError):
        run_job(job)
    failure = job.status().failure
    assert (
        failure.code == "internal" and failure.message.startswith("TypeError: ") and "process.log" in failure.what_to_do
    )
    log = job.log_path.read_text(encoding="utf-8")
    assert "in batches" in log and "TypeError" in log and str(tmp_path) not in log


def test_a_failed_job_can_be_resumed_once_its_cause_is_gone(undisturbed, tmp_path, monkeypatch):
    plan, reference = undisturbed
    job = create_job(plan, tmp_path / "job")
    monkeypatch.setattr(batches_of_cases, "PatchSampler", None)
    with pytest.raises(TypeError):
        run_job(job)
    monkeypatch.undo()
    jobs.resume(job)
    assert run_job(job) == "finished" and job.status().failure is None
    assert_same_student(job, reference)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (torch.OutOfMemoryError("CUDA"), "out_of_memory", "not enough memory"),
        (MemoryError(), "out_of_memory", "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory", "not enough memory"),
        (OSError(errno.EROFS, "Read-only file system", "/home/anna/job/x"), "bad_input", "system: 'x'"),
        (OSError(errno.EACCES, "Permission denied", "C:\\Users\\anna\\x"), "bad_input", "denied: 'x'"),
        (OSError(errno.ENOSPC, "no space"), "disk_full", "the disk is full"),
        (DiskFull(3 * 2**20), "disk_full", "a checkpoint needs 3 MiB"),
        (Diverged("at step 7 (cases pt_1)"), "diverged", "pt_1"),
        (WorkflowError("teacher: has changed"), "bad_input", "teacher: has changed"),
        (ContractError("pt_1.json: is\nnot valid"), "bad_input", "pt_1.json: is not valid"),
        (FileNotFoundError(errno.ENOENT, "gone", "x.nii"), "bad_input", "x.nii"),
        (KeyError("pt_1"), "internal", "KeyError: 'pt_1'"),
    ],
)
def test_every_failure_has_a_code_one_line_and_what_to_do(error, code, says):
    failure = failure_of(error)
    assert failure.code == code and says in failure.message
    assert "\n" not in failure.message and failure.what_to_do.endswith(".")


def test_who_plans_anew_after_a_failure_is_told_to_train_into_another_folder(undisturbed, tmp_path):
    plan, _ = undisturbed
    create_job(plan, tmp_path / "job")
    with pytest.raises(ContractError, match="holds a job already; resume it or choose another folder"):
        create_job(plan, tmp_path / "job")
    to_do = failure_of(WorkflowError("teacher: has changed since the plan was made")).what_to_do
    assert "resume the job, or plan again and train into another folder" in to_do
