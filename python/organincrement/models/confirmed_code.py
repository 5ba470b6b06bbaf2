"""Which programs the user of this computer has confirmed: an empty file for each, named by the program's SHA-256.

That a package says `confirmed` is the word of whoever made it; it is run only where this computer was told so as well.
"""

import hashlib
import os
from pathlib import Path

from organincrement.models.errors import ModelError

FOLDER_VARIABLE = "ORGANINCREMENT_STATE"
WHAT_CONFIRMING_DOES = (
    "holds a program, which runs as part of this one once it is confirmed: give --confirm-code only for a file from "
    "people that you trust"
)


def confirm(code: bytes) -> None:
    """Remember that a program may run on this computer. Raises: ModelError where that cannot be written down."""
    mark = _mark(code)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as error:
        raise ModelError(
            f"{mark.parent}: cannot be written ({error.strerror or error}); set {FOLDER_VARIABLE} to a folder that can"
        ) from error


def is_confirmed(code: bytes) -> bool:
    """Whether `confirm` was called for this very program, on this computer, by this user."""
    return _mark(code).is_file()


def was_confirmed(sha256: str) -> bool:
    """The same of a program's SHA-256, as a package lists it: good enough to say so, not to run it."""
    return (_folder() / sha256).is_file()


def _mark(code: bytes) -> Path:
    return _folder() / hashlib.sha256(code).hexdigest()


def _folder() -> Path:
    asked = os.environ.get(FOLDER_VARIABLE)
    return (Path(asked) if asked else Path.home() / ".organincrement") / "confirmed-code"
