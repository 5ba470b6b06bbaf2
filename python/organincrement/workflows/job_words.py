"""A job's first word, and what becomes of the words of processes that do not write its events."""

import sys
from typing import Any

import torch

from organincrement import __version__
from organincrement.contract.events import EventWriter
from organincrement.contract.plan import Plan
from organincrement.contract.process import this_process
from organincrement.training.device import Hardware
from organincrement.training.distributed import Group


class Unheard:
    """In place of an EventWriter: warnings go to standard error, which torchrun shows; the rest the first one says."""

    def __init__(self, rank: int) -> None:
        self._rank = rank

    def write(self, type: str, **fields: Any) -> None:
        """As `EventWriter.write`."""
        if type == "warned":
            print(f"process {self._rank}: {fields['message']}", file=sys.stderr, flush=True)


def announce(
    events: EventWriter | Unheard, plan: Plan, hardware: Hardware, phases: list[str], resumed_from: int | None,
    group: Group,
) -> None:  # fmt: skip
    """A process takes the job up. Args: resumed_from: a checkpoint's step, or None."""
    process = this_process()
    events.write(
        "started",
        pid=process.pid,
        host=process.host,
        device=hardware.description if group.is_alone else f"{hardware.description}, {group.size} processes",
        precision=hardware.precision,
        batch=plan.training.batch,
        versions={"organincrement": __version__, "torch": torch.__version__},
        total_steps=plan.training.steps,
        phases=phases,
        resumed_from=resumed_from,
    )
