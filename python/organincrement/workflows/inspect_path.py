"""What a file or folder is: an image, a dataset, a model package, a job; looked at in a process with limits."""

import contextlib
import json
from pathlib import Path
from typing import Any

from organincrement.contract.errors import ContractError
from organincrement.contract.files import write_atomic
from organincrement.imaging.errors import ImageError, one_line
from organincrement.imaging.limited import LimitError, Limits, TimeLimitError, run_limited
from organincrement.models.errors import ModelError, MoreNeededError
from organincrement.networks.errors import NetworkError
from organincrement.workflows.errors import WorkflowError

# Together with the start of Python, anything gets its answer within 5 s and 1 GB; later only where others compute, too.
LIMITS = Limits(memory_bytes=900 * 2**20, cpu_s=4.0, wall_s=20.0, file_bytes=2**30)
_KINDS = (ContractError, ImageError, ModelError, MoreNeededError, NetworkError, WorkflowError)
REFUSALS: dict[str, type[ValueError]] = {kind.__name__: kind for kind in _KINDS}


def inspect_path(path: Path | str, points: Path | None = None) -> dict[str, Any]:
    """Facts about a path.

    Args: points: .npy of (n, ≥3) L, P, S positions in mm; adds `samples`, null outside the image.
    Raises: WorkflowError, ImageError, ModelError or ContractError with the reason it is refused, in one line; also
    when it takes more time or memory than LIMITS to find out.
    """
    if not str(path).strip():
        raise WorkflowError("inspect: the path is empty; give a file or a folder")
    arguments = {"path": str(path), "points": None if points is None else str(points)}
    try:
        said = run_limited("organincrement.workflows.inspect_facts:answer", arguments, LIMITS)
    except TimeLimitError:
        raise WorkflowError(
            one_line(
                f"{path}: could not be looked through within {LIMITS.cpu_s:g} s; it may still be read: import it, "
                "or give a smaller part"
            )
        ) from None
    except LimitError as error:
        raise WorkflowError(
            one_line(f"{path}: {error} when looked at; it is damaged, or far too large for a look")
        ) from None
    if "refused" in said:
        raise REFUSALS[said["refused"]](one_line(said["message"]))
    facts: dict[str, Any] = said["facts"]
    return facts


def write_facts(path: Path | str, to: Path, points: Path | None = None) -> None:
    """Write the facts about a path as JSON; raises WorkflowError for a place that cannot be written, as above else."""
    same = False
    with contextlib.suppress(OSError):  # one of the two is not there, or not to be looked at: said by what comes next
        same = to.exists() and to.samefile(path)
    if same:
        raise WorkflowError(f"{to}: is what is looked at; write the facts to another file")
    facts = inspect_path(path, points)
    try:
        write_atomic(to, json.dumps(facts, indent=2) + "\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "impossible name"
        raise WorkflowError(one_line(f"{to}: cannot be written ({reason}); give a place that can")) from None
