"""TotalSegmentator weights: folders Dataset291_TotalSegmentator_…, each a model of nnU-Net v2, several for one task.

A scan is turned to RAS, resampled to the task's spacing by a cubic spline through the centres of its corner voxels, cut
to whole numbers and given to nnU-Net; labels go back to the nearest voxel, those of later networks over earlier ones.
Source: J. Wasserthal et al., Radiology: Artificial Intelligence 5 (2023); versions 2.1 to 2.15 of the tool.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from organincrement.contract.labels import Code, Organ
from organincrement.contract.model import (
    Head,
    MultiHead,
    Network,
    Normalisation,
    OrganHead,
    Preprocessing,
    SoftmaxHead,
)
from organincrement.contract.organs import ANATOMICAL_STRUCTURE, SIDES
from organincrement.models.errors import ModelError
from organincrement.models.formats import nnunet2
from organincrement.models.formats.foreign import Foreign, ImportOptions, StoredTensor
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.formats.nnunet import subfolders
from organincrement.models.formats.totalsegmentator_tasks import CODES, TASKS, Task
from organincrement.models.formats.totalsegmentator_windows import shared_window
from organincrement.networks.side_by_side import beside, part_name
from organincrement.networks.sizing import NetworkSpec

_DATASET = re.compile(r"Dataset([0-9]{3})_\w+")
_NUMBERS = {number for task in TASKS.values() for number in task.parts}
_DEEPEST = 3  # Dataset291_TotalSegmentator_…/nnUNetTrainer…/fold_0/checkpoint_final.pth
_CITATION = "J. Wasserthal et al.: TotalSegmentator. Radiology: Artificial Intelligence 5 (2023) e230024"
_LICENCE = "Apache-2.0"  # of the weights of the tasks that are open to all, which are those of the table
_SPACING_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """A task, or some of its parts; where the tool's table here has none such, `known` is false."""

    task: Task
    folders: tuple[tuple[int, Path], ...]
    known: bool = True


def recognise(path: Path) -> bool:
    """The folder of one of TotalSegmentator's data sets, one that holds such, or what lies in one."""
    try:
        return _around(path) is not None or any(_is_ours(folder) for folder in subfolders(path))
    except (OSError, ValueError):
        return False


def read(path: Path, options: ImportOptions) -> Foreign:
    """The model in our terms; raises ModelError with the reason in one line."""
    chosen = _chosen(path, options)
    parts = [_part(folder, options) for _, folder in chosen.folders]
    task = chosen.task if chosen.known else _own_task(chosen, parts[0])
    classes = [task.parts[number] for number, _ in chosen.folders]
    for (_, folder), part, names in zip(chosen.folders, parts, classes, strict=True):
        _check_part(folder, part, names, task, parts[0])
    organs = _organs([name for names in classes for name in names], options, path.name)
    window, windows = shared_window([part.manifest.preprocessing.normalisation for part in parts])
    first = parts[0].manifest
    specs = [NetworkSpec.of(part.manifest.network) for part in parts]
    spec = specs[0] if len(parts) == 1 else beside(specs, windows)
    manifest = replace(
        first,
        name=options.name or _name(chosen, task), organs=organs,
        network=Network(
            kind=spec.kind, args=spec.args, parameters=sum(part.manifest.network.parameters for part in parts)
        ),
        head=_head(organs, [len(names) for names in classes]),
        preprocessing=_preprocessing(first.preprocessing, window, options),
        inference=replace(first.inference, step=task.step, mirror_axes=()),
        citation=_CITATION, licence=first.licence or (_LICENCE if chosen.known else ""),
    )  # fmt: skip
    return Foreign(manifest=manifest, members=(_member(parts),), notes=_notes(chosen, task))


def _around(path: Path) -> Path | None:
    """The data set's folder that a path is, or lies in: a trainer's folder, one of its folds, a checkpoint in it.

    Taken for a plain nnU-Net it would see scans that are not turned, at other windows, and answer otherwise.
    """
    if _is_ours(path):
        return path
    folder = next((folder for folder in path.absolute().parents[:_DEEPEST] if _is_ours(folder)), None)
    return folder if folder is not None and nnunet2.recognise(path) else None


def _number(folder: Path) -> int | None:
    found = _DATASET.fullmatch(folder.name)
    return int(found[1]) if found else None


def _is_ours(folder: Path) -> bool:
    """By the number and name that the tool gives its data sets; others may have the same numbers."""
    return _number(folder) in _NUMBERS and ("TotalSegmentator" in folder.name or "_body_" in folder.name)


def _chosen(path: Path, options: ImportOptions) -> _Chosen:
    """The task that is asked for; else `total`, or the task of the one folder that is given."""
    asked = options.configuration
    around = _around(path)
    if around is not None or _number(path) is not None:
        return _of_folder(around or path, path)
    there = _numbered(path)
    if not there:
        raise ModelError(f"{path.name}: holds no folder such as Dataset291_TotalSegmentator_…; give the one that does")
    if asked is not None and asked not in TASKS:
        digits = asked.removeprefix("Dataset")[:3]
        if digits.isdecimal() and int(digits) in there:
            return _of_folder(there[int(digits)], there[int(digits)])
        raise ModelError(f"--configuration {asked}: is no task of {', '.join(TASKS)}, and no data set of {path.name}")
    names = [asked] if asked else [name for name, task in TASKS.items() if set(task.parts) & set(there)]
    if not names:
        if len(there) == 1:
            (only,) = there.values()
            return _of_folder(only, only)
        raise ModelError(f"{path.name}: holds no task that is known here; choose with --configuration NUMBER")
    task = TASKS[names[0]]
    missing = [number for number in task.parts if number not in there]
    if missing:
        part = next((number for number in task.parts if number in there), None)
        hint = f", or import one part alone with --configuration {part}" if part else ""
        raise ModelError(f"{path.name}: Dataset{missing[0]}_… of task {task.name} is missing; copy it as well{hint}")
    return _Chosen(task=task, folders=tuple((number, there[number]) for number in task.parts))


def _numbered(path: Path) -> dict[int, Path]:
    """The data sets in a folder by their numbers; the tool's own where others have the same ones.

    Raises: ModelError where the tool's own is there twice.
    """
    there: dict[int, Path] = {}
    for folder in subfolders(path):
        number = _number(folder)
        if number is None or (number in _NUMBERS and not _is_ours(folder)):
            continue
        if number in there and number in _NUMBERS:
            raise ModelError(f"{path.name}: holds both {there[number].name} and {folder.name}; give one of the two")
        there[number] = folder
    return there


def _of_folder(folder: Path, given: Path) -> _Chosen:
    """One data set. Args: given: it, or what lies in it and is meant."""
    number = _number(folder) or 0
    task = next((task for task in TASKS.values() if number in task.parts and _is_ours(folder)), None)
    if task is not None:
        return _Chosen(task=task, folders=((number, given),))
    unknown = Task(name=folder.name, spacing_mm=0.0, parts={number: ()})
    return _Chosen(task=unknown, folders=((number, given),), known=False)


def _own_task(chosen: _Chosen, part: Foreign) -> Task:
    """Of a data set that is in no table: the classes and the spacing that its own files give."""
    names = tuple(organ.name for organ in part.manifest.organs)
    return replace(
        chosen.task, spacing_mm=min(part.manifest.preprocessing.spacing_mm), parts={chosen.folders[0][0]: names}
    )


def _part(folder: Path, options: ImportOptions) -> Foreign:
    """One network, of fold 0 as the tool has it unless other folds are asked for."""
    has_first = any(folder.glob("*/fold_0")) or any(folder.glob("fold_0"))
    folds = options.folds or (("0",) if has_first else ())
    asked = ImportOptions(folds=folds, checkpoint=options.checkpoint, modality=options.modality)
    try:
        found = nnunet2.read(folder, asked)
    except ModelError as error:
        raise ModelError(f"{folder.name}: {error}") from None
    if len(found.members) != 1:
        raise ModelError(f"{folder.name}: has {len(found.members)} folds; choose one with --fold")
    return found


def _check_part(folder: Path, part: Foreign, names: Sequence[str], task: Task, first: Foreign) -> None:
    """Raises: ModelError where a part is not the one of the table, or does not go with the first."""
    found, seen = part.manifest, part.manifest.preprocessing
    if len(found.organs) != len(names):
        raise ModelError(
            f"{folder.name}: has {len(found.organs)} classes, but task {task.name} has {len(names)} there; "
            "it is of another version"
        )
    spacing_mm = seen.spacing_mm
    off_mm = max(abs(mm - task.spacing_mm) for mm in spacing_mm) if task.name in TASKS else 0.0
    if seen.keep_axes or off_mm > _SPACING_TOLERANCE_MM:
        raise ModelError(f"{folder.name}: is of {list(spacing_mm)} mm, but task {task.name} of {task.spacing_mm:g} mm")
    same = ("spacing_mm", "axis_order", "channels")
    if any(getattr(seen, key) != getattr(first.manifest.preprocessing, key) for key in same):
        raise ModelError(f"{folder.name}: sees scans otherwise than the first part; they cannot be one model")
    if found.inference.patch != first.manifest.inference.patch:
        raise ModelError(f"{folder.name}: has another patch than the first part; they cannot be one model")


def _organs(names: Sequence[str], options: ImportOptions, where: str) -> tuple[Organ, ...]:
    labels = {"background": 0, **{name: value for value, name in enumerate(names, start=1)}}
    organs = label_organs(labels, options.labels, where)
    return tuple(_coded(organ, name) for organ, name in zip(organs, names, strict=True))


def _coded(organ: Organ, name: str) -> Organ:
    """With the code of the tool's table, where the terminology has none and the user has not renamed it."""
    words = name.split("_")
    side = next((word for word in words if word in SIDES), None)
    code = CODES.get("_".join(word for word in words if word not in SIDES))
    if organ.type is not None or organ.name != name or code is None:
        return organ
    return replace(
        organ, category=ANATOMICAL_STRUCTURE, type=Code("SCT", *code), modifier=SIDES[side] if side else None
    )


def _head(organs: Sequence[Organ], counts: Sequence[int]) -> Head:
    if len(counts) == 1:
        return SoftmaxHead()
    ids, heads = [organ.id for organ in organs], []
    for number, count in enumerate(counts):
        first = sum(counts[:number])
        heads.append(OrganHead(organs=tuple(ids[first : first + count]), prefix=part_name(number, "").rstrip(".")))
    return MultiHead(heads=tuple(heads), rule="last")


def _preprocessing(first: Preprocessing, window: Normalisation, options: ImportOptions) -> Preprocessing:
    return replace(
        first, orientation=options.orientation or "RAS", convention="totalsegmentator", normalisation=window,
        image_resampling="cubic", output_resampling="nearest",
    )  # fmt: skip


def _member(parts: Sequence[Foreign]) -> Mapping[str, StoredTensor]:
    if len(parts) == 1:
        return parts[0].members[0]
    return {
        part_name(number, name): tensor for number, part in enumerate(parts) for name, tensor in part.members[0].items()
    }


def _name(chosen: _Chosen, task: Task) -> str:
    if not chosen.known:
        return task.name[:80]
    alone = len(chosen.folders) < len(task.parts)
    return f"TotalSegmentator-{task.name}" + (f"-{chosen.folders[0][0]}" if alone else "")


def _notes(chosen: _Chosen, task: Task) -> tuple[str, ...]:
    notes = ["scans are prepared as versions 2.1 to 2.15 of the tool do it; from 2.16 on it interpolates linearly"]
    if len(chosen.folders) > 1:
        several = f"{len(chosen.folders)} networks side by side: where two claim a voxel, the later one has it"
        notes.append(f"{several}; a student starts from the first of them")
    if not chosen.known:
        notes.append(f"{task.name}: what the tool does around this task, such as cropping first, is not known here")
    elif len(chosen.folders) < len(task.parts):
        notes.append(f"one of the {len(task.parts)} networks of task {task.name}; the others' organs are missing")
    if task.name.startswith("body"):
        notes.append("the tool then keeps body_trunc's largest piece and drops small extremities; that is not done")
    return tuple(notes)
