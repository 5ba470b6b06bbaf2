"""`environment`: what this Python has of what the engine needs."""

import argparse
import json
from typing import Any

Commands = Any


def add_to(commands: Commands) -> None:
    """Register the command."""
    command = commands.add_parser(
        "environment", help="can the engine run here, and on what?",
        description="Runs where nothing is installed, and ends with 0 whatever it finds.",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(command=_environment)


def _environment(options: argparse.Namespace) -> None:
    from organincrement.workflows.environment import as_json, look_at_environment

    found = look_at_environment()
    if options.json:
        print(json.dumps(as_json(found), indent=2))
        return
    for package in found.packages:
        state = "missing" if package.installed is None else package.installed or "there"
        if package.installed and not package.ok:
            state += " (too old)"
        print(f"{package.name:30s} {package.required:8s} {state}")
    print(found.message)
