"""A cancel asked for twice, and of a job whose process has said its last word and goes on nevertheless."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tiny_world import student_job

from organincrement.workflows import jobs
from organincrement.workflows.errors import WorkflowError

ENGINE = str(Path(__file__).parents[2])
LINGERING = (
    f"import sys, time; sys.path.insert(0, {ENGINE!r})\n"
    "from pathlib import Path\n"
    "from organincrement.contract.events import EventWriter\n"
    "from organincrement.contract.job import JobFolder, claim_writer\n"
    "job = JobFolder.open(Path(sys.argv[1]))\n"
    "with claim_writer(job):\n"
    "    EventWriter(job.events_path).write('cancelled', step=0)\n"
    "    print('said', flush=True)\n"
    "    time.sleep(600)\n"
)


def test_a_process_that_lingers_after_its_job_was_cancelled_is_ended(tiny_world, tmp_path):
    job = student_job(tiny_world, tmp_path)
    command = [sys.executable, "-c", LINGERING, str(job.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"said\n"
        assert job.status().state == "cancelled"
        started_s = time.monotonic()
        assert jobs.cancel(job) == "cancelled"
        assert time.monotonic() - started_s < 6
        process.wait(5)
        assert not psutil.pid_exists(process.pid)
    with pytest.raises(WorkflowError, match="cancelled already"):
        jobs.cancel(job)
