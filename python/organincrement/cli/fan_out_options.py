"""`--processes`, `--scheduler`, `--retries`: who does the work on many scans or plans."""

import argparse
from typing import Any


def add_fan_out(command: argparse.ArgumentParser, *, default: str = "auto", what: str = "scans") -> None:
    """Give a command the options. Args: default: of `--processes`. what: is done at the same time."""
    command.add_argument(
        "--processes", type=_processes, default=_processes(default), metavar="N",
        help=f"{what} at the same time on this computer, each in a process; auto: as memory and threads allow, one on "
        f"a GPU (default: {default})",
    )  # fmt: skip
    command.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="a Dask scheduler whose workers do it, such as tcp://10.0.0.5:8786; they see the same files under the "
        "same paths. Needs the extra `cluster`. Its network is trusted: see docs/scale.md",
    )  # fmt: skip
    command.add_argument(
        "--retries", type=_count, default=2, metavar="N",
        help="how often what fails in another process, or is lost with it, is tried again (default: 2)",
    )  # fmt: skip


def crew_of(options: argparse.Namespace) -> Any:
    """The `Crew` that the options ask for."""
    from organincrement.workflows.fan_out import Crew

    return Crew(scheduler=options.scheduler, processes=options.processes, retries=options.retries)


def _processes(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto nor a whole number from 1 to 1024")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 1000:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 0 to 1000")
    return int(text)
