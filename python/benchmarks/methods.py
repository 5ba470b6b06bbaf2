"""Every method of the registry in the regime that its paper assumes: writes docs/benchmarks/methods.md.

    python -m benchmarks.methods [--only NAME …] [--seeds N …] [--work FOLDER] [--page]
    python -m benchmarks.methods --only hn-lwfseg … --headneck FOLDER --headneck-work FOLDER

On the phantom a run takes less than a minute on one thread; on headneck an hour, and only those that `--only` names
are done. Finished parts are kept: models in the ignored work folder, figures as JSON beside the page; a second call
does what is missing. Methods or settings that are not there yet are skipped and named. Best with OMP_NUM_THREADS=1.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.methods_page import write_page
from benchmarks.methods_run import SEEDS
from benchmarks.methods_runs import HEADNECK_RUNS, LONGER_RUNS, PHANTOM_RUNS, RUNS, key_of, why_not
from benchmarks.methods_train import Places, run_and_measure

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "docs" / "benchmarks" / "methods"
STUDY_FIGURES = ROOT / "docs" / "benchmarks" / "headneck"


def main() -> None:
    """Do what is missing of the runs asked for: all of them with the first seed, then with the next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(RUNS), metavar="NAME", help="these runs alone")
    parser.add_argument("--seeds", nargs="+", type=int, help="these seeds alone")
    parser.add_argument("--work", type=Path, default=ROOT / "work" / "methods", help="for models")
    parser.add_argument("--headneck", type=Path, help="the head-and-neck data")
    parser.add_argument("--headneck-work", type=Path, help="the work folder of benchmarks.headneck, with its teacher")
    parser.add_argument("--page", action="store_true", help="write the page from the figures there are, and stop")
    parser.add_argument("--list", action="store_true", help="list the runs and what is there of them, and stop")
    options = parser.parse_args()
    FIGURES.mkdir(parents=True, exist_ok=True)
    if options.list:
        print("\n".join(f"{name}: {why_not(name) or ', '.join(_figures(name)) or 'missing'}" for name in RUNS))
        return
    if not options.page:
        names = options.only or [*PHANTOM_RUNS, *LONGER_RUNS]
        if any(name in HEADNECK_RUNS for name in names) and not (options.headneck and options.headneck_work):
            parser.error("runs on headneck need --headneck and --headneck-work")
        data, study = (folder and folder.resolve() for folder in (options.headneck, options.headneck_work))
        places = Places(work=options.work.resolve(), headneck=data, headneck_work=study)
        _measure(names, options.seeds, places)
    write_page(FIGURES, {name: found for name in RUNS if (found := _figures(name))}, STUDY_FIGURES)


def _measure(names: list[str], seeds: list[int] | None, places: Places) -> None:
    for seed in seeds or SEEDS["phantom"]:
        for name in names:
            if seed not in SEEDS[RUNS[name].world] or str(seed) in _figures(name):
                continue
            if reason := why_not(name):
                print(f"{name}: skipped, {reason}", flush=True)
                continue
            _measure_one(name, seed, places)


def _measure_one(name: str, seed: int, places: Places) -> None:
    started = time.monotonic()
    try:
        found = run_and_measure(name, seed, places)
    except Exception as error:  # one run that fails does not keep the others from being measured
        print(f"{name}, seed {seed}: FAILED, {type(error).__name__}: {error}", flush=True)
        return
    every = {**_figures(name), str(seed): found}
    text = json.dumps(every, indent=1, sort_keys=True) + "\n"
    (FIGURES / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}, seed {seed}: measured, {time.monotonic() - started:.0f} s", flush=True)


def _figures(name: str) -> dict[str, Any]:
    """Seed to figures of a run, without those of other settings than the present ones."""
    path = FIGURES / f"{name}.json"
    if why_not(name) or not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {seed: part for seed, part in found.items() if part["key"] == key_of(name, int(seed))}


if __name__ == "__main__":
    main()
