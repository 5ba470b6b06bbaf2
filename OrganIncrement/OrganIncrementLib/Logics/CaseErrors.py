"""What goes wrong with a dataset's files, in one sentence for the annotator."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from organincrement.contract.errors import ContractError
from OrganIncrementLib.Engine.Paths import isFile
from OrganIncrementLib.Engine.Words import oneLine
from OrganIncrementLib.Logics.LogicError import LogicError
from OrganIncrementLib.Translation import _


class CaseError(LogicError):
    """What is wrong with a case or a dataset, and what to do; nothing was lost."""


@contextlib.contextmanager
def inWords(path: Path | str) -> Iterator[None]:
    """Turn errors of the system, of the contract and of files into a CaseError; `path` is what was worked on."""
    try:
        yield
    except CaseError:
        raise
    except OSError as error:
        raise CaseError(systemWords(error, path)) from error
    except LogicError as error:
        if isinstance(error.__cause__, OSError):
            raise CaseError(systemWords(error.__cause__, path)) from error
        raise CaseError(str(error)) from error
    except ContractError as error:
        raise CaseError(str(error)) from error


def systemWords(error: OSError, path: Path | str) -> str:
    """What an error of the system means, and what to do."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return _("The disk is full, so nothing was written to {path}: free some space and try again.").format(path=path)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _("{path} may not be written: ask for permission to write there, or work on a copy of the dataset."
                 ).format(path=path)  # fmt: skip
    if error.errno == errno.ENOENT:
        return _("{path} is not there, or a part of it is missing: copy the dataset again.").format(path=path)
    return _("{path} cannot be used: {reason}.").format(path=path, reason=error.strerror or error)


def noDatasetText(error: Exception, path: Path) -> str:
    """Why a folder is no dataset: most often it is another folder than the one that was meant."""
    if not isFile(path / "dataset.json"):
        return _("{name} holds no file dataset.json. Choose the folder that does.").format(name=path.name or path)
    return oneLine(error, path)
