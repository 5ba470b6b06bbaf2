"""`inspect`, `dataset import`, `dataset check`, `dataset export`."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from organincrement.cli.fan_out_options import add_fan_out, crew_of
from organincrement.cli.notes import on_the_side

Commands = Any  # argparse has no public name for what add_subparsers returns
_MAY_BE_VALUE = re.compile("[0-9]{1,6}")


def add_to(commands: Commands) -> None:
    """Register the commands."""
    inspect = commands.add_parser("inspect", help="what a file or folder is")
    inspect.add_argument("path", metavar="PATH")
    inspect.add_argument("--json", type=Path, metavar="FILE", help="write the facts here instead of to the terminal")
    inspect.add_argument(
        "--points",
        type=Path,
        metavar="FILE.npy",
        help="L,P,S positions in mm, (n, ≥3): the nearest voxel's value at each",
    )
    inspect.set_defaults(command=_inspect)
    dataset = commands.add_parser("dataset", help="make, check or hand on a dataset").add_subparsers(
        required=True, metavar="ACTION"
    )
    _add_import(dataset)
    check = dataset.add_parser("check", help="geometry, labels, hashes, history")
    check.add_argument("dataset", type=Path, metavar="DATASET")
    check.add_argument("--json", action="store_true", help="print the findings for programs")
    add_fan_out(check)
    check.set_defaults(command=_check)
    export = dataset.add_parser("export", help="write a dataset for another tool")
    export.add_argument("dataset", type=Path, metavar="DATASET")
    export.add_argument("--format", required=True, choices=("nnunet", "decathlon"))
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    export.add_argument(
        "--include",
        nargs="+",
        default=["approved"],
        choices=("draft", "submitted", "approved", "flagged"),
        help="cases to export (default: approved)",
    )
    export.set_defaults(command=_export)


def _add_import(dataset: Commands) -> None:
    command = dataset.add_parser("import", help="make a dataset from images and labels")
    command.add_argument("--images", type=Path, required=True, metavar="DIR")
    command.add_argument("--labels", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--organs",
        nargs="+",
        required=True,
        type=organ_value,
        metavar="ORGAN=VALUE",
        help="for example mandible=1; several may be joined by commas",
    )
    command.add_argument(
        "--from",
        dest="source",
        default="folders",
        choices=("folders", "csv", "nnunet", "decathlon", "dicom"),
        help="how images and labels are paired",
    )
    command.add_argument("--out", type=Path, required=True, metavar="DATASET")
    command.add_argument("--name", help="default: the folder's name")
    command.add_argument(
        "--status",
        default="approved",
        choices=("draft", "submitted", "approved"),
        help="only approved cases are trained on (default: approved)",
    )
    command.add_argument(
        "--ignore-other-labels", action="store_true", help="label values that are not named become background"
    )
    command.add_argument(
        "--allow-empty", action="store_true", help="accept a label without any voxel: looked for, and absent"
    )
    command.set_defaults(command=_import)


def organ_value(text: str) -> dict[str, int]:
    """`mandible=1` or `liver=1,spleen=2` as a dict; a usage error otherwise."""
    pairs = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals and _MAY_BE_VALUE.fullmatch(value.strip()) and int(value) > 0):
            raise argparse.ArgumentTypeError(f"'{part[:80]}' is not of the form organ=value, with a value from 1")
        if name.strip() in pairs:
            raise argparse.ArgumentTypeError(f"'{name.strip()[:80]}' is given twice")
        pairs[name.strip()] = int(value)
    return pairs


def organ_values(given: Sequence[dict[str, int]]) -> dict[str, int]:
    """All pairs in one. Raises: ValueError for a name or a value that is given twice, of which one would be lost."""
    organs: dict[str, int] = {}
    for name, value in (pair for pairs in given for pair in pairs.items()):
        if name in organs or value in organs.values():
            raise ValueError(f"--organs: {name}={value}: label value or name is given to two organs; give each its own")
        organs[name] = value
    return organs


def _import(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.case_names import PRIVATE_LIST
    from organincrement.workflows.import_dataset import import_dataset

    organs = organ_values(options.organs)
    with CaseCounter("importing") as counter:
        dataset = import_dataset(
            options.images, options.labels, organs, options.out, source=options.source, name=options.name,
            status=options.status, ignore_other_labels=options.ignore_other_labels, allow_empty=options.allow_empty,
            progress=counter,
        )  # fmt: skip
    print(f"{options.out}: {len(dataset.cases())} cases of {', '.join(dataset.label_space.ids)}")
    if (options.out / PRIVATE_LIST).exists():
        print(f"file names may be names of people: {options.out / PRIVATE_LIST} says which case is which")


def _check(options: argparse.Namespace) -> int:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.check_dataset import check
    from organincrement.workflows.fan_out import Waiting
    from organincrement.workflows.findings import as_json

    with CaseCounter("check") as counter:
        waiting = Waiting(progress=counter, working=counter.working, notice=on_the_side)
        findings = check(options.dataset, crew_of(options), waiting)
    problems = sum(finding.kind == "problem" for finding in findings)
    if options.json:
        print(json.dumps(as_json(findings), indent=2))
        return 3 if problems else 0
    for finding in findings:
        print(finding)
    print(f"{options.dataset}: {f'problems: {problems}' if problems else 'no problem found'}")
    return 3 if problems else 0


def _export(options: argparse.Namespace) -> None:
    from organincrement.cli.progress import CaseCounter
    from organincrement.workflows.export_dataset import DatasetExport, export_dataset

    with CaseCounter("exporting") as counter:
        done = export_dataset(
            DatasetExport(
                dataset=options.dataset, out=options.out, layout=options.format, include=tuple(options.include),
                progress=counter,
            )
        )  # fmt: skip
    for note in done.notes:
        on_the_side(f"note: {note}")
    labels = " ".join(f"{name}={value}" for name, value in done.labels.items())
    print(f"{done.folder}: {len(done.cases)} cases of {labels}")


def _inspect(options: argparse.Namespace) -> None:
    from organincrement.workflows.inspect_path import inspect_path, write_facts

    if options.json:
        write_facts(options.path, options.json, options.points)
    else:
        json.dump(inspect_path(options.path, options.points), sys.stdout, indent=2)
        print()
