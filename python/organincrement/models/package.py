"""Model packages: model.json and its weights as safetensors, in and out. Nothing in a package is executed."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from organincrement.contract import codec
from organincrement.contract.files import fsync_folder, write_atomic
from organincrement.contract.labels import LabelSpace
from organincrement.contract.model import ModelManifest, SoftmaxHead, Weights
from organincrement.contract.package import manifest_sha256, read_manifest, read_weights
from organincrement.models.errors import ModelError
from organincrement.networks.build import build_network
from organincrement.networks.sizing import NetworkSpec

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
        return NetworkSpec(kind=self.manifest.network.kind, args=dict(self.manifest.network.args))

    @property
    def organs(self) -> LabelSpace:
        """The organs it segments."""
        return self.manifest.label_space


def load_package(path: Path) -> LoadedModel:
    """Read a package folder or .oimodel file.

    Raises: ContractError or ModelError naming the package, where the manifest, a hash or the weights do not fit.
    """
    manifest = read_manifest(path)
    if not isinstance(manifest.head, SoftmaxHead) or len(manifest.weights) != 1:
        raise ModelError(f"{path.name}: only packages with one softmax network can be run")
    out_channels = manifest.network.args.get("out_channels")
    if out_channels != 1 + len(manifest.organs):
        raise ModelError(
            f"{path.name}: the network has {out_channels} output channels, but {len(manifest.organs)} organs and background"
        )
    network = build_network(manifest.network.kind, manifest.network.args)
    data = read_weights(path, manifest.weights[0])
    try:
        network.load_state_dict(safetensors.torch.load(data))
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise ModelError(f"{path.name}: the weights do not fit the network of model.json ({reason})") from error
    return LoadedModel(
        manifest=manifest, network=network.eval(), sha256=manifest_sha256(path), provenance=_provenance(data)
    )


def _provenance(weights: bytes) -> Provenance:
    """From the header of a safetensors file: eight bytes of length, then JSON with free text under __metadata__."""
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    told = header.get("__metadata__") or {}
    return Provenance(
        method=told.get("method", "imported"), dataset_sha256=told.get("dataset_sha256", ""), made=told.get("made", "")
    )


def save_package(folder: Path, manifest: ModelManifest, state: Mapping[str, Tensor], provenance: Provenance) -> str:
    """Write a package folder: whole under `<folder>.partial` first, then renamed.

    Args: manifest: its `weights` are filled in here.
    Returns: the SHA-256 of model.json, the package's name in lineages.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tensors = {name: weight.detach().cpu().contiguous().clone() for name, weight in state.items()}
    data = safetensors.torch.save(tensors, metadata=asdict(provenance))
    write_atomic(partial / WEIGHTS_FILE, data)
    listed = Weights(file=WEIGHTS_FILE, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    codec.write(replace(manifest, weights=(listed,)), partial / "model.json")
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    fsync_folder(folder.parent)
    return manifest_sha256(folder)


def shared_state(network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network on the CPU, detached."""
    return {name: weight.detach().to("cpu", torch.float32) for name, weight in network.state_dict().items()}
