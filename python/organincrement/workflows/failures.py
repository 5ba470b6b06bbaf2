"""What a failed job says: a code, one line for people, and what to do."""

import os
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from organincrement.contract.errors import ContractError
from organincrement.training.signals import DiskFull, Diverged, is_disk_full

Code = Literal["out_of_memory", "disk_full", "bad_input", "diverged", "internal"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The fields of a `failed` event."""

    code: Code
    message: str
    what_to_do: str


def failure_of(error: BaseException, names: Sequence[Path] = ()) -> Failure:
    """Name an error. Every layer's own exception is a ValueError, and its message is written for people.

    Args: names: folders whose place in the file system the message must not tell; their names stay.
    """
    message = " ".join(str(error).split())
    for folder in names:
        for parent in (folder.resolve().parent, folder.absolute().parent):
            message = message.replace(f"{parent}{os.sep}", "")
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return Failure(
            code="out_of_memory",
            message="there is not enough memory for one patch",
            what_to_do="Plan with a smaller patch, or use --device cpu.",
        )
    if isinstance(error, DiskFull) or is_disk_full(error):
        said = message if isinstance(error, DiskFull) else "the disk is full"
        return Failure(code="disk_full", message=said, what_to_do="Free space, then resume the job.")
    if isinstance(error, Diverged):
        return Failure(
            code="diverged",
            message=message,
            what_to_do="Look at the named cases, or plan with a smaller learning rate.",
        )
    if isinstance(error, ContractError | ValueError | FileNotFoundError | PermissionError):
        return Failure(code="bad_input", message=message, what_to_do="Correct the input, then plan and start again.")
    return Failure(
        code="internal",
        message=f"{type(error).__name__}: {message}",
        what_to_do="See process.log in the job's folder, and report it.",
    )


def where_it_arose(error: BaseException) -> list[str]:
    """The lines of code that an error came through, outermost first, without the folders they lie in."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    return [*places, f"{type(error).__name__}: {' '.join(str(error).split())}"]
