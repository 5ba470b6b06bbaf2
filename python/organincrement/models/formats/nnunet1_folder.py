"""Where in a folder of nnU-Net v1 the model is: which configuration's trainer, which folds, which checkpoint."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.formats.nnunet import (
    MOST_ENTRIES,
    all_found,
    any_found,
    of_several_folds,
    subfolders,
    the_only,
)

CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres")
CHECKPOINTS = ("model_final_checkpoint", "model_best", "model_latest")
CASCADE = "3d_cascade_fullres"
_DEEPEST = 3  # nnUNet/3d_fullres/Task006_Lung/nnUNetTrainerV2__nnUNetPlansv2.1


@dataclass(frozen=True, kw_only=True)
class Folder1:
    """One model: its folder, the configuration as the folders around it name it, and each fold's checkpoint."""

    path: Path
    configuration: str | None
    checkpoints: tuple[Path, ...]
    notes: tuple[str, ...]

    @property
    def task(self) -> str:
        """The task's name where the folder around has one, else the folder's."""
        around = self.path.resolve().parent.name
        return around if around.startswith("Task") else self.path.name

    @property
    def plans(self) -> Path:
        """The file with the plans."""
        return self.path / "plans.pkl"


def looks_like(path: Path) -> bool:
    """Whether a path is, holds, or lies in a model folder, whole or half copied; never raises."""
    return any_found(path, _model_folders)


def find_folder(path: Path, options: ImportOptions) -> Folder1:
    """The model that is meant. Raises: ModelError naming the file that is missing, or what to choose from."""
    nothing = "holds no plans.pkl and no fold_0; give the folder of a trained nnU-Net v1"
    folders = all_found(path, _model_folders, nothing)
    if len(folders) > 1 and options.configuration:
        folders = [folder for folder in folders if configuration_of(folder) == options.configuration]
    folder = the_only(path, folders, lambda folder: "/".join(folder.parts[-3:]))
    named = configuration_of(folder)
    if named and options.configuration not in (None, named):
        raise ModelError(f"{folder.name}: is of configuration {named}, not {options.configuration}")
    folds = _folds(folder, path, options)
    name, notes = _checkpoint(folds, path, options)
    for fold in folds:
        if not (fold / f"{name}.model").is_file():
            raise ModelError(
                f"{folder.name}/{fold.name}/{name}.model is missing; copy it again, or choose folds with --fold"
            )
    return Folder1(
        path=folder, configuration=named or options.configuration, notes=(*notes, *of_several_folds(len(folds))),
        checkpoints=tuple(fold / f"{name}.model" for fold in folds),
    )  # fmt: skip


def configuration_of(folder: Path) -> str | None:
    """What the folders around a model call its configuration."""
    return next((part for part in reversed(folder.resolve().parts) if part in CONFIGURATIONS), None)


def _model_folders(path: Path) -> list[Path]:
    if path.is_file():
        named = path.name.endswith((".model", ".model.pkl")) and _is_fold(path.parent)
        return [path.parent.parent] if named else []
    if _is_fold(path) and any(path.glob("*.model")):
        return [path.parent]
    level = [path]
    for _ in range(_DEEPEST + 1):
        found = [folder for folder in level if _is_model(folder)]
        if found:
            return found
        level = [inner for folder in level for inner in subfolders(folder)][:MOST_ENTRIES]
    return []


def _is_fold(path: Path) -> bool:
    return re.fullmatch(r"fold_[0-9]{1,3}|all", path.name) is not None


def _is_model(path: Path) -> bool:
    """Half a copy counts, so that what is missing can be said."""
    if not path.is_dir():
        return False
    plans = (path / "plans.pkl").is_file() and (path.name.startswith("nnUNetTrainer") or "__nnUNetPlans" in path.name)
    return plans or any(_is_fold(fold) and any(fold.glob("*.model")) for fold in subfolders(path))


def _folds(folder: Path, path: Path, options: ImportOptions) -> Sequence[Path]:
    """Those asked for; else all that are numbered, which nnU-Net averages; else `all`."""
    asked = options.folds
    given = path if _is_fold(path) else path.parent
    if not asked and given != folder and _is_fold(given):
        asked = (given.name,)
    if asked:
        names = [str(fold).removeprefix("fold_") for fold in asked]
        named = [folder / (name if name == "all" else f"fold_{name}") for name in names]
        for fold in named:
            if not _is_fold(fold) or not fold.is_dir():
                there = ", ".join(f.name for f in subfolders(folder) if _is_fold(f)) or "none"
                raise ModelError(f"{folder.name}/{fold.name} is missing; there are: {there}")
        return list(dict.fromkeys(named))
    folds = [fold for fold in subfolders(folder) if _is_fold(fold)]
    numbered = sorted((fold for fold in folds if fold.name != "all"), key=lambda fold: int(fold.name[5:]))
    if not folds:
        raise ModelError(f"{folder.name}/fold_0/{CHECKPOINTS[0]}.model is missing; copy the whole folder again")
    return numbered or folds


def _checkpoint(folds: Sequence[Path], path: Path, options: ImportOptions) -> tuple[str, list[str]]:
    """The name, without its ending, and what to know of the choice."""
    chosen = options.checkpoint
    if chosen is None and path.is_file():
        chosen = path.name
    if chosen is not None:
        plain = chosen.removesuffix(".pkl").removesuffix(".model")
        name = next((known for known in CHECKPOINTS if plain in (known, known.split("_")[1])), plain)
        if Path(name).name != name:
            raise ModelError(f"--checkpoint {name}: is no file's name; choose {', '.join(CHECKPOINTS)}")
        return name, []
    there = (name for name in CHECKPOINTS if any((fold / f"{name}.model").is_file() for fold in folds))
    name = next(there, CHECKPOINTS[0])
    if name == CHECKPOINTS[0]:
        return name, []
    return name, [f"there is no {CHECKPOINTS[0]}: {name} is taken, of a training that may not have ended"]
