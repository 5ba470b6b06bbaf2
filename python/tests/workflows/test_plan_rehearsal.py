"""A plan's estimate comes from a short rehearsal of the job, and is what the job then takes."""

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from tiny_world import FIRST_MODEL, QUICK, copied, student_job

from organincrement.contract.events import Step, read_events
from organincrement.methods.continual_segment import ContinualSegment
from organincrement.methods.fine_tune import FineTune
from organincrement.methods.protocol import LossTerms
from organincrement.planning.errors import PlanningError
from organincrement.planning.estimate import CaseSize, seconds_by_part
from organincrement.training.device import resolve_hardware
from organincrement.workflows.make_plan import PlanRequest, make_plan
from organincrement.workflows.plan_estimate import fitted_plan
from organincrement.workflows.plan_rehearsal import rehearse
from organincrement.workflows.setup import set_up
from organincrement.workflows.train import run_job

CPU = resolve_hardware("cpu", "fp32")
SIZE = CaseSize(scan_voxels=24 * 28 * 32, grid=(24, 28, 32))
WITHIN = 0.25


class Clock:
    """Seconds that go by only where a test lets them."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def rehearsed(job, clock=time.perf_counter):
    setup = set_up(job.plan(), job.plan_path)
    return rehearse(setup, setup.plan, CPU, [SIZE] * len(setup.cases), clock)


def test_steps_cost_what_the_later_ones_take_and_the_first_ones_more_once(tiny_world, tmp_path, monkeypatch):
    job, clock, loss = student_job(tiny_world, tmp_path, training__steps=1000), Clock(), FineTune.loss

    def slow(method, student, batch):
        clock.now += 7.0 if batch.step == 0 else 2.0
        return loss(method, student, batch)

    monkeypatch.setattr(FineTune, "loss", slow)
    found = rehearsed(job, clock)
    parts = seconds_by_part(found.work, found.costs)
    assert parts["steps"] == pytest.approx(1000 * 2.0 + 5.0)
    assert parts["validation"] == parts["cases"] == 0.0


def test_every_phase_of_a_pruning_is_rehearsed(tiny_world, tmp_path, monkeypatch):
    job, clock = student_job(tiny_world, tmp_path, "continual-segment", training__steps=420), Clock()
    loss = ContinualSegment.loss

    def slower_once_pruned(method, student, batch):
        clock.now += 0.2 if student.pruned else 0.1
        return loss(method, student, batch)

    monkeypatch.setattr(ContinualSegment, "loss", slower_once_pruned)
    found = rehearsed(job, clock)
    assert found.work.phases == [200, 110, 110]
    assert found.costs.step_s == pytest.approx((0.1, 0.2, 0.2))
    # without a score there is nothing to prune by, and the first phase has all steps
    held_none = student_job(tiny_world, tmp_path / "none", "continual-segment", validation__cases=[])
    assert rehearsed(held_none).work.phases == [6]


def test_validation_costs_by_the_windows_of_all_held_back_cases(tiny_world, tmp_path):
    few, many = (
        rehearsed(student_job(tiny_world, tmp_path / str(n), validation__cases=names))
        for n, names in enumerate((["phantom_b_0011"], ["phantom_b_0011", "phantom_b_0012", "phantom_b_0013"]))
    )
    assert (len(few.work.held), len(many.work.held)) == (1, 3)
    one, three = (seconds_by_part(found.work, many.costs) for found in (few, many))
    assert three["validation"] == pytest.approx(3 * one["validation"]) and three["teachers"] > one["teachers"] > 0


def test_a_rehearsal_leaves_nothing_behind(tiny_world, tmp_path, monkeypatch):
    job, place = student_job(tiny_world, tmp_path), tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    rehearsed(job)
    assert list(place.iterdir()) == []


def test_what_a_killed_rehearsal_left_is_gone_with_the_next(tiny_world, tmp_path, monkeypatch):
    job, place = student_job(tiny_world, tmp_path), tmp_path / "temporary"
    running, killed, foreign = (place / name for name in ("organincrement-plan-a", "organincrement-plan-b", "other"))
    for folder in (running, killed, foreign):
        (folder / "job").mkdir(parents=True)
    for folder in (killed, foreign):
        os.utime(folder, (time.time() - 7 * 3600,) * 2)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    rehearsed(job)
    assert sorted(place.iterdir()) == [running, foreign]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends a process without asking it")
def test_a_plan_that_is_terminated_leaves_no_scan_behind(tiny_world, tmp_path):
    place = tmp_path / "temporary"
    place.mkdir()
    command = [
        sys.executable, "-m", "organincrement", "plan", "--method", "fine-tune", "--dataset", tiny_world.site_b.path,
        "--teacher", tiny_world.teacher, "--out", tmp_path / "plan.json", "--set", "training.patch=[16,16,16]",
    ]  # fmt: skip
    engine = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, cwd=engine, env={**os.environ, "TMPDIR": str(place)}, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 100
    while not list(place.glob("organincrement-plan-*/**/*.b2nd")):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert list(place.iterdir()) == [] and not (tmp_path / "plan.json").exists()


def test_a_first_loss_that_is_no_number_is_said_in_a_line(tiny_world, tmp_path, monkeypatch):
    job, loss = student_job(tiny_world, tmp_path), FineTune.loss

    def spoilt(method, student, batch):
        terms = loss(method, student, batch)
        return LossTerms(terms={name: value * torch.nan for name, value in terms.terms.items()})

    monkeypatch.setattr(FineTune, "loss", spoilt)
    setup = set_up(job.plan(), job.plan_path)
    with pytest.raises(PlanningError, match=r"a step on trial failed: the loss is not a number at step \d"):
        fitted_plan(setup, CPU, [SIZE] * len(setup.cases), lambda line: None)


def test_where_noise_stands_in_for_large_cases_their_whole_grid_counts(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, validation__cases=["phantom_b_0011"])
    setup = set_up(job.plan(), job.plan_path)
    large = CaseSize(scan_voxels=512 * 512 * 400, grid=(200, 200, 200))
    found = rehearse(setup, setup.plan, CPU, [large] * len(setup.cases), time.perf_counter)
    assert found.costs.kept == (1.0, 1.0, 1.0)


def test_a_label_that_cannot_be_read_is_left_for_the_job_to_complain_of(tiny_world, tmp_path):
    dataset = copied(tiny_world.site_b, tmp_path / "torn")
    for case in dataset.cases():
        path = dataset.path / case.label
        path.write_bytes(path.read_bytes()[:-200])
    request = PlanRequest(
        datasets=[dataset.path], out=tmp_path / "plan.json", teachers=[tiny_world.teacher], method="fine-tune",
        device="cpu", overrides=dict(QUICK),
    )  # fmt: skip
    said = make_plan(request).estimate
    assert said.seconds > 0 and said.ram_bytes > 100 * 2**20
    assert said.disk_bytes > 4 * 24 * 28 * 32 * 1.5


def test_a_micro_batch_that_does_not_fit_is_said_rather_than_measured(tiny_world, tmp_path, monkeypatch):
    job = student_job(tiny_world, tmp_path, training__batch=4)
    loss, failed = FineTune.loss, []

    def too_much(method, student, batch):
        if len(batch.case_ids) > 2:
            failed.append(len(batch.case_ids))
            raise MemoryError
        return loss(method, student, batch)

    monkeypatch.setattr(FineTune, "loss", too_much)
    with pytest.raises(MemoryError):
        rehearsed(job)
    assert failed == [4]


def test_no_room_for_temporary_files_is_said_in_a_line(tiny_world, tmp_path, monkeypatch):
    def full(*others, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("organincrement.training.loop.save_checkpoint", full)
    with pytest.raises(PlanningError, match="disk for temporary files is full: free space there"):
        student_job(tiny_world, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_disk_of_a_job_is_as_planned(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path, training__steps=30, validation__every_steps=5)
    most, over = [0], threading.Event()

    def watch():
        while not over.is_set():
            most[0] = max(most[0], folder_bytes(job.path))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run_job(job)
    finally:
        over.set()
        watcher.join()
    assert abs(job.plan().estimate.disk_bytes / most[0] - 1) < WITHIN


@pytest.mark.slow
def test_the_memory_of_a_job_with_a_data_worker_is_as_planned(tiny_world, tmp_path):
    """In processes of their own, as the command makes them: what a test has loaded does not count."""
    plan, job = tmp_path / "plan.json", tmp_path / "job"
    settings = {**QUICK, **FIRST_MODEL, "training.patch": [24, 24, 24], "training.workers": 1, "training.steps": 12}
    chosen = [f"{name}={json.dumps(value)}" for name, value in settings.items()]
    dataset = str(tiny_world.site_a.path)
    said = command(
        "plan", "--dataset", dataset, "--method", "supervised", "--device", "cpu", "--out", str(plan), "--set", *chosen
    )
    most = command("train", str(plan), "--job", str(job))
    planned = json.loads(plan.read_text(encoding="utf-8"))["estimate"]
    assert said > 0 and abs(planned["ram_bytes"] / most - 1) < WITHIN
    events = [event for event in read_events(job / "events.jsonl") if isinstance(event, Step)]
    assert abs(planned["ram_bytes"] / max(event.ram_bytes for event in events) - 1) < WITHIN


def command(*words):
    """Run the command. Returns: the most memory that it and its children had at once."""
    process = subprocess.Popen(
        [sys.executable, "-m", "organincrement", *words], stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )  # fmt: skip
    seen, most = psutil.Process(process.pid), 0
    while True:
        most = max(most, tree_bytes(seen))
        try:
            assert process.wait(timeout=0.1) == 0
            return most
        except subprocess.TimeoutExpired:
            continue


def tree_bytes(process):
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.Error:
        return total  # one of them has ended
    return total


def folder_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except OSError:
                continue  # renamed since
    return total
