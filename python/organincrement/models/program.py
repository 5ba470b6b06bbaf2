"""Networks that come as TorchScript programs: loaded only when confirmed, only as text that passed, only confined."""

import hashlib
import io
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from organincrement.contract import codec
from organincrement.contract.files import write_atomic
from organincrement.contract.model import ModelManifest, TorchScriptHead, Weights
from organincrement.contract.package import manifest_sha256
from organincrement.models.confinement import confine
from organincrement.models.confirmed_code import WHAT_CONFIRMING_DOES, is_confirmed
from organincrement.models.errors import ModelError
from organincrement.models.program_text import checked_program
from organincrement.networks.build import PROGRAM

CODE_FILE = "code.pt"


class Program(nn.Module):
    """A program as a network: (B, in, D, H, W) to float32 logits (B, out_channels, D, H, W)."""

    def __init__(self, script: nn.Module, out_channels: int) -> None:
        super().__init__()
        self.script = script
        self.out_channels = out_channels

    def forward(self, image_BCDHW: Tensor) -> Tensor:
        """The logits. Raises: ModelError where the program answers with something else."""
        answer: Any = self.script(image_BCDHW)
        if isinstance(answer, list | tuple) and answer:
            answer = answer[0]  # with deep supervision the full resolution comes first
        wanted = (image_BCDHW.shape[0], self.out_channels, *image_BCDHW.shape[2:])
        if not isinstance(answer, Tensor) or tuple(answer.shape) != wanted:
            found = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
            raise ModelError(f"the program answers with {found}, but {list(wanted)} was described")
        return answer.float()


def load_program(code: bytes, out_channels: int, name: str) -> Program:
    """Load a program, in eval mode on the CPU; from then on this process is confined.

    Raises: ModelError, one line: an operator that a network does not need, weights that are no numbers, damage.
    """
    safe = checked_program(code, name)
    confine()
    try:
        with warnings.catch_warnings(action="ignore"):  # torch wishes that nobody used TorchScript any more
            script = torch.jit.load(io.BytesIO(safe), map_location="cpu")
    except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
        reason = next(iter(str(error).strip().splitlines()), "")[:200]
        raise ModelError(f"{name}: torch cannot load the program ({reason}); save it again") from None
    for key, weight in script.state_dict().items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise ModelError(f"{name}: weight '{key}' holds values that are no numbers; get the file again")
    return Program(script.eval(), out_channels).requires_grad_(False)


def program_of_package(manifest: ModelManifest, code: bytes, name: str) -> Program:
    """The network of a package with a TorchScript head.

    Args: code: the file that the head names, its hash checked.
    Raises: ModelError where it was not confirmed on this computer, or as `load_program` does.
    """
    if not isinstance(manifest.head, TorchScriptHead) or not manifest.head.confirmed or not is_confirmed(code):
        raise ModelError(
            f"{name}: {WHAT_CONFIRMING_DOES}, by `organincrement model import {name} --confirm-code --out …` on this "
            "computer"
        )
    return load_program(code, int(manifest.network.args["out_channels"]), name)


def check_program(manifest: ModelManifest, name: str) -> None:
    """Refuse a manifest that no program of ours can have. Raises: ModelError."""
    head, listed, args = manifest.head, manifest.weights, manifest.network.args
    if not isinstance(head, TorchScriptHead) or manifest.network.kind != PROGRAM:
        raise ModelError(f"{name}: a network of kind '{PROGRAM}' and a head of kind 'torchscript' belong together")
    if [one.file for one in listed] != [head.file]:
        raise ModelError(f"{name}: model.json must list {head.file} with its hash, and nothing else")
    if args.get("out_channels") != 1 + len(manifest.organs) or args.get("in_channels") != 1:
        raise ModelError(
            f"{name}: the program must have one input channel and one output for each organ and background"
        )
    if args.get("patch") != list(manifest.inference.patch):
        raise ModelError(f"{name}: the program's patch is not inference.patch; import the model again")
    if math.prod(manifest.inference.patch) > 512**3 or len(manifest.inference.patch) != 3:
        raise ModelError(f"{name}: inference.patch {list(manifest.inference.patch)} must be three edges, and no more")


def save_program(folder: Path, manifest: ModelManifest, code: bytes) -> str:
    """Write a package of a confirmed program into a new folder. Returns: the SHA-256 of model.json."""
    folder.mkdir(parents=True)
    write_atomic(folder / CODE_FILE, code)
    listed = Weights(file=CODE_FILE, sha256=hashlib.sha256(code).hexdigest(), bytes=len(code))
    head = TorchScriptHead(file=CODE_FILE, confirmed=True)
    codec.write(replace(manifest, head=head, weights=(listed,)), folder / "model.json")
    return manifest_sha256(folder)
