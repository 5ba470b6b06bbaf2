"""Lines for people, beside what a command prints for programs."""

import sys


def on_the_side(line: str) -> None:
    """A line on standard error, at once."""
    print(line, file=sys.stderr, flush=True)
