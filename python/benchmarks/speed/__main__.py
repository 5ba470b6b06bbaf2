"""Measure how fast and how large: `make bench`.

    python -m benchmarks.speed [--only NAME …] [--quick] [--shared FOLDER] [--page]

Figures of each part are kept as JSON beside the page docs/benchmarks/speed.md, which is then written anew.
"""

import argparse
import importlib
import time
from pathlib import Path

from benchmarks.speed.page import write_page
from benchmarks.speed.part import Options, save

# in the page's order
PARTS = ("guidance", "perturbations", "segmenting", "data", "start_up", "estimate", "distributed", "growth")


def main() -> None:
    """Measure the parts asked for, one after another, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller inputs; the page is left alone")
    parser.add_argument("--shared", type=Path, help="a folder with real scans, for the parts that can use them")
    parser.add_argument("--page", action="store_true", help="write the page from the figures there are, and stop")
    options = parser.parse_args()
    for name in () if options.page else options.only:
        started = time.perf_counter()
        part = importlib.import_module(f"benchmarks.speed.{name}").measure(
            Options(quick=options.quick, shared=options.shared and options.shared.resolve())
        )
        seconds = time.perf_counter() - started
        print(f"{name}: measured in {seconds:.0f} s", flush=True)
        for table in part.tables:
            print(*(" | ".join(map(str, row)) for row in (table.columns, *table.rows)), sep="\n", flush=True)
        if not options.quick:
            save(name, part, seconds)
    if not options.quick:
        print(write_page(list(PARTS)))


if __name__ == "__main__":
    main()
