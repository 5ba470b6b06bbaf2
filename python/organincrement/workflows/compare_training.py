"""The trainings of a comparison that do not wait for each other, several at once, here or on other computers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from organincrement.contract.errors import ContractError
from organincrement.contract.job import JobFolder
from organincrement.workflows.compare_jobs import NamedPlan, finish, wait_for_pause
from organincrement.workflows.fan_out import Crew, Line, Waiting, fan_out

Pair = tuple[NamedPlan, int]


def in_waves(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """Plans and seeds in the order given, those together that need no student of each other's."""
    depth: dict[str, int] = {}
    waves: list[list[Pair]] = []
    for plan, seed in pairs:  # parents come first
        depth[plan.name] = 1 + max((depth[parent] for parent in plan.parents.values()), default=-1)
        if depth[plan.name] == len(waves):
            waves.append([])
        waves[depth[plan.name]].append((plan, seed))
    return waves


def finish_together(jobs: Mapping[str, JobFolder], crew: Crew, waiting: Waiting) -> None:
    """Run jobs to their ends, each in a process of its own, as many at once as the crew has hands.

    Raises: as `finish`; the others are asked for a checkpoint then, unless they are done, and none is left running.
    """
    items = {name: crew.seen(job.path) for name, job in jobs.items()}
    try:
        for _ in fan_out(_Training(), items, crew, waiting):
            pass
    except BaseException:
        running = []
        for job in jobs.values():
            with suppress(ContractError, OSError):
                if job.status().state in ("created", "running"):
                    job.request_pause()
                    running.append(job)
        wait_for_pause(running)
        raise


@dataclass(frozen=True, kw_only=True)
class _Training:
    """Finishing a job, wherever that is done; nothing comes back, for its folder holds it all."""

    def begin(self) -> Callable[[Path, Line], bool]:
        """Each job opens what it needs."""
        return lambda path, line: _finished(JobFolder.open(path), line)


def _finished(job: JobFolder, line: Line) -> bool:
    def told(step: int, of: int) -> None:
        line.between()
        line.within(step, of)

    finish(job, told, own_process=True, threads=torch.get_num_threads())  # this process's share, which has no other use
    return True
