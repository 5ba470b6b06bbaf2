"""Model packages: model.json and its weights as safetensors, in and out. Nothing in a package is executed."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from organincrement.contract import codec
from organincrement.contract.channels import channel_groups
from organincrement.contract.files import fsync_folder
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import ModelManifest, TorchScriptHead
from organincrement.contract.package import manifest_sha256, read_manifest, read_weights
from organincrement.models.errors import ModelError
from organincrement.models.program import check_program, program_of_package
from organincrement.models.runnable import why_not_runnable
from organincrement.models.weights_file import InFile, read_weights_file, write_weights
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.ensemble import Ensemble
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec, patch_multiple

_LARGEST_PATCH = 512**3
WEIGHTS_FILE = "weights.safetensors"

State = Mapping[str, Tensor] | Mapping[str, InFile]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How a package was made, for the lineage of its children; kept in its weights' header. `made`: the day, UTC."""

    method: str
    dataset_sha256: str
    made: str


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A package in memory; the network is on the CPU, in eval mode."""

    manifest: ModelManifest
    network: nn.Module
    sha256: str
    provenance: Provenance

    @property
    def spec(self) -> NetworkSpec:
        """The network as plain data."""
        return NetworkSpec.of(self.manifest.network)

    @property
    def organs(self) -> LabelSpace:
        """The organs it segments."""
        return self.manifest.label_space


def load_package(path: Path) -> LoadedModel:
    """Read a package folder or .oimodel file.

    Raises: ContractError or ModelError naming the package, where the manifest, a hash or the weights do not fit.
    """
    manifest = read_manifest(path)
    if isinstance(manifest.head, TorchScriptHead):
        return _loaded_program(manifest, path)
    parameters = check_runnable(manifest, path.name)
    # one after another, so that no more than one file is in memory beside the networks
    members = []
    for weights in manifest.weights:
        network, told = _filled_network(manifest, bytearray(read_weights(path, weights)), parameters, path.name)
        members.append(network)
    return LoadedModel(
        manifest=manifest,
        network=_as_one(manifest, members).eval(),
        sha256=manifest_sha256(path),
        provenance=_provenance(told),
    )


def _as_one(manifest: ModelManifest, members: Sequence[nn.Module]) -> nn.Module:
    if len(members) == 1:
        return members[0]
    groups = [group.all_channels for group in channel_groups(manifest.head, manifest.label_space)]
    return Ensemble(members, manifest.inference.average, groups if len(groups) > 1 else None)


def _loaded_program(manifest: ModelManifest, path: Path) -> LoadedModel:
    check_program(manifest, path.name)
    network = program_of_package(manifest, read_weights(path, manifest.weights[0]), path.name)
    made = Provenance(method="imported from torchscript", dataset_sha256="", made="")
    return LoadedModel(manifest=manifest, network=network, sha256=manifest_sha256(path), provenance=made)


def check_runnable(manifest: ModelManifest, name: str) -> int:
    """How many weights the described network has; nothing but the manifest is looked at.

    Raises: ModelError where it cannot be run, there is no such network, or the patch does not fit it.
    """
    if reason := why_not_runnable(manifest):
        raise ModelError(f"{name}: {reason}")
    return _described_parameters(manifest, name)


def _described_parameters(manifest: ModelManifest, name: str) -> int:
    spec, patch = NetworkSpec.of(manifest.network), manifest.inference.patch
    try:
        # nothing is allocated on the meta device, so that a small file cannot ask for a huge network
        with torch.device("meta"):
            parameters = count_parameters(build_network(spec.kind, spec.args))
        multiple = patch_multiple(spec)
    except NetworkError as error:
        raise ModelError(f"{name}: {error}") from error
    if math.prod(patch) > _LARGEST_PATCH or any(edge % by for edge, by in zip(patch, multiple, strict=True)):
        by = " x ".join(map(str, multiple))
        raise ModelError(
            f"{name}: inference.patch {list(patch)} must have edges that are multiples of {by}, and no more"
        )
    return parameters


def _filled_network(
    manifest: ModelManifest, weights: bytearray, parameters: int, name: str
) -> tuple[nn.Module, Mapping[str, str]]:
    try:
        tensors, told = read_weights_file(weights, parameters)
        network = build_network(manifest.network.kind, manifest.network.args)
        network.load_state_dict(with_all_names(network, tensors))
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ModelError(f"{name}: the weights do not fit the network of model.json ({reason})") from error
    return network, told


def _provenance(told: Mapping[str, str]) -> Provenance:
    return Provenance(
        method=told.get("method", "imported"), dataset_sha256=told.get("dataset_sha256", ""), made=told.get("made", "")
    )


def save_package(folder: Path, manifest: ModelManifest, state: State | Sequence[State], provenance: Provenance) -> str:
    """Write a package folder: whole under `<folder>.partial` first, then renamed.

    Args: manifest: its `weights` are filled in here. state: the network's weights, or those of each member of an
        ensemble; weights that are still in a file are read one at a time.
    Returns: the SHA-256 of model.json, the package's name in lineages.
    Raises: ModelError where a weight is no number; OSError on a full disk.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    states = [state] if isinstance(state, Mapping) else state
    try:
        listed = tuple(
            write_weights(partial / _weights_file(number), member, asdict(provenance))
            for number, member in enumerate(states, start=1)
        )
    except ModelError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ModelError(f"{manifest.name}: {error}") from error
    codec.write(replace(manifest, weights=listed), partial / "model.json")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    fsync_folder(folder.parent)
    return manifest_sha256(folder)


def _weights_file(number: int) -> str:
    return WEIGHTS_FILE if number == 1 else f"weights_{number}.safetensors"


def shared_state(network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network on the CPU, detached; those with several names under their first."""
    state = network.state_dict()
    return {
        name: state[name].detach().to("cpu", torch.float32) for name in dict.fromkeys(first_names(network).values())
    }


def with_all_names(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those that are stored under one of their names under all that the network has for them."""
    first_of = first_names(network)
    stored_as = {first_of.get(name, name): name for name in tensors}
    return {**{name: tensors[stored_as[first]] for name, first in first_of.items() if first in stored_as}, **tensors}


def first_names(network: nn.Module) -> dict[str, str]:
    """Of each name the first of the same weight: nnU-Net's blocks name theirs twice, its decoder the encoder's."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(weight), name) for name, weight in network.state_dict(keep_vars=True).items()}
