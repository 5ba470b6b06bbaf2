"""Running commands in this process and in one of its own, and what a refused command must look like."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from organincrement.cli.main import main

ENGINE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def run(capsys, *arguments: object) -> Outcome:
    """A command in this process."""
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return Outcome(code, said.out, said.err)


def run_alone(*arguments: object, cwd: Path | None = None) -> Outcome:
    """A command in a process of its own, as a user would type it."""
    command = [sys.executable, "-m", "organincrement", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE)}
    done = subprocess.run(
        command, cwd=cwd or ENGINE, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


# Counted in a small process: what this one has grown to would count as its children's, which begin as its copies.
_MEASURED = """
import json, resource, sys
from organincrement.cli.main import main
code = main(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump([used.ru_utime + used.ru_stime, used.ru_maxrss * 1024], file)
sys.exit(code)
"""


def run_measured(cwd: Path, figures: Path, *arguments: object) -> tuple[Outcome, float, int]:
    """A command in a process of its own. Returns: also the seconds of computing and peak bytes of what it started."""
    command = [sys.executable, "-P", "-c", _MEASURED, str(figures), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ENGINE)}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    seconds, peak_bytes = json.loads(figures.read_text(encoding="utf-8"))
    return Outcome(done.returncode, done.stdout, done.stderr), seconds, peak_bytes


def files_under(folder: Path) -> dict[str, int]:
    """Every file and folder with its time of change."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def assert_refused(outcome: Outcome, *says: str) -> None:
    """Exit code 3 and one line, on standard error, that says this; no traceback."""
    assert outcome.code == 3, outcome
    assert outcome.out == "" and outcome.err.count("\n") == 1 and outcome.err.endswith("\n"), outcome
    assert outcome.err.startswith("organincrement: ") and "Traceback" not in outcome.err
    for text in says:
        assert text in outcome.err, outcome
