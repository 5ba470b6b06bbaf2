"""`python -m fuzz images --mutants 10000 --seed 0`: one module a kind; without a kind, all of them as they are set."""

import importlib
import sys

KINDS = ("images", "kills")


def main(arguments: list[str]) -> int:
    """Run a kind, or all of them. Returns: 0, or 1 when something was found."""
    kinds = [arguments.pop(0)] if arguments and not arguments[0].startswith("-") else list(KINDS)
    if not set(kinds) <= set(KINDS):
        print(f"fuzz: choose one of {', '.join(KINDS)}", file=sys.stderr)
        return 2
    return max(importlib.import_module(f"fuzz.{kind}").main(arguments) for kind in kinds)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
