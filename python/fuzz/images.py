"""Hostile images against `safe_read`: each is refused by name in one line, or read as an independent reader does.

Nothing may hang, crash, raise anything else, or be read silently wrong.
"""

import argparse
import contextlib
import random
import shutil
import signal
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from fuzz import dicom_mutants, metaimage_mutants, nifti_mutants, nrrd_mutants, segmentation_mutants
from fuzz.dicom_mutants import SECRET
from fuzz.mutant import Mutant, Truth
from organincrement.imaging.errors import ImageError
from organincrement.imaging.safe_read import examine, read_stored
from organincrement.imaging.volume import Volume

FORMATS: dict[str, Callable[[random.Random], Mutant]] = {
    "nifti": nifti_mutants.mutant,
    "nrrd": nrrd_mutants.mutant,
    "metaimage": metaimage_mutants.mutant,
    "dicom": dicom_mutants.mutant,
    "segmentation": segmentation_mutants.mutant,
}
LONGEST_S = 5
POINTS = 6


class HangError(BaseException):
    """A mutant took too long; no `except Exception` may catch it."""


def try_mutant(mutant: Mutant, folder: Path, rng: random.Random) -> tuple[str, str | None]:
    """Read a mutant. Returns: 'read' or 'refused', and what is wrong with that, None when nothing is."""
    path = mutant.write(folder)
    try:
        # A warning would be a second line on the terminal.
        with _watched(), warnings.catch_warnings(action="error"):
            volume = read_stored(path)
            points = _points(volume, rng)
            image = examine(path, points)
    except ImageError as error:
        if mutant.must_read:
            return "refused", f"a harmless change is refused: {error}"
        return "refused", _wrong_message(path, str(error))
    except HangError:
        return "hung", f"takes longer than {LONGEST_S} s"
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"
    try:
        truth = mutant.truth(path)
    except Exception as error:
        return "read", f"is read, though it means nothing: {type(error).__name__}: {error}"
    return "read", _difference(volume, truth) or _wrong_samples(volume, points, image.values, image.inside)


def run(kind: str, mutants: int, seed: int, first: int = 0) -> Iterator[tuple[int, Mutant, str, str | None]]:
    """Try mutants of a format; yields number, mutant, outcome and what is wrong, for each."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        for number in range(first, first + mutants):
            rng = random.Random(f"{seed} {kind} {number}")
            mutant = FORMATS[kind](rng)
            folder = Path(root) / "folder"
            outcome, wrong = try_mutant(mutant, folder, rng)
            shutil.rmtree(folder)
            yield number, mutant, outcome, wrong


def main(arguments: list[str]) -> int:
    """`python -m fuzz images`. Returns: 1 when anything was read wrong, hung or failed otherwise."""
    parser = argparse.ArgumentParser(prog="fuzz images", description=__doc__)
    parser.add_argument("--mutants", type=int, default=10_000, help="of each format (default: 10000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant, to see one again")
    parser.add_argument("--format", choices=FORMATS, action="append", help="default: all")
    options = parser.parse_args(arguments)
    found = 0
    for kind in options.format or FORMATS:
        begin = time.monotonic()
        outcomes: Counter[str] = Counter()
        for number, mutant, outcome, wrong in run(kind, options.mutants, options.seed, options.first):
            outcomes["wrong" if wrong else outcome] += 1
            if wrong:
                print(f"{kind} {number} ({mutant.what}): {wrong}", flush=True)
        found += outcomes["wrong"]
        shown = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        print(f"{kind}: {options.mutants} mutants, {shown}, {time.monotonic() - begin:.0f} s", flush=True)
    return int(found > 0)


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def too_long(number: int, frame: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _wrong_message(path: Path, message: str) -> str | None:
    if SECRET in message:
        return "the refusal names the patient"
    if path.name not in message or not message.isprintable() or ";" not in message:
        return f"the refusal names no file or remedy, or is no line: {message!r}"
    return None


def _difference(volume: Volume, truth: Truth) -> str | None:
    if volume.shape_DHW != truth.array_DHW.shape:
        return f"has the shape {volume.shape_DHW}, should have {truth.array_DHW.shape}"
    spacing = min(volume.spacing_mm)
    corners = np.array([[x, y, z, 1] for x in (0, 1) for y in (0, 1) for z in (0, 1)]).T * 1.0
    corners[:3] *= np.array(volume.shape_DHW[::-1])[:, None] - 1
    apart = np.linalg.norm(((volume.affine - truth.affine) @ corners)[:3], axis=0).max() / spacing
    if not apart <= truth.tolerance_voxels:
        return f"lies {apart:.3g} voxels from where it should"
    if not np.allclose(volume.array_DHW, truth.array_DHW.astype(np.float64), rtol=1e-6, atol=1e-6):
        return "has other values than it should"
    return None


def _points(volume: Volume, rng: random.Random) -> np.ndarray:
    index_xyz = np.array(
        [[rng.uniform(-0.7, size - 0.3) for size in volume.shape_DHW[::-1]] for _ in range(POINTS)]
    )  # fmt: skip
    return index_xyz @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def _wrong_samples(volume: Volume, points: np.ndarray, values: np.ndarray, inside: np.ndarray) -> str | None:
    index_xyz = np.linalg.solve(volume.affine[:3, :3], (points - volume.affine[:3, 3]).T).T
    for index, value, within in zip(index_xyz, values, inside, strict=True):
        x, y, z = np.floor(index + 0.5).astype(int)
        depth, height, width = volume.shape_DHW
        if within != (0 <= x < width and 0 <= y < height and 0 <= z < depth):
            return "takes a point inside for one outside, or the reverse"
        if within and value != volume.array_DHW[z, y, x]:
            return "gives another value at a point than in the whole"
    return None
