"""Preprocessed cases on disk: compressed blocks, memory-mapped, so that a patch is read without its scan.

RAM stays flat in the number of cases: an array is opened for each read and only the blocks under a patch are unpacked.
"""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

from organincrement.contract.files import write_atomic

_BLOCK = 32
_MOST_POINTS = 10_000
_OWNER_FOLDER, _OWNER_FILE, _FOR_OTHERS = 0o700, 0o600, 0o077

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, kw_only=True)
class CachedCase:
    """One preprocessed case. `shape` is D, H, W of the network's grid, cropped to the tissue."""

    id: str
    folder: Path
    shape: tuple[int, int, int]

    def read(self, where: Slices) -> tuple[np.ndarray, np.ndarray]:
        """Image (float32) and labels (int16; -1 unlabelled) of a box inside the case."""
        return self._open("image")[where].astype(np.float32), self._open("labels")[where].astype(np.int16)

    def image_DHW(self) -> np.ndarray:
        """The whole normalised image, float32."""
        return self._open("image")[...].astype(np.float32)

    def labels_DHW(self) -> np.ndarray:
        """The whole label map, int16; 0 background, 1..N organs, -1 unlabelled."""
        return self._open("labels")[...].astype(np.int16)

    def points(self) -> Mapping[int, np.ndarray]:
        """Up to 10,000 voxel positions (n, 3) of each organ that is present."""
        with np.load(self.folder / f"{self.id}.points.npz") as stored:
            return {int(label): stored[label] for label in stored.files}

    def is_whole(self) -> bool:
        """Whether all of it is there and can be opened."""
        try:
            shapes = [self._open(which).shape for which in ("image", "labels")]
            self.points()
            return shapes == [self.shape] * 2
        except Exception:  # a cache is made again, whatever is wrong with it
            return False

    def _open(self, which: str) -> Any:
        # blosc2's own threads do not survive the fork of a data worker, which would then wait for them for ever
        blosc2.set_nthreads(1)
        return blosc2.open(str(self.folder / f"{self.id}.{which}.b2nd"), mode="r", mmap_mode="r")


def write_case(
    folder: Path, case_id: str, image_DHW: np.ndarray | None, labels_DHW: np.ndarray, seed: int
) -> CachedCase:
    """Store a preprocessed case; each file is whole or not there.

    Args: image_DHW: normalised; None where its file is there. labels_DHW: integers, -1 unlabelled.
    Raises: OSError where the disk is full, or the folder's own folder is gone.
    """
    private_folder(folder)
    if image_DHW is not None:
        write_array(image_file(folder, case_id), image_DHW.astype(np.float16))
    write_array(folder / f"{case_id}.labels.b2nd", labels_DHW.astype(np.int16))
    rng = np.random.default_rng(seed)
    points = {}
    for label, places in _places_of_labels(labels_DHW):
        keep = np.sort(rng.choice(len(places), min(len(places), _MOST_POINTS), replace=False))
        points[str(label)] = np.stack(np.unravel_index(places[keep], labels_DHW.shape), axis=1).astype(np.int32)
    packed = io.BytesIO()
    np.savez_compressed(packed, **points)
    _write_private(folder / f"{case_id}.points.npz", packed.getvalue())
    return CachedCase(id=case_id, folder=folder, shape=tuple(labels_DHW.shape))  # type: ignore[arg-type]


def image_file(folder: Path, case_id: str) -> Path:
    """Where a case's image lies."""
    return folder / f"{case_id}.image.b2nd"


def _places_of_labels(labels_DHW: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each label that is present, in order, with the places of its voxels, in order. One pass, however many labels."""
    flat = labels_DHW.reshape(-1)
    places = np.flatnonzero(flat > 0)
    values = flat[places].astype(np.int16)
    places = places[np.argsort(values, kind="stable")]
    end = 0
    for label, count in zip(*np.unique(values, return_counts=True), strict=True):
        end += count
        yield int(label), places[end - count : end]


def read_array(path: Path) -> np.ndarray:
    """The whole of what `write_array` stored. Raises: RuntimeError, ValueError or OSError where it is damaged."""
    blosc2.set_nthreads(1)
    return np.asarray(blosc2.open(str(path), mode="r", mmap_mode="r")[...])


def write_array(path: Path, array: np.ndarray) -> None:
    """Compressed in memory first: a full disk then is an error like any other, and no half a file is left."""
    blosc2.set_nthreads(1)
    blocks = tuple(min(_BLOCK, n) for n in array.shape)
    chunks = tuple(min(4 * _BLOCK, n) for n in array.shape)
    cparams = {"codec": blosc2.Codec.LZ4HC, "clevel": 5, "nthreads": 1}
    packed = blosc2.asarray(np.ascontiguousarray(array), chunks=chunks, blocks=blocks, cparams=cparams)
    _write_private(path, packed.to_cframe())


def private_folder(folder: Path) -> None:
    """Make a folder for copies of patients' scans, which nobody but its owner may look into (POSIX), or close one.

    Raises: OSError where it cannot be made.
    """
    if os.name != "posix":
        folder.mkdir(exist_ok=True)
        return
    folder.mkdir(mode=_OWNER_FOLDER, exist_ok=True)
    with suppress(OSError):  # another user's, or a disk that knows no rights
        if folder.stat().st_mode & _FOR_OTHERS:
            folder.chmod(_OWNER_FOLDER)


def _write_private(path: Path, data: bytes) -> None:
    write_atomic(path, data)
    if os.name == "posix":
        with suppress(OSError):  # a disk that knows no rights
            path.chmod(_OWNER_FILE)
