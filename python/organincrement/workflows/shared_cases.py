"""Scans on a network's grid, kept beside the jobs of a folder for the next one that asks for the same.

They are copies of patients' scans, as a job's own are, and lie where those lay: on the same disk, for the same user
alone. They go when nobody has asked for them for a week, when a job finds the disk full, and whenever somebody
deletes them: jobs that run hold the files by links of their own. Scans of old data are not among them. A file of the
folder's name, put there by hand, keeps the folder from being made.
"""

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from organincrement import __version__
from organincrement.contract import codec
from organincrement.contract.dataset import Case
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file, write_atomic
from organincrement.contract.model import Preprocessing
from organincrement.imaging.cache import read_array, write_array

FOLDER = "prepared-scans"
KEPT_S = 7 * 24 * 3600
MOST_BYTES = 20 * 2**30
_SHARE_OF_FREE = 4  # of what is free on the disk, a fourth at most
_MAKING = 1  # to be raised where the same scan would be prepared otherwise
_WORDS = (
    "Scans that OrganIncrement prepared for training, kept so that the next job on the same data starts at once.\n"
    "They are patients' images. This folder may be deleted at any time; what no job has used for a week goes by\n"
    "itself when the next job starts. To keep none, put an empty file called " + FOLDER + " in its place.\n"
)


@dataclass(frozen=True, kw_only=True)
class CaseOnGrid:
    """A case on the network's grid. image_DHW: normalised; None: its file is there. labels_DHW: the dataset's own.

    spacing_mm: in network axis order. percentiles: of the scan. fill: the image's value beyond the case.
    """

    image_DHW: np.ndarray | None
    labels_DHW: np.ndarray
    spacing_mm: tuple[float, float, float]
    percentiles: tuple[float, float, float]
    fill: float


@dataclass(frozen=True, kw_only=True)
class _Note:
    """Written last: what it names is whole."""

    schema: ClassVar[str] = "organincrement/shared-case/1"
    image_sha256: str
    labels_sha256: str
    spacing_mm: tuple[float, float, float]
    percentiles: tuple[float, float, float]
    fill: float


class SharedCases:
    """The prepared scans beside the jobs of a folder. Whatever is wrong with them, a job goes on without."""

    def __init__(self, jobs_folder: Path) -> None:
        self.path = jobs_folder / FOLDER
        self._bytes = 0
        self._usable = False
        with suppress(OSError):
            self._usable = self._opened()
            self._bytes = _without_unused(self.path) if self._usable else 0

    def take(
        self, case: Case, values: Collection[int], preprocessing: Preprocessing, packed_image: Path
    ) -> CaseOnGrid | None:
        """A case that was prepared before, of the same files in the same way; None where there is none, or a damaged.

        Args: values: that its label may have. packed_image: where the job wants the image's file; a name of its own,
            whatever becomes of the shared one.
        """
        if not self._usable:
            return None
        image, labels, note = self._files(case, values, preprocessing)
        try:
            known = codec.read(_Note, note)
            packed_image.unlink(missing_ok=True)
            _link_or_copy(image, packed_image)
            if (sha256_file(packed_image), sha256_file(labels)) != (known.image_sha256, known.labels_sha256):
                return None
            labels_DHW = read_array(labels)
            os.utime(note)
        except (ContractError, OSError, RuntimeError, ValueError):
            return None
        return CaseOnGrid(
            image_DHW=None, labels_DHW=labels_DHW, spacing_mm=known.spacing_mm, percentiles=known.percentiles,
            fill=known.fill,
        )  # fmt: skip

    def keep(
        self, case: Case, values: Collection[int], preprocessing: Preprocessing, made: CaseOnGrid, packed_image: Path
    ) -> None:
        """Keep a case for the next job, unless there is no room. Args: packed_image: the job's file of the image."""
        if not self._usable:
            return
        image, labels, note = self._files(case, values, preprocessing)
        with suppress(OSError, ContractError), _whole_or_gone(note, image, labels):
            room = min(MOST_BYTES - self._bytes, shutil.disk_usage(self.path).free // _SHARE_OF_FREE)
            if packed_image.stat().st_size > room:
                return
            note.unlink(missing_ok=True)
            image.unlink(missing_ok=True)
            _link_or_copy(packed_image, image)
            write_array(labels, made.labels_DHW)
            codec.write(
                _Note(
                    image_sha256=sha256_file(image), labels_sha256=sha256_file(labels), spacing_mm=made.spacing_mm,
                    percentiles=made.percentiles, fill=made.fill,
                ),
                note,
            )  # fmt: skip
            self._bytes += image.stat().st_size + labels.stat().st_size

    def _files(self, case: Case, values: Collection[int], preprocessing: Preprocessing) -> tuple[Path, Path, Path]:
        files = (case.image_sha256, case.label_sha256, sorted(values))
        made_of = (__version__, _MAKING, *files, codec.to_json(preprocessing))
        name = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
        return self.path / f"{name}.image.b2nd", self.path / f"{name}.labels.b2nd", self.path / f"{name}.json"

    def _opened(self) -> bool:
        """Whether it is a folder of this user's own, made now where there was none."""
        with suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
            write_atomic(self.path / "READ ME.txt", _WORDS)
        found = self.path.lstat()
        return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "geteuid") or found.st_uid == os.geteuid())


def forget_shared_cases(jobs_folder: Path) -> None:
    """Delete what jobs in this folder have shared; those that run are not disturbed."""
    path = jobs_folder / FOLDER
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file that is never written again; a copy where the disk knows no such thing."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        write_atomic(target, source.read_bytes())


@contextmanager
def _whole_or_gone(*files: Path) -> Iterator[None]:
    """Where one cannot be written, none of them stays."""
    try:
        yield
    except (OSError, ContractError):
        for file in files:
            file.unlink(missing_ok=True)
        raise


def _without_unused(folder: Path) -> int:
    """Delete what was not used for a week. Returns: how many bytes are left."""
    long_ago_s, bytes_left = time.time() - KEPT_S, 0
    for note in folder.glob("*.json"):
        with suppress(FileNotFoundError):  # another job looks, too
            if note.stat().st_mtime < long_ago_s:
                for file in (note, *folder.glob(f"{note.stem}.*.b2nd")):
                    file.unlink(missing_ok=True)
    for file in (*folder.glob("*.b2nd"), *folder.glob(".*.partial")):
        with suppress(FileNotFoundError):
            status = file.stat()
            # of a process that was killed, unless it is writing just now; of a link, mtime is the first file's
            is_left = not file.with_name(file.name.partition(".")[0] + ".json").exists()
            if is_left and status.st_ctime < long_ago_s:
                file.unlink(missing_ok=True)
            else:
                bytes_left += status.st_size
    return bytes_left
