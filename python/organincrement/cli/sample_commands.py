"""`sample`."""

import argparse
import json
from pathlib import Path
from typing import Any

Commands = Any
_SAMPLES = ("scan", "dataset", "teacher")


def add_to(commands: Commands) -> None:
    """Register the command."""
    sample = commands.add_parser(
        "sample", help="make sample data: a teacher, a dataset and a scan, of a phantom",
        description="Makes what is not there yet in about two minutes on two cores; nothing is fetched.",
    )  # fmt: skip
    sample.add_argument("--out", type=Path, required=True, metavar="DIR")
    sample.add_argument("--only", nargs="+", choices=_SAMPLES, default=list(_SAMPLES), help="default: all three")
    sample.add_argument("--json", action="store_true", help="print the paths as JSON")
    sample.set_defaults(command=_sample)


def _sample(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.sample_data import make_samples

    with CaseCounter("sample") as progress:
        paths = make_samples(options.out, options.only, progress)
    if options.json:
        print(json.dumps({name: str(path) for name, path in paths.items()}))
        return
    for name, path in paths.items():
        print(f"{name}: {path}")
