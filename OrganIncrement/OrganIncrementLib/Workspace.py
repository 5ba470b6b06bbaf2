"""The user's models, datasets, jobs and results: one folder, and what was added from elsewhere."""

import re
from collections.abc import Iterable
from pathlib import Path

from organincrement.contract.model import LineageStep, ModelManifest
from OrganIncrementLib.Engine.JobList import jobFoldersIn
from OrganIncrementLib.Engine.Paths import isFile, isFolder, isThere
from OrganIncrementLib.Settings import DictStore, Settings
from OrganIncrementLib.Translation import _
from OrganIncrementLib.WorkspaceEntries import DatasetEntry, EntryCache, ModelEntry, readModel

_FOLDER_KEY = "folder"
_MODELS_KEY, _DATASETS_KEY, _VAULTS_KEY = "models", "datasets", "vaults"
_LONGEST_NAME = 60


class WorkspaceError(ValueError):
    """Something cannot be kept there; the message is for people."""


class Workspace:
    """root/models, datasets, vaults, jobs, results, samples: each is made when something is first put into it.

    Listing reads only what changed, and shows what is damaged with a text instead of failing. settings: remember what
    was added from elsewhere; without them it is forgotten with this object.
    """

    def __init__(self, root: Path, settings: Settings | None = None) -> None:
        self.root = Path(root)
        self._settings = settings or Settings(DictStore())
        self._cache = EntryCache()

    @classmethod
    def fromSettings(cls, settings: Settings) -> "Workspace":
        """The folder that the settings name; `OrganIncrement` in the user's home where they name none."""
        return cls(Path(settings.get(_FOLDER_KEY, "") or Path.home() / "OrganIncrement"), settings)

    @property
    def modelsFolder(self) -> Path:
        """Packages that were put here."""
        return self.root / "models"

    @property
    def datasetsFolder(self) -> Path:
        """Datasets made here."""
        return self.root / "datasets"

    @property
    def jobsFolder(self) -> Path:
        """One folder for each training."""
        return self.root / "jobs"

    @property
    def resultsFolder(self) -> Path:
        """What models said of scans."""
        return self.root / "results"

    @property
    def vaultsFolder(self) -> Path:
        """Old images that some methods replay."""
        return self.root / "vaults"

    @property
    def samplesFolder(self) -> Path:
        """Sample data."""
        return self.root / "samples"

    @property
    def problem(self) -> str:
        """Why nothing can be kept here, for people; "" where all is well or can be made."""
        if isThere(self.root) and not isFolder(self.root):
            return _("{path} is a file, not a folder: rename it, so that a folder can be made in its place.").format(
                path=self.root
            )
        return ""

    def models(self) -> list[ModelEntry]:
        """All packages: those here, those added, and the students of finished jobs; damaged ones with a problem."""
        here = [path for path in _entriesOf(self.modelsFolder) if isFolder(path) or path.suffix == ".oimodel"]
        students = [path / "student" for path in self.jobFolders() if isFile(path / "student" / "model.json")]
        return [self._cache.model(path) for path in _unique([*here, *self._added(_MODELS_KEY), *students])]

    def datasets(self) -> list[DatasetEntry]:
        """All datasets: those here and those added; damaged ones with a problem."""
        here = [path for path in _entriesOf(self.datasetsFolder) if isFolder(path)]
        return [self._cache.dataset(path) for path in _unique([*here, *self._added(_DATASETS_KEY)])]

    def vaults(self) -> list[Path]:
        """All vaults: those here and those added that are still there."""
        paths = [*_entriesOf(self.vaultsFolder), *self._added(_VAULTS_KEY)]
        return _unique(path for path in paths if isFile(path / "vault.json"))

    def jobFolders(self) -> list[Path]:
        """The folders of all jobs."""
        return jobFoldersIn(self.jobsFolder)

    def model(self, path: Path | str) -> ModelEntry:
        """One package, wherever it lies."""
        return self._cache.model(Path(path))

    def dataset(self, path: Path | str) -> DatasetEntry:
        """One dataset, wherever it lies."""
        return self._cache.dataset(Path(path))

    def addModel(self, path: Path | str) -> ModelEntry:
        """Remember a package (or the one whose model.json it is) where it lies.

        Raises: WorkspaceError where it is none, or not whole.
        """
        entry = readModel(_folderOf(path, "model.json"))
        if entry.problem:
            raise WorkspaceError(entry.problem)
        self._remember(_MODELS_KEY, entry.path, self.modelsFolder)
        return entry

    def addDataset(self, path: Path | str) -> DatasetEntry:
        """Remember a dataset (or the one whose dataset.json it is) where it lies.

        Raises: WorkspaceError where it is none.
        """
        entry = self._cache.dataset(_folderOf(path, "dataset.json"))
        if entry.manifest is None:
            raise WorkspaceError(entry.problem)
        self._remember(_DATASETS_KEY, entry.path, self.datasetsFolder)
        return entry

    def addVault(self, path: Path | str) -> Path:
        """Remember a vault where it lies. Raises: WorkspaceError where there is none."""
        if not isFile(Path(path) / "vault.json"):
            raise WorkspaceError(_("{path} is no vault: choose a folder with vault.json.").format(path=path))
        self._remember(_VAULTS_KEY, Path(path).absolute(), self.vaultsFolder)
        return Path(path).absolute()

    def newVaultFolder(self, name: str) -> Path:
        """A folder for a new vault, not there yet. Raises: as `newJobFolder`."""
        return _free(self._made(self.vaultsFolder), name)

    def newModelFolder(self, name: str) -> Path:
        """A folder for a new package, not there yet. Raises: as `newJobFolder`."""
        return _free(self._made(self.modelsFolder), name)

    def newJobFolder(self, name: str) -> Path:
        """A folder for a new job, named after it; not there yet. Raises: WorkspaceError where none can be made."""
        return _free(self._made(self.jobsFolder), name)

    def newDatasetFolder(self, name: str) -> Path:
        """A folder for a new dataset, not there yet. Raises: as `newJobFolder`."""
        return _free(self._made(self.datasetsFolder), name)

    def planFile(self) -> Path:
        """Where a plan may be written that is not started yet. Raises: as `newJobFolder`."""
        return self._made(self.root / "plans") / "plan.json"

    def resultFolder(self, modelSha256: str, name: str) -> Path:
        """Where a model's results for a scan go, the same each time. Raises: as `newJobFolder`."""
        return self._made(self.resultsFolder / modelSha256[:8]) / safeName(name)

    def storedResult(self, folder: Path) -> str:
        """A folder of results as it is named within this workspace; "" for one elsewhere."""
        inside = Path(folder).is_relative_to(self.resultsFolder)
        return Path(folder).relative_to(self.resultsFolder).as_posix() if inside else ""

    def ancestors(self, manifest: ModelManifest) -> list[ModelEntry | LineageStep]:
        """The models that a model comes from, oldest first; the bare step of its lineage where one is not here."""
        byHash = {entry.sha256: entry for entry in reversed(self.models()) if entry.sha256 and not entry.problem}
        return [byHash.get(step.sha256, step) for step in manifest.lineage]

    def _added(self, key: str) -> list[Path]:
        return [Path(text) for text in self._settings.get(key, [])]

    def _remember(self, key: str, path: Path, here: Path) -> None:
        if path.parent != here.absolute():
            self._settings.set(key, list(map(str, _unique([*self._added(key), path]))))

    def _made(self, folder: Path) -> Path:
        if self.problem:
            raise WorkspaceError(self.problem)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _tryToWrite(folder)
        except OSError as error:
            raise WorkspaceError(
                _("{folder} cannot be written ({reason}): make it writable, or choose another folder.").format(
                    folder=folder, reason=(error.strerror or str(error)).lower()
                )
            ) from error
        return folder


def safeName(name: str) -> str:
    """A name that can be a folder's on every system."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.")[:_LONGEST_NAME].rstrip("-.")
    return plain or "unnamed"


def _folderOf(path: Path | str, name: str) -> Path:
    path = Path(path).absolute()
    return path.parent if path.name == name and isFile(path) else path


def _free(folder: Path, name: str) -> Path:
    plain = safeName(name)
    number, path = 1, folder / plain
    while path.exists():
        number += 1
        path = folder / f"{plain}-{number}"
    return path


def _entriesOf(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except (OSError, ValueError):
        return []


def _unique(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))


def _tryToWrite(folder: Path) -> None:
    """Raise the system's error now, rather than after hours of work."""
    probe = folder / ".writable"
    probe.touch()
    probe.unlink(missing_ok=True)
