"""nnU-Net v1 model folders: plans.pkl and fold_*/model_*.model(.pkl), one network or one for each fold.

Pickles and checkpoints are read as data; nothing that they name is imported or called.
Source: F. Isensee et al., Nature Methods 18 (2021), nnunet's predict.py. In one thing it is not followed: with axes
transposed, v1 takes another axis for the coarsest of the network's own spacing on the way back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from organincrement.contract.model import ModelManifest, Network, SoftmaxHead
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import NOT_TOLD, Foreign, ImportOptions, on_meta, printable, refused_as
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.formats.nnunet import CITATION, of_its_answers
from organincrement.models.formats.nnunet1_folder import CASCADE, Folder1, find_folder, looks_like
from organincrement.models.formats.nnunet1_plans import (
    inference_of,
    labels_of,
    modality_of,
    preprocessing_of,
    read_pickle,
    stage_of,
    stated_plans,
    trained_on,
)
from organincrement.models.formats.nnunet1_weights import Weights1
from organincrement.models.formats.stated import Stated
from organincrement.models.torch_file import read_torch_file
from organincrement.networks.build import count_parameters
from organincrement.networks.sizing import NetworkSpec

# trainers whose networks or labels are of another kind, by a part of their names
_OTHER_NETWORKS = (
    "Cascade", "Regions", "Resenc", "ResencUNet", "_GN", "_FRN", "GeLU", "Mish", "convReLUIN", "convlReLUIN"
)  # fmt: skip
_WITHOUT_MIRRORS = ("noMirroring", "noDA")
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "LReLU_slope_2en1": {"slope": 0.2},
    "_ReLU": {"nonlinearity": "relu"},
}
_USUAL = ("nnUNetTrainer", "nnUNetTrainerV2", "nnUNetTrainerV2_DP", "nnUNetTrainerV2_DDP", "nnUNetTrainerV2_fp32")


@dataclass(frozen=True, kw_only=True)
class _Described:
    """What a checkpoint's .model.pkl, or plans.pkl alone, says. stage: its number, None where it is not told."""

    plans: Stated
    trainer: str
    stage: object


def recognise(path: Path) -> bool:
    """A model folder of nnU-Net v1, a folder of such, one of its folds, or a checkpoint in it."""
    return looks_like(path)


def read(path: Path, options: ImportOptions) -> Foreign:
    """The model in our terms; raises ModelError with the reason in one line."""
    folder = find_folder(path, options)
    if folder.configuration == CASCADE:
        raise ModelError(f"{folder.path.name}: the second of a cascade cannot be imported; import 3d_fullres")
    described = _described(folder)
    plans, trainer = described.plans, described.trainer
    odd = next((part for part in _OTHER_NETWORKS if part in trainer), None)
    if odd is not None:
        raise ModelError(f"{folder.path.name}: models of trainer {trainer} cannot be imported, only of nnUNetTrainerV2")
    modality = modality_of(plans, options)
    stage = stage_of(plans, described.stage, folder.configuration)
    dataset = _dataset(folder)
    organs = label_organs(labels_of(plans, dataset), options.labels, folder.path.name)
    members = [_weights(file) for file in folder.checkpoints]
    spec = _network(members, len(organs), trainer)
    mirrors = not any(part in trainer for part in _WITHOUT_MIRRORS)
    parameters = count_parameters(on_meta(spec, folder.path.name))
    with refused_as(folder.path.name):
        manifest = ModelManifest(
            name=options.name or _name(folder, stage), organs=organs,
            network=Network(kind=spec.kind, args=spec.args, parameters=parameters), head=SoftmaxHead(),
            preprocessing=preprocessing_of(plans, stage, modality, options),
            inference=inference_of(stage, mirrors=mirrors),
            trained_on=trained_on(plans, modality), citation=CITATION,
            licence=dataset.line("licence") if dataset is not None else "", **NOT_TOLD,
        )  # fmt: skip
    return Foreign(
        manifest=manifest, members=tuple(member.member() for member in members),
        notes=_notes(folder, manifest, trainer, dataset is not None),
    )  # fmt: skip


def _described(folder: Folder1) -> _Described:
    """As nnU-Net does it: of the first fold's .model.pkl; of plans.pkl where there is none."""
    first = folder.checkpoints[0]
    file = first.with_name(f"{first.name}.pkl")
    where = f"{first.parent.name}/{file.name}"
    if not file.is_file():
        if not folder.plans.is_file():
            raise ModelError(f"{folder.path.name}/{where} is missing; copy it again")
        plans = stated_plans(read_pickle(folder.plans), folder.plans.name)
        return _Described(plans=plans, trainer=folder.path.name.partition("__")[0], stage=None)
    info = read_pickle(file)
    init, trainer = info.get("init"), info.get("name")
    stage = init[5] if isinstance(init, list | tuple) and len(init) > 5 else None
    return _Described(
        plans=stated_plans(info.get("plans"), where), stage=stage,
        trainer=trainer if isinstance(trainer, str) else folder.path.name.partition("__")[0],
    )  # fmt: skip


def _dataset(folder: Folder1) -> Stated | None:
    """The task's dataset.json, which may have been put beside the model."""
    places = (folder.path, folder.path.resolve().parent, folder.checkpoints[0].parent)
    file = next((place / "dataset.json" for place in places if (place / "dataset.json").is_file()), None)
    return None if file is None else Stated.read(file)


def _weights(file: Path) -> Weights1:
    where = f"{file.parent.name}/{file.name}"
    tree = read_torch_file(file)
    if not isinstance(tree, Mapping) or not isinstance(tree.get("state_dict"), Mapping):
        raise ModelError(f"{where}: holds no state_dict; give a checkpoint of nnU-Net v1")
    return Weights1.of(tree["state_dict"], where)


def _network(members: list[Weights1], organs: int, trainer: str) -> NetworkSpec:
    options = next((options for part, options in _OPTIONS.items() if part in trainer), {})
    spec = members[0].spec(options)
    for member in members:
        if member.spec(options) != spec:
            raise ModelError(f"{member.where}: is another network than {members[0].where}; choose folds with --fold")
        if member.inputs != 1 or member.outputs != 1 + organs:
            raise ModelError(
                f"{member.where}: has {member.inputs} input and {member.outputs} output channels, but its plans "
                f"describe 1 and {1 + organs}; the two do not belong together"
            )
    return spec


def _name(folder: Folder1, stage: Stated) -> str:
    flat = len(stage.whole("patch_size")) == 2
    name = f"{folder.task}-{folder.configuration or ('2d' if flat else '3d')}"
    return printable(name)[:80]


def _notes(folder: Folder1, manifest: ModelManifest, trainer: str, has_names: bool) -> tuple[str, ...]:
    notes = list(folder.notes)
    if not has_names:
        notes.append("its files do not name its organs: say what they are, with --organs liver=1 for class_1 and so on")
    notes += of_its_answers(manifest)
    if (folder.path / "postprocessing.json").is_file():
        notes.append("postprocessing.json, by which nnU-Net v1 may drop small pieces of an organ, is not followed")
    if trainer not in _USUAL:
        notes.append(f"it was trained by {trainer}, which may prepare scans or build its network in a way of its own")
    return tuple(notes)
