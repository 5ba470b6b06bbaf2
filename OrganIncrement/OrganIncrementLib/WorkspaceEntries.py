"""Models and datasets as a list shows them: read once, and again when their files change; damage is a text."""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from organincrement.contract.dataset import Case, Dataset, DatasetFolder
from organincrement.contract.errors import ContractError
from organincrement.contract.files import resolve_inside
from organincrement.contract.model import ModelManifest
from organincrement.contract.package import manifest_sha256, read_manifest
from OrganIncrementLib.Engine.Paths import isFile, isFolder, isThere
from OrganIncrementLib.Engine.Words import oneLine
from OrganIncrementLib.Translation import _

Signature = tuple[object, ...]


@dataclass(frozen=True)
class ModelEntry:
    """A model package. sha256: of its model.json, by which lineages name it. problem: why it cannot be used, or ""."""

    path: Path
    manifest: ModelManifest | None
    problem: str = ""
    sha256: str = ""

    @property
    def name(self) -> str:
        """The model's name; the file's where the model cannot be read."""
        return self.manifest.name if self.manifest else self.path.name


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset. unreadable: why it cannot be used at all, or "". look: reads the cases: counts and what is wrong."""

    path: Path
    manifest: Dataset | None
    unreadable: str = ""
    look: Callable[[], tuple[dict[str, int], str]] = field(default=lambda: ({}, ""), compare=False)

    @cached_property
    def _cases(self) -> tuple[dict[str, int], str]:
        """Read when first asked for: of ten thousand cases that takes a second, and lists of names need none."""
        return self.look()

    @property
    def counts(self) -> dict[str, int]:
        """Cases of each status."""
        return self._cases[0]

    @property
    def problem(self) -> str:
        """Why it, or some of its cases, cannot be used, or ""."""
        return self.unreadable or self._cases[1]

    @property
    def name(self) -> str:
        """The dataset's name; the folder's where it cannot be read."""
        return self.manifest.name if self.manifest else self.path.name


class EntryCache:
    """Reads entries, and remembers each as long as the sizes and times of its files stay."""

    def __init__(self) -> None:
        self._models: dict[Path, tuple[Signature, ModelEntry]] = {}
        self._datasets: dict[Path, tuple[Signature, DatasetEntry]] = {}
        self._statuses: dict[Path, tuple[Signature, str]] = {}

    def model(self, path: Path) -> ModelEntry:
        """The package at a path."""
        signature = _signature(path)
        known = self._models.get(path)
        if known is None or known[0] != signature:
            known = self._models[path] = (signature, readModel(path))
        return known[1]

    def dataset(self, path: Path) -> DatasetEntry:
        """The dataset at a path; of many cases, only those are read that changed."""
        signature = (_signature(path / "dataset.json"), _signature(path / "cases"))
        known = self._datasets.get(path)
        if known is None or known[0] != signature:
            known = self._datasets[path] = (signature, self._readDataset(path))
        return known[1]

    def _readDataset(self, path: Path) -> DatasetEntry:
        if not isThere(path / "dataset.json"):
            return DatasetEntry(path, None, _("{name} is no dataset, or was deleted.").format(name=path.name))
        try:
            folder = DatasetFolder.open(path)
        except (ContractError, OSError) as error:
            return DatasetEntry(path, None, oneLine(error, path))
        return DatasetEntry(path, folder.manifest, look=lambda: self._casesOf(folder))

    def _casesOf(self, folder: DatasetFolder) -> tuple[dict[str, int], str]:
        """How many cases have each status, and which cannot be read."""
        counts: dict[str, int] = {}
        damaged: list[str] = []
        try:
            for name in sorted(_caseNames(folder.path)):
                status = self._status(folder, folder.path / "cases" / f"{name}.json", name, damaged)
                if status:
                    counts[status] = counts.get(status, 0) + 1
        except OSError as error:
            return counts, oneLine(error, folder.path)
        return counts, _damageWords(damaged)

    def _status(self, folder: DatasetFolder, file: Path, name: str, damaged: list[str]) -> str:
        signature = _signature(file)
        known = self._statuses.get(file)
        if known is not None and known[0] == signature:
            return known[1]
        try:
            case: Case = folder.case(name)
        except (ContractError, OSError) as error:
            damaged.append(oneLine(error, folder.path))
            self._statuses.pop(file, None)
            return ""
        self._statuses[file] = (signature, case.status)
        return case.status


def readModel(path: Path) -> ModelEntry:
    """A package, whether it is whole or not; its weights are looked for, not read."""
    if not isThere(path):
        return ModelEntry(path, None, _("{name} was moved or deleted.").format(name=path.name))
    try:
        manifest = read_manifest(path)
        digest = manifest_sha256(path)
    except (ContractError, OSError) as error:
        return ModelEntry(path, None, _halfCopied(path) or oneLine(error, path))
    return ModelEntry(path, manifest, _lackingWeights(path, manifest), digest)


def _halfCopied(path: Path) -> str:
    """What a copy looks like that is not finished: a zip without its end, or a folder without its model.json."""
    broken = isFile(path) and not zipfile.is_zipfile(path)
    if broken or (isFolder(path) and not isThere(path / "model.json")):
        return _("{name} is not a whole model package: it may still be being copied. Copy it again.").format(
            name=path.name
        )
    return ""


def _lackingWeights(path: Path, manifest: ModelManifest) -> str:
    sizes = _sizesIn(path)
    for weights in manifest.weights:
        size = sizes.get(weights.file) if isFile(path) else _sizeOf(path, weights.file)
        if size != weights.bytes:
            return _("{name} is not whole ({file} is missing or too short): copy it again.").format(
                name=path.name, file=weights.file
            )
    return ""


def _sizesIn(path: Path) -> dict[str, int]:
    if isFolder(path):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename: info.file_size for info in archive.infolist()}
    except (OSError, zipfile.BadZipFile):
        return {}


def _sizeOf(folder: Path, name: str) -> int | None:
    try:
        return resolve_inside(folder, name).stat().st_size
    except (ContractError, OSError):
        return None


def _caseNames(path: Path) -> list[str]:
    return [file.stem for file in (path / "cases").glob("*.json") if not file.name.startswith(".")]


def _damageWords(damaged: list[str]) -> str:
    if not damaged:
        return ""
    if len(damaged) == 1:
        return _("One case cannot be read: {first}").format(first=damaged[0])
    return _("{count} cases cannot be read; the first: {first}").format(count=len(damaged), first=damaged[0])


def _signature(path: Path) -> Signature:
    """Name, size and time of a file, or of each file directly in a folder."""
    try:
        if not path.is_dir():
            found = path.stat()
            return (found.st_mtime_ns, found.st_size)
        with os.scandir(path) as entries:
            return tuple(sorted((e.name, e.stat().st_mtime_ns, e.stat().st_size) for e in entries))
    except (OSError, ValueError) as error:  # ValueError: no system has a file of that name
        return (getattr(error, "errno", None),)
