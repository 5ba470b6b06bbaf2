"""Where in a results folder of nnU-Net v2 the model is: which trainer's folder, which folds, which checkpoint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.formats.nnunet import all_found, any_found, of_several_folds, subfolders, the_only

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
NEEDED = ("plans.json", "dataset.json")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """One model: the folder with its plans, its members' checkpoints, and what the user should know of the choice."""

    path: Path
    checkpoints: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def looks_like(path: Path) -> bool:
    """Whether a path is, holds, or lies in a model folder, whole or half copied; never raises."""
    return any_found(path, _model_folders)


def find_folder(path: Path, options: ImportOptions) -> Folder:
    """The model that is meant. Raises: ModelError naming the file that is missing, or what to choose from."""
    nothing = "holds no plans.json and no fold_0; give the folder of a trained nnU-Net v2"
    folders = all_found(path, _model_folders, nothing)
    if len(folders) > 1 and options.configuration:
        folders = [folder for folder in folders if folder.name.rpartition("__")[2] == options.configuration]
    folder = the_only(path, folders, lambda folder: folder.name)
    for name in NEEDED:
        if not (folder / name).is_file():
            raise ModelError(f"{folder.name}/{name} is missing; copy the whole folder again")
    return _with_checkpoints(folder, path, options)


def _model_folders(path: Path) -> list[Path]:
    if path.is_file():
        in_fold = path.suffix == ".pth" and _is_fold(path.parent)
        path = path.parent.parent if in_fold else path.parent
        return [path] if _is_model(path) and (in_fold) else []
    if _is_fold(path) and _is_model(path.parent):
        return [path.parent]
    if _is_model(path):
        return [path]
    inside = subfolders(path)
    found = [folder for folder in inside if _is_model(folder)]
    if not found:  # nnUNet_results, or a dataset's folder inside another
        found = [deeper for folder in inside for deeper in subfolders(folder) if _is_model(deeper)]
    return found


def _is_fold(path: Path) -> bool:
    return re.fullmatch(r"fold_([0-9]{1,3}|all)", path.name) is not None


def _is_model(path: Path) -> bool:
    """Half a copy counts, so that what is missing can be said."""
    if not path.is_dir():
        return False
    weights = [*path.glob("fold_*/checkpoint_*.pth")]
    return bool(weights) or ((path / "plans.json").is_file() and (path / "dataset.json").is_file())


def _with_checkpoints(folder: Path, path: Path, options: ImportOptions) -> Folder:
    folds, chosen = _folds(folder, path, options), options.checkpoint
    if chosen is None and path.suffix == ".pth":
        chosen = path.name
    notes = []
    if chosen is None:
        chosen = next((name for name in CHECKPOINTS if any((fold / name).is_file() for fold in folds)), CHECKPOINTS[0])
        if chosen != CHECKPOINTS[0]:
            notes.append(f"there is no {CHECKPOINTS[0]}: {chosen} is taken, of a training that may not have ended")
    name = next((known for known in CHECKPOINTS if chosen in (known, known[:-4], known[11:-4])), chosen)
    if Path(name).name != name:
        raise ModelError(f"--checkpoint {name}: is no file's name; choose {', '.join(CHECKPOINTS)}")
    for fold in folds:
        if not (fold / name).is_file():
            raise ModelError(f"{folder.name}/{fold.name}/{name} is missing; copy it again, or choose folds with --fold")
    notes += of_several_folds(len(folds))
    return Folder(path=folder, checkpoints=tuple(fold / name for fold in folds), notes=tuple(notes))


def _folds(folder: Path, path: Path, options: ImportOptions) -> Sequence[Path]:
    """Those asked for; else all that are numbered, which nnU-Net averages; else `all`."""
    asked = options.folds
    if not asked and (_is_fold(path) or _is_fold(path.parent)):
        asked = ((path if _is_fold(path) else path.parent).name.removeprefix("fold_"),)
    if asked:
        named = [folder / f"fold_{str(fold).removeprefix('fold_')}" for fold in asked]
        for fold in named:
            if not _is_fold(fold) or not fold.is_dir():
                there = ", ".join(sorted(f.name for f in subfolders(folder) if _is_fold(f))) or "none"
                raise ModelError(f"{folder.name}/{fold.name} is missing; there are: {there}")
        return list(dict.fromkeys(named))
    folds = [fold for fold in subfolders(folder) if _is_fold(fold)]
    numbered = sorted((fold for fold in folds if fold.name != "fold_all"), key=lambda fold: int(fold.name[5:]))
    found = numbered or folds
    if not found:
        raise ModelError(f"{folder.name}/fold_0/{CHECKPOINTS[0]} is missing; copy the whole folder again")
    return found
