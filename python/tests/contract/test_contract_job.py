import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import contract_samples as samples
import pytest

from organincrement.contract import codec, process
from organincrement.contract.errors import ContractError
from organincrement.contract.events import EventWriter
from organincrement.contract.job import JobFolder, claim_writer, derive_state
from organincrement.contract.process import ProcessRecord, is_alive, this_process

ENGINE = str(Path(__file__).parents[2])
WRITER = (
    f"import sys; sys.path[:0] = [{ENGINE!r}, {str(Path(__file__).parent)!r}]\n"
    "import contract_samples as samples\n"
    "from organincrement.contract.job import JobFolder, claim_writer\n"
    "from organincrement.contract.events import EventWriter\n"
    "job = JobFolder.open(sys.argv[1])\n"
    "with claim_writer(job):\n"
    "    EventWriter(job.events_path).write('started', **samples.started())\n"
    "    print('ready', flush=True)\n"
    "    sys.stdin.read()\n"
)


@pytest.fixture
def job(tmp_path: Path) -> JobFolder:
    return JobFolder.create(tmp_path / "job", samples.plan_bytes())


@contextmanager
def running_elsewhere(job: JobFolder) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", WRITER, str(job.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        yield writer


def test_the_plan_is_kept_byte_for_byte(job: JobFolder) -> None:
    assert job.plan_path.read_bytes() == samples.plan_bytes()
    assert JobFolder.open(job.path).plan() == samples.plan()
    with pytest.raises(ContractError, match="holds a job already"):
        JobFolder.create(job.path, samples.plan_bytes())


def test_a_folder_without_a_valid_plan_is_no_job(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="holds no job"):
        JobFolder.open(tmp_path)
    with pytest.raises(ContractError, match=r"plan.json: schema: is missing"):
        JobFolder.create(tmp_path / "job", b"{}")
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("event", "alive", "pause", "cancel", "state"),
    [
        (None, False, False, False, "created"),
        (None, True, False, False, "created"),
        (None, False, False, True, "cancelled"),
        (None, True, False, True, "cancelling"),
        ("started", True, False, False, "running"),
        ("started", True, True, False, "pausing"),
        ("started", True, False, True, "cancelling"),
        ("started", True, True, True, "cancelling"),
        ("started", False, False, False, "interrupted"),
        ("started", False, True, False, "interrupted"),
        ("started", False, False, True, "cancelled"),
        ("paused", False, True, False, "paused"),
        ("paused", False, False, False, "paused"),
        ("paused", False, True, True, "cancelled"),
        ("cancelled", False, False, True, "cancelled"),
        ("cancelled", True, False, True, "cancelled"),
        ("finished", False, False, False, "finished"),
        ("finished", False, True, True, "finished"),
        ("failed", False, False, False, "failed"),
        ("failed", False, False, True, "cancelled"),
    ],
)
def test_the_state_follows_from_event_flags_and_process(
    event: str | None, alive: bool, pause: bool, cancel: bool, state: str
) -> None:
    assert derive_state(event, alive=alive, pause=pause, cancel=cancel) == state


def test_a_killed_process_shows_at_once_even_before_its_parent_notices(job: JobFolder) -> None:
    with running_elsewhere(job) as writer:
        assert job.status().state == "running"
        job.request_pause()
        assert job.status().state == "pausing"
        writer.kill()
        os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but stays a zombie until asked for
        assert job.status().state == "interrupted"
    job.request_cancel()
    assert job.status().state == "cancelled"


def test_a_second_writer_is_refused_while_the_first_lives_and_let_in_afterwards(job: JobFolder) -> None:
    with running_elsewhere(job) as writer:
        with pytest.raises(ContractError, match=f"process {writer.pid} on .* is writing this job"), claim_writer(job):
            pass
        writer.kill()
    with claim_writer(job) as record:
        assert job.process() == record
        with pytest.raises(ContractError, match="is writing this job"), claim_writer(job):
            pass
    assert job.process() is None


def test_the_heartbeat_is_renewed_while_the_job_is_held(job: JobFolder) -> None:
    with process.claimed(job.process_path, every_s=0.01) as record:
        end = datetime.now(UTC) + timedelta(seconds=10)
        while job.process() == record and datetime.now(UTC) < end:
            pass
        renewed = job.process()
    assert renewed is not None
    assert renewed.heartbeat > record.heartbeat
    assert replace(renewed, heartbeat=record.heartbeat) == record


def _beat_ago(seconds: float, record: ProcessRecord) -> ProcessRecord:
    return replace(record, heartbeat=(datetime.now(UTC) - timedelta(seconds=seconds)).isoformat())


def test_a_process_of_another_host_lives_as_long_as_its_heart_beats() -> None:
    elsewhere = replace(this_process(), host="another-host")
    assert is_alive(_beat_ago(25, elsewhere))
    assert not is_alive(_beat_ago(31, elsewhere))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux for the process")
def test_on_this_host_the_system_is_believed_rather_than_the_heartbeat() -> None:
    me = this_process()
    assert is_alive(_beat_ago(3600, me))
    assert not is_alive(replace(me, boot_id="another boot"))
    assert me.process_start is not None
    assert not is_alive(replace(me, process_start=me.process_start - 1))  # the number went to another process
    assert not is_alive(replace(me, pid=2**22 + 1))


def test_a_heartbeat_that_is_no_time_is_refused(job: JobFolder) -> None:
    codec.write(this_process(), job.process_path)
    job.process_path.write_text(
        job.process_path.read_text(encoding="utf-8").replace('"heartbeat": "2', '"heartbeat": "x2'), encoding="utf-8"
    )
    with pytest.raises(ContractError, match=r"process.json: heartbeat 'x2.* is not a UTC time"):
        job.status()


def test_status_sums_the_events_up_and_reads_only_new_ones(job: JobFolder) -> None:
    writer = EventWriter(job.events_path)
    assert (job.status().state, job.status().last_event) == ("created", None)
    writer.write("started", **samples.started())
    writer.write("step", **samples.step(10))
    writer.write("warned", code="slow", message="data is slow")
    status = job.status()
    assert (status.step, status.total_steps, status.eta_s, status.phase) == (10, 100, 45.0, "train")
    assert (status.losses, status.message) == ({"distillation": 0.25}, "data is slow")
    assert status.last_event is not None
    assert status.last_event.type == "warned"
    writer.write("failed", code="disk_full", message="Disk is full.", what_to_do="Free 2 GB.")
    status = job.status()
    assert (status.state, status.message) == ("failed", "Disk is full. Free 2 GB.")
    assert status == JobFolder.open(job.path).status()


def test_a_resumed_job_forgets_void_steps_and_its_failure(job: JobFolder) -> None:
    writer = EventWriter(job.events_path)
    writer.write("started", **samples.started())
    writer.write("step", **samples.step(30))
    writer.write("validated", step=20, dice={}, agreement={}, best=True)
    writer.write("failed", code="internal", message="m", what_to_do="w")
    writer.write("started", **samples.started(resumed_from=20))
    status = job.status()
    assert (status.state, status.step, status.progress, status.failure) == ("interrupted", 20, None, None)
    assert status.validated is not None


def test_a_gap_in_the_events_is_part_of_the_status(job: JobFolder) -> None:
    writer = EventWriter(job.events_path)
    writer.write("started", **samples.started())
    writer.write("paused", step=0)
    job.events_path.write_text(
        job.events_path.read_text(encoding="utf-8").splitlines(keepends=True)[1], encoding="utf-8"
    )
    status = job.status()
    assert status.state == "paused"
    assert ["line 1: seq goes from -1 to 1" in problem for problem in status.problems] == [True]


def test_flags_and_the_read_log_are_plain_files(job: JobFolder) -> None:
    job.request_pause()
    assert (job.path / "pause").read_bytes() == b""
    assert job.pause_requested
    job.clear_pause()
    job.clear_pause()
    assert not job.pause_requested
    assert not job.cancel_requested
    job.request_cancel()
    assert job.cancel_requested
    job.log_read("pt_1", samples.SHA)
    job.log_read("pt_2", samples.SHA)
    assert job.reads_log.read_text(encoding="utf-8") == f"pt_1 {samples.SHA}\npt_2 {samples.SHA}\n"
