"""What must hold after `kill -9` of a job: nothing torn is read, no event is missing, and no process is left."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_GONE_WITHIN_S = 2.0


def problems_after_kill(folder: Path) -> list[str]:
    """What is wrong with a job's folder, or with the place where one was about to be made; empty when nothing is."""
    if not (folder / "plan.json").exists():
        seen = [path.name for path in folder.rglob("*") if not path.name.startswith(".")]
        return [f"without a plan there are {seen}"] if seen else []
    return [*_wrong_state(folder), *_torn(folder)]


def _wrong_state(folder: Path) -> Iterator[str]:
    from organincrement.contract.job import STATE_EVENTS, JobFolder

    status = JobFolder.open(folder).status()
    yield from status.problems
    lines = (folder / "events.jsonl").read_bytes().split(b"\n")[:-1] if (folder / "events.jsonl").exists() else []
    events = [json.loads(line) for line in lines]
    if [event["seq"] for event in events] != list(range(len(events))):
        yield f"seq is {[event['seq'] for event in events]}"
    if sorted(times := [event["t"] for event in events]) != times:
        yield "times go back"
    last = next((event["type"] for event in reversed(events) if event["type"] in STATE_EVENTS), None)
    expected = {None: "created", "finished": "finished"}.get(last, "interrupted")
    if status.state != expected:
        yield f"the state is {status.state} after {last}, not {expected}"


def _torn(folder: Path) -> Iterator[str]:
    """Every file under its final name is read as the engine reads it."""
    from organincrement.contract import codec
    from organincrement.contract.errors import ContractError
    from organincrement.contract.plan import Plan
    from organincrement.contract.process import read_record
    from organincrement.imaging.cache import CachedCase
    from organincrement.models.errors import ModelError
    from organincrement.models.package import load_package
    from organincrement.training.checkpoint import load_newest
    from organincrement.workflows.cases_cache import Prepared

    try:
        codec.read(Plan, folder / "plan.json")
        read_record(folder / "process.json")
        for note in (path for path in folder.glob("cache/*.json") if not path.name.startswith(".")):
            known = codec.read(Prepared, note)
            if not CachedCase(id=note.stem, folder=note.parent, shape=known.shape).is_whole():
                yield f"cache/{note.stem} is not whole"
        if (folder / "student").exists():
            load_package(folder / "student")
    except (ContractError, ModelError) as error:
        yield str(error)
    _, state, passed_over = load_newest(folder / "checkpoint")
    if len(passed_over) > 1:
        yield f"{passed_over} are torn"
    if state is None and any(folder.glob("checkpoint/step_*.sha256")):
        yield "there are checkpoints, and none is whole"


def left_of_session(session: int) -> list[int]:
    """The processes of a session that still live, a moment after its first process ended."""
    end_s = time.monotonic() + _GONE_WITHIN_S
    while (left := list(_living(session))) and time.monotonic() < end_s:
        psutil.wait_procs([psutil.Process(pid) for pid in left if psutil.pid_exists(pid)], timeout=0.05)
    return left


def _living(session: int) -> Iterator[int]:
    for process in psutil.process_iter(["status"]):
        try:
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == session:
                yield process.pid
        except OSError:
            continue  # it ended between the listing and the question


def described(pid: int) -> str:
    """A process, for people."""
    try:
        process = psutil.Process(pid)
        return f"process {pid} ({process.status()}, child of {process.ppid()}, {' '.join(process.cmdline())[:200]})"
    except psutil.Error:
        return f"process {pid} (which ended a moment later)"
