"""Writing a file so that at any moment it is the old one or all of the new one."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from organincrement.contract.files import fsync_folder
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, beside `path`; it takes the place of `path` at the end, and vanishes on an error.

    Raises: LogicError for what the system does not do, a full disk among it; `path` is then as it was.
    """
    partial = path.with_name(f".{secrets.token_hex(4)}.partial.{path.name}")
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise LogicError(
            _("{file} cannot be written ({reason}): free disk space or choose another folder.").format(
                file=path.name, reason=error.strerror or error
            )
        ) from error
    finally:
        # A missing folder, or one that may not be written, has nothing to remove.
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
