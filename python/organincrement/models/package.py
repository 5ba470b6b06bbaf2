"""Model packages: model.json and its weights as safetensors, in and out. Nothing in a package is executed."""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from organincrement.contract import codec
from organincrement.contract.channels import channel_count
from organincrement.contract.files import fsync_folder, write_atomic
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import ModelManifest, TorchScriptHead, Weights
from organincrement.contract.package import manifest_sha256, read_manifest, read_weights
from organincrement.models.errors import ModelError
from organincrement.models.program import check_program, program_of_package
from organincrement.models.sparse import packed, sparse_shapes, unpacked
from organincrement.networks.build import build_network, count_parameters
from organincrement.networks.errors import NetworkError
from organincrement.networks.sizing import NetworkSpec, patch_multiple

_LARGEST_PATCH = 512**3
WEIGHTS_FILE = "weights.safetensors"


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
    _check_runnable(manifest, path.name)
    parameters = _described_parameters(manifest, path.name)
    data = read_weights(path, manifest.weights[0])
    network = _filled_network(manifest, data, parameters, path.name)
    return LoadedModel(
        manifest=manifest, network=network.eval(), sha256=manifest_sha256(path), provenance=_provenance(data)
    )


def _loaded_program(manifest: ModelManifest, path: Path) -> LoadedModel:
    check_program(manifest, path.name)
    network = program_of_package(manifest, read_weights(path, manifest.weights[0]), path.name)
    made = Provenance(method="imported from torchscript", dataset_sha256="", made="")
    return LoadedModel(manifest=manifest, network=network, sha256=manifest_sha256(path), provenance=made)


def _check_runnable(manifest: ModelManifest, name: str) -> None:
    if isinstance(manifest.head, TorchScriptHead) or len(manifest.weights) != 1:
        raise ModelError(f"{name}: only packages with one network of ours can be run")
    found, wanted = manifest.network.args.get("out_channels"), channel_count(manifest.head, manifest.label_space)
    if found != wanted:
        raise ModelError(
            f"{name}: the network has {found} output channels, but its organs and backgrounds need {wanted}"
        )
    if manifest.network.args.get("in_channels") != 1 or len(manifest.preprocessing.channels) != 1:
        raise ModelError(f"{name}: only networks with one input channel can be run")
    way = (manifest.inference.window, manifest.inference.average, manifest.preprocessing.output_resampling)
    if way != ("gaussian", "logits", "linear") or len(manifest.inference.patch) != 3:
        raise ModelError(f"{name}: only 3-D gaussian windows of averaged logits, resampled linearly, can be run")


def _described_parameters(manifest: ModelManifest, name: str) -> int:
    """How many weights the described network has. Raises: ModelError where there is none, or the patch does not fit."""
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


def _filled_network(manifest: ModelManifest, weights: bytes, parameters: int, name: str) -> nn.Module:
    try:
        shapes = sparse_shapes(_told(weights), len(weights))
        if parameters > len(weights) + sum(map(math.prod, shapes.values())):
            raise ModelError(f"model.json describes {parameters} weights, more than its file of weights can hold")
        tensors = unpacked(safetensors.torch.load(weights), shapes)
        network = build_network(manifest.network.kind, manifest.network.args)
        network.load_state_dict(with_all_names(network, tensors))
        for key, weight in tensors.items():
            if weight.is_floating_point() and not weight.isfinite().all():
                raise ModelError(f"weight '{key}' holds values that are no numbers; get the package again")
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ModelError(f"{name}: the weights do not fit the network of model.json ({reason})") from error
    return network


def _told(weights: bytes) -> dict[str, Any]:
    """The free text that a safetensors file may have under __metadata__."""
    try:
        told = _header(weights)[0].get("__metadata__")
    except (ValueError, AttributeError, RecursionError):
        told = None  # no such file; safetensors will say so
    return told if isinstance(told, dict) else {}


def _provenance(weights: bytes) -> Provenance:
    told = _told(weights)
    return Provenance(
        method=told.get("method", "imported"), dataset_sha256=told.get("dataset_sha256", ""), made=told.get("made", "")
    )


def _header(weights: bytes) -> tuple[dict[str, Any], int]:
    """The header of a safetensors file and where it ends: eight bytes of length, then JSON."""
    end = 8 + int.from_bytes(weights[:8], "little")
    return json.loads(weights[8:end]), end


def _with_sorted_header(weights: bytes) -> bytes:
    """safetensors writes its header in an order that differs from run to run; equal models are to have equal hashes."""
    header, end = _header(weights)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + weights[end:]


def save_package(folder: Path, manifest: ModelManifest, state: Mapping[str, Tensor], provenance: Provenance) -> str:
    """Write a package folder: whole under `<folder>.partial` first, then renamed.

    Args: manifest: its `weights` are filled in here.
    Returns: the SHA-256 of model.json, the package's name in lineages.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {name: weight.detach().cpu().contiguous().clone() for name, weight in state.items()}
    stored, shapes = packed(tensors)
    data = _with_sorted_header(safetensors.torch.save(stored, metadata={**asdict(provenance), **shapes}))
    write_atomic(partial / WEIGHTS_FILE, data)
    listed = Weights(file=WEIGHTS_FILE, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    codec.write(replace(manifest, weights=(listed,)), partial / "model.json")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    fsync_folder(folder.parent)
    return manifest_sha256(folder)


def shared_state(network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network on the CPU, detached; those with several names under their first."""
    state = network.state_dict()
    return {
        name: state[name].detach().to("cpu", torch.float32) for name in dict.fromkeys(_first_names(network).values())
    }


def with_all_names(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those that are stored under one of their names under all that the network has for them."""
    first_of = _first_names(network)
    stored_as = {first_of.get(name, name): name for name in tensors}
    return {**{name: tensors[stored_as[first]] for name, first in first_of.items() if first in stored_as}, **tensors}


def _first_names(network: nn.Module) -> dict[str, str]:
    """Of each name the first of the same weight: nnU-Net's blocks name theirs twice, its decoder the encoder's."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(weight), name) for name, weight in network.state_dict(keep_vars=True).items()}
