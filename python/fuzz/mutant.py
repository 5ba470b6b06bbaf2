"""A hostile image: the files of a folder, how they came about, and what an independent reader makes of them."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class NoTruthError(Exception):
    """The files mean nothing that is certain: a reader that returns an image of them is wrong."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """Voxels (D, H, W), and the 4×4 matrix from the index (x, y, z, 1) to LPS millimetres."""

    array_DHW: np.ndarray
    affine: np.ndarray
    tolerance_voxels: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """files: by name, to be written into one folder. target: what is read, the folder itself when empty.

    truth: reads the written files, independently of the engine; raises NoTruthError, or any other error, when they
    mean nothing. must_read: the change is known to do no harm, so that refusing is wrong as well.
    """

    what: str
    files: Mapping[str, bytes]
    target: str
    truth: Callable[[Path], Truth]
    must_read: bool = False

    def write(self, folder: Path) -> Path:
        """Write the files; returns the path to read."""
        folder.mkdir()
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return folder / self.target if self.target else folder


def plain_float(word: str) -> float:
    """A number that every reader takes for the same; raises NoTruthError for what only Python's float() takes."""
    if "_" in word or not word.isascii():
        raise NoTruthError(f"{word!r} is no number")
    return float(word)


def odd_digits(word: str, rng: random.Random) -> str:
    """A number written as only Python reads it: with 0_ before its first digit, or in the digits of another script."""
    if rng.random() < 0.5:
        place = next(place for place, sign in enumerate(word) if sign.isdigit())
        return f"{word[:place]}0_{word[place:]}"
    return word.translate(str.maketrans("0123456789", rng.choice(("٠١٢٣٤٥٦٧٨٩", "０１２３４５６７８９"))))


def flip_bits(data: bytes, rng: random.Random, start: int = 0, end: int | None = None) -> bytes:
    """One to three bits changed between two places."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        changed[rng.randrange(start, len(data) if end is None else end)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    """The beginning of some data, never all."""
    return data[: rng.randrange(len(data))]


def spliced(data: bytes, rng: random.Random) -> bytes:
    """Some bytes left out, doubled or put in somewhere."""
    place, size = rng.randrange(len(data)), rng.randint(1, 40)
    middle = {0: b"", 1: data[place : place + size] * 2, 2: rng.randbytes(size) + data[place : place + size]}
    return data[:place] + middle[rng.randrange(3)] + data[place + size :]


def rotation(rng: random.Random) -> np.ndarray:
    """A direction: the axes in any order and sign, in half of the cases turned by some degrees."""
    matrix = np.eye(3)[rng.sample(range(3), 3)] * np.array([rng.choice((-1, 1)) for _ in range(3)])
    if rng.random() < 0.5:
        a, b = (np.radians(rng.uniform(-25, 25)) for _ in range(2))
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
        matrix = about_z @ about_x @ matrix
    return matrix


def random_affine(rng: random.Random) -> np.ndarray:
    """A grid in LPS millimetres."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(rng) * np.array([rng.choice((0.5, 0.75, 1.25, 3.0)) for _ in range(3)])
    affine[:3, 3] = [rng.uniform(-200, 200) for _ in range(3)]
    return affine


def random_voxels(rng: random.Random, dtype: str) -> np.ndarray:
    """A few dozen voxels (D, H, W), most of them different."""
    shape = tuple(rng.randint(2, 7) for _ in range(3))
    numbers = np.random.default_rng(rng.randrange(2**32)).integers(0, 250, shape)
    if np.dtype(dtype).kind != "u" and np.dtype(dtype).itemsize > 1:
        numbers = numbers * 7 - 900
    return numbers.astype(dtype) if np.dtype(dtype).itemsize > 1 else (numbers % 120).astype(dtype)
