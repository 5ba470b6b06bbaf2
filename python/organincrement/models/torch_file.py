"""Files of torch.save and safetensors as trees of plain values and lazy tensors; nothing in them is executed."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from organincrement.models.errors import ModelError
from organincrement.models.lazy_tensor import LazyTensor, SourceFile
from organincrement.models.safetensors_file import read_header
from organincrement.models.torch_legacy import is_legacy, read_legacy
from organincrement.models.torch_zip import read_zip

__all__ = ["LazyTensor", "read_safetensors", "read_torch_file", "weights_of", "write_torch_file"]


def read_torch_file(path: Path) -> Any:
    """The tree of a torch.save file (zip format, or the one before torch 1.6).

    Returns: dicts, lists, tuples, numbers and text; tensors as LazyTensor, torch.Size as tuple, devices as text;
    other classes as Named, what would be made with them as Made.
    Raises: ModelError, one line: the file, what is wrong, what to do.
    """
    source = SourceFile(path)
    start = source.read(0, 4)
    if start == b"PK\3\4":
        return read_zip(source)
    if is_legacy(source):
        return read_legacy(source)
    raise ModelError(f"{source.name}: is no file of torch.save, or is damaged; give a .pt or .pth file")


def read_safetensors(path: Path) -> Mapping[str, LazyTensor]:
    """The tensors of a safetensors file. Raises: ModelError, one line."""
    return read_header(SourceFile(path)).tensors


def weights_of(tree: Any, where: str) -> Mapping[str, LazyTensor]:
    """A part of a tree as weights by name. Args: where: the file, for the message. Raises: ModelError if it is none."""
    if not isinstance(tree, dict) or not tree:
        raise ModelError(f"{where}: holds no weights by name where a model has them; save the network's state_dict")
    for name, tensor in tree.items():
        if not isinstance(name, str) or not isinstance(tensor, LazyTensor):
            raise ModelError(f"{where}: '{str(name)[:60]}' is no tensor; save the network's state_dict alone")
    return tree


def write_torch_file(tree: Any, path: Path) -> None:
    """torch.save, down to the disk. Raises: OSError where that does not take it, which torch itself calls otherwise."""
    try:
        with path.open("wb") as file:
            torch.save(tree, file)
            file.flush()
            os.fsync(file.fileno())
    except RuntimeError as error:
        raise OSError(errno.EIO, "not all of it was taken", str(path)) from error
