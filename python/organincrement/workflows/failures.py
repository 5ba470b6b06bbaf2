"""What a failed job says: a code, one line for people, and what to do."""

import errno
import os
import re
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from organincrement.contract.errors import ContractError
from organincrement.inference.memory import whose_memory
from organincrement.training.signals import DiskFull, Diverged, is_disk_full

Code = Literal["out_of_memory", "disk_full", "bad_input", "diverged", "internal"]

# what looks like an absolute path, up to its last part: /home/anna/scans/ or C:\\Users\\anna\\
_FOLDERS = re.compile(r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?[/\\]+(?:[^/\\\s:;,'\"()<>|]+[/\\]+)+")


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
    message = without_places(error, names)
    whose = whose_memory(error)
    if whose is not None:
        remedies = "Close other programs and resume, plan with a smaller patch, or use "
        return Failure(
            code="out_of_memory",
            message=f"there is not enough memory for one patch: the {whose} memory is full",
            what_to_do=remedies + ("--device cpu." if whose == "GPU" else "a computer with more memory."),
        )
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return Failure(
            code="bad_input", message=message, what_to_do="Make the folder readable and writable, then resume the job."
        )
    if is_disk_full(error):
        said = message if isinstance(error, DiskFull) else "the disk is full"
        return Failure(code="disk_full", message=said, what_to_do="Free space, then resume the job.")
    if isinstance(error, Diverged):
        return Failure(
            code="diverged",
            message=message,
            what_to_do="Look at the named cases, or plan with a smaller learning rate.",
        )
    if isinstance(error, ContractError | ValueError | FileNotFoundError | PermissionError):
        remedies = "Put the input right and resume the job, or plan again and train into another folder."
        return Failure(code="bad_input", message=message, what_to_do=remedies)
    return Failure(
        code="internal",
        message=f"{type(error).__name__}: {message}",
        what_to_do="See process.log in the job's folder, and report it.",
    )


def without_places(error: BaseException, names: Sequence[Path] = ()) -> str:
    """An error's message in one line, without any folder's place in the file system.

    Args: names: folders that it may name files in; they, and what lies in them, keep their names.
    """
    message = " ".join(str(error).split())
    for folder in names:
        for parent in (folder.resolve().parent, folder.absolute().parent):
            message = message.replace(f"{parent}{os.sep}", "")
    return _FOLDERS.sub("", message)


def where_it_arose(error: BaseException, names: Sequence[Path] = ()) -> list[str]:
    """The lines of code that an error came through, outermost first, without the folders they lie in."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"  {Path(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames]
    return [*places, f"{type(error).__name__}: {without_places(error, names)}"]
