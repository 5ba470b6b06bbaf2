"""Incremental segmentation on real head-and-neck CT, method against method: writes docs/benchmarks/headneck.md.

    python -m benchmarks.headneck --data FOLDER [--work FOLDER] [--only RUN …] [--page]

FOLDER holds site_a, site_b, site_c and devtest. Finished parts are kept: models in the ignored work folder, figures as
JSON beside the page; a second call does what is missing. `--page` writes the page from the figures there are. Two calls
with different runs (`--only`) can work at the same time, each best with OMP_NUM_THREADS=1.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.headneck_data import datasets
from benchmarks.headneck_measure import accuracy, trust
from benchmarks.headneck_page import write_page
from benchmarks.headneck_runs import RUNS, key_of, student_of, train

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "benchmarks" / "headneck"
PARTS = {"accuracy": accuracy, "trust": trust}
# whose uncertainty and calibration are measured too
TRUSTED = ("teacher", "bla-uag", "no-uncertainty", "mib", "self-training", "larynx-bla-uag")


def main() -> None:
    """Do what is missing of the runs asked for, in the order of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="the head-and-neck folder")
    parser.add_argument("--work", type=Path, default=ROOT / "work" / "headneck")
    parser.add_argument("--only", nargs="+", choices=list(RUNS), default=list(RUNS))
    parser.add_argument("--page", action="store_true", help="write the page from the figures there are, and stop")
    options = parser.parse_args()
    FIGURES.mkdir(parents=True, exist_ok=True)
    if not options.page:
        if options.data is None:
            parser.error("--data is needed to train and measure")
        folders = datasets(options.data.resolve(), options.work.resolve())
        for part in PARTS:  # overlap of every run first: it decides, and it is quick
            for name in options.only:
                _measure(name, part, options.work.resolve(), folders)
    write_page(FIGURES, {name: found for name in RUNS if (found := _current(name))})


def _measure(name: str, part: str, work: Path, folders: dict[str, Path]) -> None:
    """Train a run and measure one part of it, where the figures are not there."""
    found = _current(name) or {"key": key_of(name)}
    if part in found or (part == "trust" and name not in TRUSTED):
        return
    started = time.monotonic()
    _train_parents(name, work, folders)
    found["costs"] = train(name, work, folders)
    found[part] = PARTS[part](student_of(name, work), folders["devtest"], work / "scratch" / name)
    text = json.dumps(found, indent=1, sort_keys=True) + "\n"
    (FIGURES / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}: {part} measured, {time.monotonic() - started:.0f} s", flush=True)


def _train_parents(name: str, work: Path, folders: dict[str, Path]) -> None:
    parent = RUNS[name].parent
    if parent:  # one that is finished with the present settings is left as it is
        _train_parents(parent, work, folders)
        train(parent, work, folders)


def _current(name: str) -> dict[str, Any] | None:
    """The figures of a run, unless its settings have changed since."""
    path = FIGURES / f"{name}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return found if found and found["key"] == key_of(name) else None


if __name__ == "__main__":
    main()
