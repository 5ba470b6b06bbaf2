"""Taking a model of any format in: the arguments of `model import`, and what a path or a refusal asks for."""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from OrganIncrementLib.Engine.Paths import isFile, isFolder

CONFIRM = "confirm-code"
FLAGS = {"configuration", "fold", "checkpoint", "orientation", "organs", "network", "spacing", "modality", CONFIRM}
_FLAG = re.compile(r"--([a-z][a-z-]*)")
_FOLD = re.compile(r"fold_(\d{1,3}|all)")
_MOST_ENTRIES, _MOST_FOLDERS, _DEEPEST = 500, 2000, 3  # a whole disk may be chosen by mistake


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the user says of a model; empty: as its files say. `organs`: (name, label value) that differ.

    `model`: which of several folders in the one that was chosen; "" for that one itself. `description`: a JSON file.
    """

    name: str = ""
    model: str = ""
    configuration: str = ""
    folds: tuple[str, ...] = ()
    checkpoint: str = ""
    orientation: str = ""
    organs: tuple[tuple[str, int], ...] = ()
    description: str = ""
    modality: str = ""


def importArguments(path: Path, out: Path, answers: Answers, confirmed: bool) -> list[str]:
    """The engine's command that makes a package of a model."""
    single = (
        ("--name", answers.name), ("--configuration", answers.configuration), ("--checkpoint", answers.checkpoint),
        ("--orientation", answers.orientation), ("--network", answers.description), ("--modality", answers.modality),
    )  # fmt: skip
    organs = tuple(f"{name.lstrip('-') or value}={value}" for name, value in answers.organs)
    several = (("--fold", answers.folds), ("--organs", organs))
    return [
        "model", "import", answers.model or str(path), "--out", str(out), "--json",
        *(f"{option}={value}" for option, value in single if value),  # in one word: a name may begin with a dash
        *(word for option, values in several if values for word in (option, *values)),
        *(["--confirm-code"] if confirmed else []),
    ]  # fmt: skip


def askedIn(message: str) -> frozenset[str]:
    """The options of `model import` that a refusal or a note names."""
    return frozenset(_FLAG.findall(message)) & FLAGS


def mayBeImportedYet(message: str) -> bool:
    """Whether a look was refused only for its time or its memory, of which an import has more."""
    return tookTooLong(message) or "more than memory holds" in message


def tookTooLong(message: str) -> bool:
    """Whether a look was refused for its time, which a busy computer may need to start the engine."""
    return "it may still be read" in message


def configurationsIn(message: str) -> tuple[str, ...]:
    """Those among which a refusal lets the user choose."""
    _before, colon, listed = message.partition("choose with --configuration:")
    return tuple(part.strip() for part in listed.split(",") if part.strip()) if colon else ()


def ownPackage(path: Path) -> Path | None:
    """The package of our own that a chosen file or folder is or belongs to, None for anything else."""
    if path.name == "model.json" and isFile(path):
        return path.parent
    if isFolder(path):
        return path if isFile(path / "model.json") else None
    if path.suffix == ".oimodel":
        return path
    return path if path.suffix == ".zip" and _holdsManifest(path) else None


def foldersIn(path: Path) -> tuple[Path, ...]:
    """The folders of single models (`trainer__plans__configuration`) in a folder that may hold several."""
    found = {fold.parent for fold in _folds(path)}
    return tuple(sorted(folder for folder in found if folder != path and folder.name.count("__") == 2))


def foldsIn(path: Path) -> tuple[str, ...]:
    """The folds that lie in a model's folder or deeper, in their order: `0`, `1`, …, `all`."""
    names = {fold.name.removeprefix("fold_") for fold in _folds(path)}
    return tuple(sorted(names, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0)))


def _folds(path: Path) -> list[Path]:
    """Folders named after folds, a few levels deep; links are not followed, and what cannot be read is passed over."""
    level, found, left = [path], [], _MOST_FOLDERS
    for _depth in range(_DEEPEST):
        inner = [folder for parent in level for folder in _foldersOf(parent)][:left]
        left -= len(inner)
        found += [folder for folder in inner if _FOLD.fullmatch(folder.name)]
        level = [folder for folder in inner if not _FOLD.fullmatch(folder.name)]
    return found


def _foldersOf(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as entries:
            some = [entry for entry, _i in zip(entries, range(_MOST_ENTRIES), strict=False)]
            return sorted(Path(entry.path) for entry in some if entry.is_dir(follow_symlinks=False))
    except (OSError, ValueError):
        return []


def _holdsManifest(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return "model.json" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        return False
