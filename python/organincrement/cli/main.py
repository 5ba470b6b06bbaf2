"""The command line: parsing, exit codes, one line for every error.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused input, 4 cancelled. Each command's work is imported when it runs.
"""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Sequence

from organincrement import __version__
from organincrement.cli import (
    comparison_commands,
    data_commands,
    environment_commands,
    exemplar_commands,
    model_commands,
    model_transfer_commands,
    result_commands,
    sample_commands,
    training_commands,
)
from organincrement.workflows.errors import REFUSALS

DONE, FAILED, USAGE, REFUSED, CANCELLED = range(5)
_IMPOSSIBLE_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


def run() -> None:
    """Entry point of the `organincrement` command."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # not every terminal has every sign
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():
        # started by a program, which stops it by an interrupt; a shell's background may have switched those off
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns: its exit code; argparse itself exits with 2 on wrong usage."""
    options = build_parser().parse_args(arguments)
    try:
        return int(options.command(options) or DONE)
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return CANCELLED
    except BrokenPipeError:
        return DONE  # the reader of our output, such as `head`, has seen enough
    except Exception as error:
        if options.debug:
            raise
        return _explained(error)


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(
        prog="organincrement",
        description="Teach a segmentation model one more organ without its training data. Research use only.",
    )
    parser.add_argument("--version", action="version", version=f"organincrement {__version__}")
    parser.add_argument("--debug", action="store_true", help="show where an error arose")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in (
        data_commands,
        training_commands,
        model_commands,
        model_transfer_commands,
        comparison_commands,
        result_commands,
        exemplar_commands,
        sample_commands,
        environment_commands,
    ):
        group.add_to(commands)
    return parser


def _explained(error: Exception) -> int:
    """One line on standard error. Every layer's own exception is a ValueError whose message is written for people."""
    message = " ".join(str(error).split())
    refused = isinstance(error, REFUSALS)
    if isinstance(error, OSError) and error.errno in _IMPOSSIBLE_PATHS:
        refused = True
    if isinstance(error, RuntimeError) and message.startswith("Symlink loop"):  # pathlib's own, up to Python 3.12
        refused, message = True, f"{message[0].lower()}{message[1:]}; give a path that leads somewhere"
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename or 'file'}: {error.strerror.lower()}"
    print(f"organincrement: {message or type(error).__name__}", file=sys.stderr)
    return REFUSED if refused else FAILED
