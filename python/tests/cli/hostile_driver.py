"""Runs commands one after another in this process, which is limited, and says how each ended and what it took.

Usage: python hostile_driver.py RESULTS.jsonl < COMMANDS.json (a list of lists of arguments).
"""

import contextlib
import io
import json
import resource
import signal
import sys
import time
from pathlib import Path

from organincrement.cli.main import main
from organincrement.imaging import limited_child

MOST_BYTES = 2**30
LONGEST_S = 60  # for a command that hangs; how long one may take, the test judges by its computing time


def _ended(arguments: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    before_s = time.process_time()
    signal.alarm(LONGEST_S)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    signal.alarm(0)
    return {
        "arguments": arguments, "code": code, "out": out.getvalue(), "err": err.getvalue(),
        "seconds": time.process_time() - before_s,
    }  # fmt: skip


def run_all() -> None:
    """All commands of standard input."""
    commands = json.load(sys.stdin)
    import organincrement.workflows.import_model  # noqa: F401  # torch comes once, before anything is measured

    # Looking at a path would start a process of its own each time; this one is limited already.
    limited_child._STATE["limited"] = True
    resource.setrlimit(resource.RLIMIT_AS, (2 * MOST_BYTES, 2 * MOST_BYTES))
    with Path(sys.argv[1]).open("w", encoding="utf-8") as results:
        for arguments in commands:
            results.write(json.dumps(_ended(arguments)) + "\n")
            results.flush()
        results.write(json.dumps({"peak_bytes": _peak_bytes()}) + "\n")


def _peak_bytes() -> int:
    """Of this program alone: getrusage counts the process that it began as a copy of, too."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    run_all()
