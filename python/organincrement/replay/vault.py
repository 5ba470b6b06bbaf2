"""The vault: pieces of old scans, kept for replay on the computer where they were chosen, and nowhere else.

A folder that its owner alone may open: vault.json, and for each exemplar a compressed image named by its number. No
other program of the engine copies anything out of it; training reads patches straight from its files.
"""

import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.files import found_at_or_above, fsync_folder, sha256_file, write_atomic
from organincrement.contract.vault import Exemplar, Vault, Voxel
from organincrement.imaging.cache import CachedCase, Slices
from organincrement.imaging.patches import UNLABELLED
from organincrement.replay.errors import ReplayError
from organincrement.replay.machine import machine_mark

VAULT_FILE = "vault.json"
ID_PREFIX = "exemplar:"  # no case of a dataset can have a colon in its id
_OWNER_FOLDER, _OWNER_FILE = 0o700, 0o600
_FOREIGN = ("dataset.json", "model.json")


@dataclass(frozen=True, kw_only=True)
class OpenVault:
    """A vault that may be used here. Its files have not been read yet."""

    folder: Path
    vault: Vault

    def cases(self) -> "tuple[ExemplarCase, ...]":
        """The exemplars as cases to draw patches from, each read once and compared with its hash.

        Raises: ReplayError for a file that is missing or not the one that was stored.
        """
        return tuple(self._case(exemplar) for exemplar in self.vault.exemplars)

    def _case(self, exemplar: Exemplar) -> "ExemplarCase":
        path, where = self.folder / exemplar.file, f"{self.folder.name}: {exemplar.file}"
        try:
            same = path.stat().st_size == exemplar.bytes and sha256_file(path) == exemplar.sha256
        except (OSError, ContractError):
            same = False
        if not same:
            raise ReplayError(f"{where}: is not the image that was stored; select the exemplars again")
        points = {
            place: np.array([chosen.point], np.int32) for place, chosen in enumerate(exemplar.chosen_for, start=1)
        }
        case = ExemplarCase(
            id=f"{ID_PREFIX}{path.stem}", folder=self.folder, shape=exemplar.shape, file=exemplar.file, aims=points
        )
        if not case.is_whole():
            raise ReplayError(f"{where}: does not hold an image of {list(exemplar.shape)}; select the exemplars again")
        return case


@dataclass(frozen=True, kw_only=True)
class ExemplarCase(CachedCase):
    """An exemplar as the patch sampler takes it, unlabelled. aims: a voxel of each organ it was chosen for."""

    file: str
    aims: Mapping[int, np.ndarray]

    def read(self, where: Slices) -> tuple[np.ndarray, np.ndarray]:
        """Image (float32) of a box, and labels (int16), all unlabelled."""
        image = self._open("image")[where].astype(np.float32)
        return image, np.full(image.shape, UNLABELLED, np.int16)

    def labels_DHW(self) -> np.ndarray:
        """All unlabelled, int16."""
        return np.full(self.shape, UNLABELLED, np.int16)

    def points(self) -> Mapping[int, np.ndarray]:
        """Where to aim patches."""
        return self.aims

    def is_whole(self) -> bool:
        """Whether its file can be opened and holds finite numbers of its shape."""
        try:
            image = self._open("image")
            return image.shape == self.shape and image.dtype == np.float16 and bool(np.isfinite(image[...]).all())
        except Exception:  # whatever is wrong with it
            return False

    def _open(self, which: str) -> Any:
        blosc2.set_nthreads(1)  # its threads do not survive the fork of a data worker
        return blosc2.open(str(self.folder / self.file), mode="r", mmap_mode="r")


_OURS = re.compile(r"\.?(\d{4,6}\.b2nd|selection\.html|vault\.json).*")


class VaultWriter:
    """Fills `<out>.partial`, private from the first moment on, and renames it to `out` when it is whole.

    Raises: ReplayError where there is something at `out` already, or `out` lies in a folder that gets about.
    """

    def __init__(self, out: Path) -> None:
        self.out, self._partial = out, out.with_name(f"{out.name}.partial")
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ReplayError(f"{out.name}: is there already; choose another place for the vault")
        _check_place(out)
        self._clear_remains()
        self._partial.mkdir(parents=True)
        self._partial.chmod(_OWNER_FOLDER)

    def _clear_remains(self) -> None:
        """Of a selection that was killed; a folder that holds anything else is somebody's."""
        remains = list(self._partial.iterdir()) if self._partial.is_dir() else []
        if any(not _OURS.fullmatch(path.name) for path in remains):
            raise ReplayError(f"{self._partial.name}: is there and holds other files; choose another place")
        shutil.rmtree(self._partial, ignore_errors=True)

    def store(self, number: int, image_DHW: np.ndarray) -> tuple[str, str, int]:
        """Keep one normalised slab. Returns: its file, the file's SHA-256 and bytes."""
        blosc2.set_nthreads(1)
        cparams = {"codec": blosc2.Codec.ZSTD, "clevel": 5, "nthreads": 1}
        packed = blosc2.asarray(np.ascontiguousarray(image_DHW.astype(np.float16)), cparams=cparams)
        name = f"{number:04d}.b2nd"
        self._private(name, packed.to_cframe())
        path = self._partial / name
        return name, sha256_file(path), path.stat().st_size

    def seal(self, vault: Vault, page: str) -> None:
        """Write vault.json and the page of what was chosen, then give the folder its name."""
        self._private("selection.html", page.encode())
        self._private(VAULT_FILE, codec.dumps(vault).encode())
        if self.out.exists():
            self.out.rmdir()
        self._partial.rename(self.out)
        fsync_folder(self.out.parent)

    def discard(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def _private(self, name: str, data: bytes) -> None:
        write_atomic(self._partial / name, data)
        (self._partial / name).chmod(_OWNER_FILE)


def new_mark() -> tuple[str, str]:
    """A fresh salt, and this computer's mark with it."""
    salt = secrets.token_hex(16)
    return salt, machine_mark(salt)


def open_vault(folder: Path) -> OpenVault:
    """Open a vault that was made on this computer.

    Raises: ReplayError, in one line, where it is none, is damaged, is of another computer, lies where files get about,
    or can be opened by others.
    """
    _check_is_vault(folder)
    try:
        vault = codec.read(Vault, folder / VAULT_FILE)
    except ContractError as error:
        reason = str(error).removeprefix(f"{folder / VAULT_FILE}: ")
        raise ReplayError(f"{folder.name}: {VAULT_FILE}: {reason}") from error
    if vault.machine != machine_mark(vault.salt):
        raise ReplayError(
            f"{folder.name}: was made on another computer, where its patient images are to stay; select exemplars here"
        )
    _check_place(folder)
    if sys.platform != "win32":
        for path in (folder, folder / VAULT_FILE, *(folder / exemplar.file for exemplar in vault.exemplars)):
            _check_private(path, folder.name)
    return OpenVault(folder=folder, vault=vault)


def vault_sha256(folder: Path) -> str:
    """SHA-256 of a vault's vault.json. Raises: ReplayError where the folder is none; ContractError."""
    _check_is_vault(folder)
    return sha256_file(folder / VAULT_FILE)


def trim(folder: Path, keep: int) -> Vault:
    """Keep the first exemplars only; what is left is what the greedy choice would have given. Raises: ReplayError."""
    vault = open_vault(folder).vault
    if not 0 < keep <= len(vault.exemplars):
        raise ReplayError(f"{folder.name}: has {len(vault.exemplars)} exemplars; keep 1 or more of them, not {keep}")
    kept = replace(vault, exemplars=vault.exemplars[:keep])
    write_atomic(folder / VAULT_FILE, codec.dumps(kept))
    (folder / VAULT_FILE).chmod(_OWNER_FILE)
    for exemplar in vault.exemplars[keep:]:
        (folder / exemplar.file).unlink(missing_ok=True)
    return kept


def check_fits(vault: Vault, folder: Path, ancestors: Iterable[str], preprocessing: object, by: str) -> None:
    """Refuse a vault that this teacher cannot use.

    Args: ancestors: SHA-256 of the teacher's model.json and of those it descends from. by: the method that replays.
    Raises: ReplayError.
    """
    if vault.model_sha256 not in set(ancestors):
        raise ReplayError(
            f"{folder.name}: its exemplars were chosen by another model than this teacher or one that it descends "
            "from; select them with this teacher"
        )
    if vault.preprocessing != preprocessing:
        raise ReplayError(
            f"{folder.name}: its images were prepared otherwise (spacing, axes or intensities) than this teacher sees "
            "scans; select them with this teacher"
        )
    if vault.by != by:
        raise ReplayError(
            f"{folder.name}: its exemplars were chosen as {vault.by} does; use that method, or select with --by {by}"
        )


def slab_starts(depth: int, slab: int) -> list[int]:
    """First voxels of the slabs that tile an axis; the last one is moved in where it would stand out."""
    if depth <= slab:
        return [0]
    return [*range(0, depth - slab, slab), depth - slab]


def placed(order: Mapping[str, Iterable[int]]) -> list[int]:
    """Items of several organs' greedy orders in one order, rank by rank, each once."""
    columns = [list(items) for items in order.values()]
    deepest = max((len(column) for column in columns), default=0)
    ranked = (column[rank] for rank in range(deepest) for column in columns if rank < len(column))
    return list(dict.fromkeys(ranked))


def centre_of(mask_DHW: np.ndarray) -> Voxel:
    """The voxel of a mask that is nearest to its centre of mass."""
    found = np.argwhere(mask_DHW)
    nearest = found[np.square(found - found.mean(0)).sum(1).argmin()]
    return int(nearest[0]), int(nearest[1]), int(nearest[2])


def _check_is_vault(folder: Path) -> None:
    if not (folder / VAULT_FILE).is_file():
        raise ReplayError(f"{folder.name}: is no vault, which `exemplars select` makes")


def _check_place(folder: Path) -> None:
    if found := found_at_or_above(folder.resolve().parent, _FOREIGN):
        raise ReplayError(
            f"{folder.name}: lies inside '{found.parent.name}' (a folder with {found.name}), which may be passed on "
            "with the patient images in it; move it elsewhere"
        )


def _check_private(path: Path, name: str) -> None:
    try:
        mode = path.stat(follow_symlinks=False).st_mode
    except OSError:
        return  # said when it is read
    if stat.S_ISLNK(mode):
        raise ReplayError(f"{name}: {path.name} is a link; select the exemplars again")
    if mode & 0o077 or path.stat().st_uid != os.getuid():
        raise ReplayError(
            f"{name}: others than you may open {'it' if path.name == name else path.name}: take their rights away "
            f"(chmod {'700' if path.is_dir() else '600'})"
        )
