"""Two and four processes make the student that one process makes of the same batches, whatever happens to them."""

import errno
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from distributed_world import FRESH, PORTLESS, Wanted, furthest, together, write_wanted
from safetensors.torch import load_file

from organincrement.contract.events import EventTail, read_events
from organincrement.contract.job import JobFolder
from organincrement.training.distributed import _as_words, _from_words, arose_elsewhere
from organincrement.training.distributed_batches import BatchTooSmall, parts_of
from organincrement.training.signals import DiskFull, PauseRequested, is_disk_full
from organincrement.training.torchrun import NotTogether, Place, bind
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.train import create_job, run_job

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="torchrun needs fork and gloo")]
WORKER = str(Path(__file__).with_name("distributed_world.py"))
EQUAL = 1e-6
SPARSE = {"targets": (0.5,), "window": 1, "drop": 1.0, "start": "fresh"}
BATCH_NORM = {**FRESH, "norm": "batch", "nonlinearity": "relu", "bottleneck_dropout": 0.5}
TWO = ("bla-uag", "mib", "ms-kd", "lwfseg", "continual-segment", "co-training", "multi-head", "supervised")
FOUR = ("bla-uag", "supervised")


def wanted(name, world) -> Wanted:
    """A plan of each kind of loss, layer and phase there is."""
    a, b, teacher = world.site_a.path, world.site_b.path, world.teacher
    settings = {
        "bla-uag": {"uncertainty": "relative", "perturbations": 2, "smoothing": 0.3, "direction": "reverse"},
        "continual-segment": SPARSE,
        "supervised": BATCH_NORM,
        "co-training": {**FRESH, "ramp_steps": 2},
        "multi-head": FRESH,
    }.get(name)
    parts = 1 if name in FOUR else 2  # of four patches
    if name in ("multi-head", "co-training"):
        return Wanted(method=name, datasets=(a, b), settings=settings, accumulation=parts)
    if name == "supervised":
        return Wanted(method=name, datasets=(a,), settings=settings, accumulation=parts)
    return Wanted(method=name, datasets=(b,), teachers=(teacher,), settings=settings, accumulation=parts)


@pytest.fixture(scope="module")
def alone(tiny_world, tmp_path_factory) -> dict[str, tuple[Path, JobFolder]]:
    """Each plan, and the job of it that one process ran."""
    root, done = tmp_path_factory.mktemp("alone"), {}
    for name in dict.fromkeys(TWO + FOUR):
        plan = write_wanted(wanted(name, tiny_world), root / f"{name}.json")
        job = create_job(plan, root / name)
        assert run_job(job) == "finished"
        done[name] = plan, job
    return done


def run_by(count, orders, folder) -> tuple[int, str]:
    """Run orders (name of the job, plan, story) by so many processes. Returns: torchrun's exit code and output."""
    jobs = [{"plan": str(plan), "job": str(folder / name), "story": story} for name, plan, story in orders]
    file = folder / "orders.json"
    file.write_text(json.dumps({"jobs": jobs, "heard": str(folder / "heard.json")}), encoding="utf-8")
    process = together(count, WORKER, str(file))
    try:
        said, _ = process.communicate(timeout=400)
    finally:
        process.kill()
    return process.returncode, said


@pytest.fixture(scope="module")
def of_two(alone, tmp_path_factory) -> Path:
    """The same by two processes, and jobs to which something happens."""
    folder, plan = tmp_path_factory.mktemp("two"), alone["mib"][0]
    orders = [(name, alone[name][0], "") for name in TWO]
    orders += [("paused", plan, "pause"), ("paused", plan, ""), ("cancelled", plan, "cancel")]
    orders += [("not-finite", plan, "not finite"), ("unreadable", plan, "unreadable"), ("told", plan, "alone")]
    code, said = run_by(2, orders, folder)
    assert code == 0, said
    return folder


@pytest.mark.parametrize("name", TWO)
def test_two_processes_make_the_student_of_one(name, alone, of_two):
    reference, job = alone[name][1], JobFolder.open(of_two / name)
    assert furthest(job, reference) < EQUAL
    found, expected = (load_file(of.student_path / "weights.safetensors") for of in (job, reference))
    assert found.keys() == expected.keys()
    assert max(float((found[n].float() - expected[n].float()).abs().max()) for n in expected) < EQUAL


@pytest.mark.parametrize("name", FOUR)
def test_four_processes_make_the_student_of_one(name, alone, of_four):
    assert furthest(JobFolder.open(of_four / name), alone[name][1]) < EQUAL


@pytest.fixture(scope="module")
def of_four(alone, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("four")
    orders = [(name, alone[name][0], "") for name in FOUR]
    code, said = run_by(4, orders, folder)
    assert code == 0, said
    return folder


def test_the_first_process_alone_writes_events(of_two):
    heard = json.loads((of_two / "heard.json").read_text(encoding="utf-8"))
    problems: list[str] = []
    events = read_events(of_two / "mib" / "events.jsonl", problems)
    started = [event for event in events if event.type == "started"]
    assert [event.pid for event in started] == [heard[0]["pid"]] and started[0].device.endswith(", 2 processes")
    assert problems == [] and sum(event.type == "finished" for event in events) == 1


def test_processes_listen_on_the_loopback_interface_alone(of_two):
    heard = json.loads((of_two / "heard.json").read_text(encoding="utf-8"))
    assert len(heard) == 2 and all(one["listening"] for one in heard)
    assert {address for one in heard for address in one["listening"]} <= {"127.0.0.1", "::1"}


def outcomes(folder: Path, name: str, story: str) -> list[str]:
    """What each of two processes made of a job."""
    return [(folder / f"{name}.{story}.{rank}").read_text(encoding="utf-8") for rank in range(2)]


def test_a_pause_stops_all_and_the_next_start_goes_on_where_they_stopped(of_two, alone):
    job = JobFolder.open(of_two / "paused")
    assert outcomes(of_two, "paused", "pause") == ["paused", "paused"]
    assert outcomes(of_two, "paused", "") == ["finished", "finished"]
    assert furthest(job, alone["mib"][1]) < EQUAL
    started = [event for event in read_events(job.events_path) if event.type == "started"]
    assert [event.resumed_from for event in started] == [None, 2]


def test_a_cancel_stops_all(of_two):
    job = JobFolder.open(of_two / "cancelled")
    assert outcomes(of_two, "cancelled", "cancel") == ["cancelled", "cancelled"]
    assert job.status().state == "cancelled" and not job.student_path.exists()


def test_a_loss_that_is_no_number_in_one_process_takes_all_of_them_back(of_two):
    job = JobFolder.open(of_two / "not-finite")
    assert outcomes(of_two, "not-finite", "not finite") == ["finished", "finished"]
    (warned,) = [event for event in read_events(job.events_path) if event.type == "warned"]
    assert warned.code == "not_finite" and "back to step 0" in warned.message and warned.message.count("phantom_b") == 4


def test_what_one_process_cannot_read_all_of_them_refuse_and_the_job_says_so(of_two):
    job, reason = JobFolder.open(of_two / "unreadable"), "scan.nii.gz: is not what it was; import it again"
    assert outcomes(of_two, "unreadable", "unreadable") == [f"ValueError: {reason}"] * 2
    assert job.status().state == "failed" and job.status().failure.message == reason


def test_a_failure_in_the_middle_of_a_step_is_told_to_the_first_process(of_two):
    job = JobFolder.open(of_two / "told")
    assert outcomes(of_two, "told", "alone") == ["ValueError: case7: has no voxels"] * 2
    assert job.status().state == "failed" and job.status().failure.message == "case7: has no voxels"


def test_a_killed_process_costs_the_steps_since_the_last_checkpoint_and_nothing_else(tiny_world, tmp_path):
    plan = write_wanted(replace(wanted("mib", tiny_world), steps=24), tmp_path / "plan.json")
    reference, job = create_job(plan, tmp_path / "reference"), tmp_path / "job"
    assert run_job(reference) == "finished"
    process = together(2, "-m", "organincrement", "train", str(plan), "--job", str(job), "--distributed", restarts=1)
    tail, deadline_s = EventTail(job / "events.jsonl"), time.monotonic() + 200
    while not any(event.type == "checkpointed" and event.step > 0 for event in tail.poll()):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.02)
    (second,) = [c for c in psutil.Process(process.pid).children() if c.environ().get("RANK") == "1"]
    os.kill(second.pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=200)
    done = JobFolder.open(job)
    assert process.returncode == 0 and f"{job}: finished" in said, said
    started = [event for event in read_events(done.events_path) if event.type == "started"]
    assert len(started) == 2 and started[1].resumed_from >= 2
    assert furthest(done, reference) < EQUAL and done.status().problems == ()


def test_without_any_port_processes_meet_through_files_and_validate_the_weights_that_are_packaged(tiny_world, tmp_path):
    plan = write_wanted(replace(wanted("mib", tiny_world), steps=12), tmp_path / "plan.json")
    reference, job = create_job(plan, tmp_path / "reference"), tmp_path / "job"
    assert run_job(reference) == "finished"
    process = together(
        2, "-m", "organincrement", "train", str(plan), "--job", str(job), "--distributed",
        meeting=(*PORTLESS, "--rdzv-endpoint", str(tmp_path / "rendezvous")), TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1",
    )  # fmt: skip
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0 and f"{job}: finished" in said, said
    assert furthest(JobFolder.open(job), reference) < EQUAL
    metrics = [json.loads((of / "student/model.json").read_text("utf-8"))["metrics"] for of in (job, reference.path)]
    assert metrics[0] == metrics[1] and metrics[0]["validation"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (PermissionError(errno.EACCES, "Permission denied", "scan.nii.gz"), PermissionError),
        (MemoryError("too much"), MemoryError), (KeyError("a"), RuntimeError), (WorkflowError("refused"), ValueError),
        (DiskFull(5), DiskFull), (PauseRequested(), PauseRequested),
    ],
)  # fmt: skip
def test_what_stops_one_process_stops_the_others_as_what_it_is(error, kind):
    told = _from_words(json.loads(json.dumps(_as_words(error, 1))))
    assert type(told) is kind and str(told) == str(error) and arose_elsewhere(told)
    assert is_disk_full(told) == is_disk_full(error)


def test_every_part_of_a_batch_is_shared_without_gap_or_overlap():
    for batch, largest, processes in ((4, 4, 2), (7, 4, 3), (8, 3, 2), (5, 5, 4)):
        shares = [parts_of(batch, largest, rank, processes) for rank in range(processes)]
        places = [place for share in shares for part in share for place in range(part.begin, part.end)]
        assert sorted(places) == list(range(batch))
        assert all(part.end > part.begin for share in shares for part in share)


def test_more_processes_than_patches_are_refused_with_what_to_do():
    with pytest.raises(BatchTooSmall, match=r"4 processes cannot share 2 patches: plan with a larger training\.batch"):
        parts_of(4, 2, 0, 4)


def test_without_torchrun_the_command_to_use_is_named():
    with pytest.raises(NotTogether, match="torchrun --standalone --nproc-per-node 2 -m organincrement train"):
        Place.of({})


def test_an_interface_must_exist_and_must_be_named_for_several_computers(monkeypatch):
    here = Place(rank=0, size=2, local_rank=0, local_size=2, restarts=0)
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, "")  # put back afterwards
    (loopback,) = [n for n, known in psutil.net_if_addrs().items() if any(a.address == "127.0.0.1" for a in known)]
    assert bind(here, None, {}) == loopback and os.environ["NCCL_SOCKET_IFNAME"] == f"={loopback}"
    with pytest.raises(NotTogether, match="no network interface 'ib7'; there are"):
        bind(here, "ib7", {})
    with pytest.raises(NotTogether, match="processes on several computers need --interface"):
        bind(replace(here, local_size=1), None, {})
    assert bind(replace(here, local_size=1), None, {"GLOO_SOCKET_IFNAME": loopback}) == loopback
