"""Writing a package as ONNX: the network alone, and beside it what has to be done to a scan before and after.

`network.onnx` maps `image` (batch, channels, D, H, W), prepared as `preprocessing` says and of the edges of
`inference.patch`, to `logits` (batch, outputs, D, H, W). `model.json` says the rest.
"""

import contextlib
import io
import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from organincrement.contract import codec
from organincrement.contract.channels import channel_groups
from organincrement.contract.model import DynamicHead, Head, ModelManifest, TorchScriptHead
from organincrement.models.errors import ModelError
from organincrement.models.package import LoadedModel
from organincrement.networks.ensemble import Ensemble

NETWORK_FILE, DESCRIPTION_FILE = "network.onnx", "model.json"
OPSET = 17  # the newest that the exporter writes which needs no package besides torch
INPUT, OUTPUT = "image", "logits"
_LARGEST_BYTES = 2**31 - 2**20  # of a file of protocol buffers
_BYTES_PER_WEIGHT = 4


def write(model: LoadedModel, folder: Path) -> tuple[str, ...]:
    """Write network.onnx and model.json. Returns: what the user should know. Raises: ModelError where ONNX cannot."""
    manifest = model.manifest
    _check_expressible(manifest)
    weights = sum(p.numel() for p in model.network.parameters())
    if weights * _BYTES_PER_WEIGHT > _LARGEST_BYTES:
        raise ModelError(f"{manifest.name}: has {weights} weights, and an ONNX file holds 2 GiB; export another format")
    network = model.network.to("cpu", torch.float32).eval()
    sample_BCDHW = torch.zeros(2, len(manifest.preprocessing.channels), *manifest.inference.patch)
    _export(network, sample_BCDHW, folder / NETWORK_FILE, manifest.name)
    (folder / DESCRIPTION_FILE).write_text(json.dumps(_description(manifest), indent=2) + "\n", encoding="utf-8")
    return _notes(manifest)


def _check_expressible(manifest: ModelManifest) -> None:
    if isinstance(manifest.head, TorchScriptHead):
        raise ModelError(f"{manifest.name}: is a program of another tool (TorchScript); export it with that tool")
    if isinstance(manifest.head, DynamicHead):
        raise ModelError(
            f"{manifest.name}: makes its output layer anew for each scan and task (head 'dynamic'), which is not "
            "exported to ONNX; distil it into a student with one softmax first"
        )


def instead(head: Head) -> str:
    """What to do with a model for whose head another format has no place."""
    if isinstance(head, TorchScriptHead | DynamicHead):
        return "hand on the package itself"
    return "export it to ONNX, or teach a student with one softmax from it"


class _MeanProbabilities(nn.Module):
    """What an ensemble does that averages probabilities, in operations that ONNX has."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.members = ensemble.members
        self.groups = ensemble.groups

    def forward(self, image_BCDHW: Tensor) -> Tensor:
        log_p = torch.stack([self._log_p(member(image_BCDHW)) for member in self.members])
        return log_p.logsumexp(0) - math.log(len(self.members))

    def _log_p(self, logits_BCDHW: Tensor) -> Tensor:
        if self.groups is None:
            return logits_BCDHW.log_softmax(1)
        channels = [channel for group in self.groups for channel in group]
        together = torch.cat([logits_BCDHW[:, group].log_softmax(1) for group in self.groups], 1)
        return together[:, [channels.index(channel) for channel in range(len(channels))]]


def _export(network: nn.Module, sample_BCDHW: Tensor, path: Path, name: str) -> None:
    if isinstance(network, Ensemble) and network.of == "probabilities":
        network = _MeanProbabilities(network).eval()
    try:
        # a refused network is printed whole by the exporter, which also tells what it takes for constant: the patch is
        with torch.inference_mode(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network, (sample_BCDHW,), str(path), dynamo=False, opset_version=OPSET, input_names=[INPUT],
                output_names=[OUTPUT], dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
            )  # fmt: skip
    except (RuntimeError, torch.onnx.errors.OnnxExporterError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{name}: its network has no ONNX form ({reason}); export another format") from error


def _description(manifest: ModelManifest) -> dict[str, Any]:
    """The package's model.json without its files, and which channel of the output is what."""
    groups = channel_groups(manifest.head, manifest.label_space)
    described = codec.to_json(replace(manifest, weights=()))
    described.pop("weights")
    return {
        "schema": "organincrement/onnx/1",
        "use": "research use only, not a medical device",
        "network_file": NETWORK_FILE,
        "opset": OPSET,
        "input": {"name": INPUT, "axes": "BCDHW", "shape": ["batch", *_edges(manifest)]},
        "output": {"name": OUTPUT, "axes": "BCDHW", "values": "logits", "groups": [asdict(group) for group in groups]},
        "model": described,
    }


def _edges(manifest: ModelManifest) -> Sequence[int]:
    return (len(manifest.preprocessing.channels), *manifest.inference.patch)


def _notes(manifest: ModelManifest) -> tuple[str, ...]:
    edges = " x ".join(map(str, manifest.inference.patch))
    notes = [
        f"{NETWORK_FILE} is the network alone, for patches of {edges} voxels and batches of any size; "
        f"{DESCRIPTION_FILE} says how scans are prepared and windows averaged"
    ]
    if not math.isclose(manifest.inference.temperature, 1):
        notes.append(f"divide the logits by the temperature {manifest.inference.temperature:g} before a softmax")
    return tuple(notes)
