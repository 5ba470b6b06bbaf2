"""Training by several processes, which torchrun starts: the same command in each, one job, one student."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from organincrement.contract import codec
from organincrement.contract.files import locked
from organincrement.contract.job import JobFolder
from organincrement.contract.plan import Plan, moved_plan
from organincrement.training.device import resolve_hardware
from organincrement.training.distributed import Group, joined
from organincrement.training.torchrun import Place, bind
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.jobs import resume
from organincrement.workflows.train import create_job, refuse_inside, run_job

_OVER = ("finished", "cancelled")


class SharedJob(JobFolder):
    """A job that several processes read for: one at a time notes what it has opened."""

    def log_read(self, case_id: str, sha256: str) -> None:
        """As JobFolder's."""
        with locked(self.path / "reads.lock", timeout_s=60.0):
            super().log_read(case_id, sha256)


@contextmanager
def joined_job(
    plan_file: Path, job_path: Path, device: str | None, interface: str | None
) -> Iterator[tuple[JobFolder, Group]]:
    """This process's place in the group, and the job, new or taken up where it stopped.

    Raises: NotTogether where torchrun did not start this process, or there is no such interface; WorkflowError where
    the folder holds the job of another plan, or a job that failed and of which another start would make no other.
    """
    place = Place.of(os.environ)
    bind(place, interface, os.environ)
    plan = codec.read(Plan, plan_file)
    hardware = resolve_hardware(device or plan.device, plan.training.precision)
    refuse_inside(job_path)
    job_path.mkdir(parents=True, exist_ok=True)
    with joined(place, job_path / "meeting", hardware.device.type) as group:

        def make() -> str:
            if group.is_first:
                _made_or_taken_up(plan_file, job_path, device, place.restarts)
            return ""

        group.together(make)
        yield SharedJob(job_path), group


def run_together(job: JobFolder, group: Group) -> str:
    """Run a job with the others, to its end or its pause. Returns: finished, paused or cancelled."""
    state = job.status().state
    over = group.together(lambda: state)[0]
    return over if over in _OVER else run_job(job, group)


def _made_or_taken_up(plan_file: Path, job_path: Path, device: str | None, restarts: int) -> None:
    if not (job_path / "plan.json").exists():
        create_job(plan_file, job_path, device)
        return
    job, plan = JobFolder.open(job_path), codec.read(Plan, plan_file)
    here = moved_plan(replace(plan, device=device or plan.device), plan_file, job.plan_path)
    if job.plan() != here:
        raise WorkflowError(f"{job_path.name}: holds the job of another plan; choose another folder")
    status = job.status()
    if restarts and status.state == "failed":
        raise WorkflowError(f"{job_path.name}: the job has failed: {status.message}")
    if not restarts and status.state in ("paused", "interrupted", "failed"):
        resume(job)
