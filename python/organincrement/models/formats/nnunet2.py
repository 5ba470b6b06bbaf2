"""nnU-Net v2 results folders: plans.json, dataset.json and fold_*/checkpoint_*.pth, one network or one for each fold.

Nothing of them is executed: JSON and the checkpoint's pickle are read as data, names of classes compared with a list.
Source: F. Isensee et al., Nature Methods 18 (2021), nnunetv2's predict_from_raw_data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from organincrement.contract.model import ModelManifest, Network, SoftmaxHead
from organincrement.models.errors import ModelError
from organincrement.models.formats.foreign import NOT_TOLD, Foreign, ImportOptions, on_meta, printable, refused_as
from organincrement.models.formats.label_organs import label_organs
from organincrement.models.formats.nnunet import CITATION, of_its_answers
from organincrement.models.formats.nnunet2_folder import Folder, find_folder, looks_like
from organincrement.models.formats.nnunet2_network import network_of
from organincrement.models.formats.nnunet2_plans import (
    configuration_of,
    inference_of,
    labels_of,
    modality_of,
    preprocessing_of,
    trained_on,
)
from organincrement.models.formats.stated import Stated, shown
from organincrement.models.torch_file import LazyTensor, read_torch_file
from organincrement.networks.build import count_parameters

_PREFIXES = ("module.", "_orig_mod.")  # of networks that were trained in parallel, or compiled


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What of a checkpoint file matters; `where` is its name in the folder."""

    where: str
    weights: Mapping[str, LazyTensor]
    configuration: str | None
    trainer: str
    mirror_axes: Any


def recognise(path: Path) -> bool:
    """A model folder of nnU-Net v2, a folder of such, one of its folds, or a checkpoint in it."""
    return looks_like(path)


def read(path: Path, options: ImportOptions) -> Foreign:
    """The model in our terms; raises ModelError with the reason in one line."""
    folder = find_folder(path, options)
    plans, dataset = Stated.read(folder.path / "plans.json"), Stated.read(folder.path / "dataset.json")
    fingerprint = folder.path / "dataset_fingerprint.json"
    checkpoints = [_checkpoint(folder, file) for file in folder.checkpoints]
    configuration = configuration_of(plans, _configuration_name(plans, checkpoints, options))
    if "previous_stage" in configuration:
        raise configuration.refuse("previous_stage", "the second of a cascade cannot be imported; import 3d_fullres")
    modality, labels = modality_of(dataset, options), labels_of(dataset)
    organs = label_organs(labels, options.labels, f"{folder.path.name}/dataset.json")
    batch_norm = any(name.endswith(".running_mean") for name in checkpoints[0].weights)
    spec = network_of(configuration, 1, 1 + len(organs), batch_norm=batch_norm)
    network = on_meta(spec, configuration.where)
    first = checkpoints[0]
    with refused_as(folder.path.name):
        manifest = ModelManifest(
            name=options.name or _name(plans, folder, configuration), organs=organs,
            network=Network(kind=spec.kind, args=spec.args, parameters=count_parameters(network)), head=SoftmaxHead(),
            preprocessing=preprocessing_of(plans, configuration, modality, options),
            inference=inference_of(configuration, first.mirror_axes),
            trained_on=trained_on(
                plans, dataset, Stated.read(fingerprint) if fingerprint.is_file() else None, modality
            ),
            licence=dataset.line("licence") or dataset.line("license"), citation=CITATION, **NOT_TOLD,
        )  # fmt: skip
    members = tuple(member(checkpoint, network) for checkpoint in checkpoints)
    return Foreign(manifest=manifest, members=members, notes=_notes(folder, manifest, first, fingerprint.is_file()))


def _checkpoint(folder: Folder, file: Path) -> Checkpoint:
    where = f"{file.parent.name}/{file.name}"
    tree = read_torch_file(file)
    if not isinstance(tree, Mapping) or not isinstance(tree.get("network_weights"), Mapping):
        raise ModelError(f"{where}: holds no network_weights; give a checkpoint of nnU-Net v2")
    weights = {}
    for name, tensor in tree["network_weights"].items():
        if not isinstance(name, str) or not isinstance(tensor, LazyTensor):
            raise ModelError(f"{where}: weight {shown(name)} is no tensor; get the file again")
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        weights[name] = tensor
    made_with = tree.get("init_args")
    configuration = made_with.get("configuration") if isinstance(made_with, Mapping) else None
    trainer = tree.get("trainer_name")
    return Checkpoint(
        where=where, weights=weights, configuration=configuration if isinstance(configuration, str) else None,
        trainer=trainer if isinstance(trainer, str) else "nnUNetTrainer",
        mirror_axes=tree.get("inference_allowed_mirroring_axes"),
    )  # fmt: skip


def _configuration_name(plans: Stated, checkpoints: list[Checkpoint], options: ImportOptions) -> str:
    """Of the checkpoints, which know what they were trained for; else as asked, or the only one."""
    known = {checkpoint.configuration for checkpoint in checkpoints if checkpoint.configuration}
    if len(known) > 1:
        raise ModelError(f"its folds are of different configurations ({', '.join(sorted(known))}); choose with --fold")
    asked = options.configuration
    for trained in known:
        if asked not in (None, trained):
            raise ModelError(f"{checkpoints[0].where}: is of configuration {trained}, not {asked}")
        return trained
    there = list(plans.part("configurations").values)
    if asked is None and len(there) != 1:
        raise ModelError(f"{plans.where}: has several configurations; choose with --configuration: {', '.join(there)}")
    return asked or there[0]


def member(checkpoint: Checkpoint, network: nn.Module) -> dict[str, LazyTensor]:
    """The weights under the first of their names in our network; those of slices get a depth of one.

    Raises: ModelError naming a weight that is missing, too many, or of another shape than the network's.
    """
    names: dict[int, list[str]] = {}
    wanted = network.state_dict(keep_vars=True)
    for name, weight in wanted.items():
        names.setdefault(id(weight), []).append(name)
    too_many = next((name for name in checkpoint.weights if name not in wanted), None)
    if too_many is not None:
        raise ModelError(
            f"{checkpoint.where}: weight '{too_many}' is not of the network that plans.json describes; "
            f"models of trainer {checkpoint.trainer} cannot be imported, or the two do not belong together"
        )
    found = {}
    for same in names.values():
        stored = next((checkpoint.weights[name] for name in same if name in checkpoint.weights), None)
        if stored is None:
            raise ModelError(f"{checkpoint.where}: lacks weight '{same[0]}'; get the file again")
        found[same[0]] = _shaped(stored, tuple(wanted[same[0]].shape), f"{checkpoint.where}: weight '{same[0]}'")
    return found


def _shaped(stored: LazyTensor, shape: tuple[int, ...], where: str) -> LazyTensor:
    if stored.shape == shape:
        return stored
    if len(shape) == 5 and shape[2] == 1 and stored.shape == (*shape[:2], *shape[3:]):
        return stored.reshaped(shape)
    raise ModelError(
        f"{where} has the shape {list(stored.shape)}, and plans.json describes {list(shape)}; "
        "the two do not belong together"
    )


def _name(plans: Stated, folder: Folder, configuration: Stated) -> str:
    dataset = plans.text("dataset_name", folder.path.name)
    name = f"{dataset}-{configuration.where.rpartition(' ')[2]}"
    return printable(name)[:80]


def _notes(folder: Folder, manifest: ModelManifest, first: Checkpoint, has_fingerprint: bool) -> tuple[str, ...]:
    notes = [*folder.notes, *of_its_answers(manifest)]
    if not has_fingerprint:
        notes.append("dataset_fingerprint.json is missing: the spacings of its training scans are not known")
    if not first.trainer.startswith("nnUNetTrainer"):
        notes.append(f"it was trained by {first.trainer}, which may prepare scans in a way of its own")
    return tuple(notes)
