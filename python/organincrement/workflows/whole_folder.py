"""A folder that is there whole or not at all: built beside its place under a hidden name, then renamed."""

import contextlib
import glob
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from organincrement.contract.files import fsync_folder
from organincrement.workflows.errors import WorkflowError

_RANDOM_BYTES = 4
_ABANDONED_AFTER_S = 24 * 3600


def check_free(out: Path) -> None:
    """Raises WorkflowError where `out` is anything but an empty folder or nothing."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise WorkflowError(f"{out}: exists already; choose another folder")
    if out.is_dir() and any(out.iterdir()):
        raise WorkflowError(f"{out}: is not empty; choose another folder")


@contextlib.contextmanager
def built_beside(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that becomes `out` when all went well, and vanishes otherwise.

    Raises: WorkflowError where `out` came meanwhile and is not empty, or the disk refuses.
    """
    _remove_abandoned(out)
    made = [parent for parent in out.absolute().parents if not parent.exists()]
    partial = out.with_name(f".{out.name}.{secrets.token_hex(_RANDOM_BYTES)}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        check_free(out)
        if out.exists():  # Windows renames onto nothing that exists
            out.rmdir()
        partial.rename(out)
        fsync_folder(out.parent)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        with contextlib.suppress(OSError):  # a zip may have come in the folder's place
            partial.unlink()
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise WorkflowError(f"{out}: cannot be written ({reason}); free disk space or check the folder") from error
        raise


def _remove_abandoned(out: Path) -> None:
    """What a process that was killed once left of the same folder; nobody builds for a day."""
    with contextlib.suppress(OSError):
        for partial in out.parent.glob(f".{glob.escape(out.name)}.{'[0-9a-f]' * 2 * _RANDOM_BYTES}.partial*"):
            if time.time() - partial.lstat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(partial, ignore_errors=True)
