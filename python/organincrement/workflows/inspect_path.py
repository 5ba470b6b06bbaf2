"""What a file or folder is: an image, a dataset, a model package, a job; looked at in a process with limits."""

from pathlib import Path
from typing import Any

from organincrement.contract.errors import ContractError
from organincrement.imaging.errors import ImageError, one_line
from organincrement.imaging.limited import LimitError, Limits, run_limited
from organincrement.workflows.errors import WorkflowError

# Together with the start of Python, anything gets its answer within 5 s and 1 GB.
LIMITS = Limits(memory_bytes=900 * 2**20, wall_s=4.0, file_bytes=2**30)
REFUSALS: dict[str, type[ValueError]] = {kind.__name__: kind for kind in (ContractError, ImageError, WorkflowError)}


def inspect_path(path: Path, points: Path | None = None) -> dict[str, Any]:
    """Facts about a path.

    Args: points: .npy of (n, ≥3) L, P, S positions in mm; adds `samples`, null outside the image.
    Raises: WorkflowError, ImageError or ContractError with the reason it is refused, in one line; also when it takes
    more time or memory than LIMITS to find out.
    """
    arguments = {"path": str(path), "points": None if points is None else str(points)}
    try:
        said = run_limited("organincrement.workflows.inspect_facts:answer", arguments, LIMITS)
    except LimitError as error:
        raise WorkflowError(
            one_line(f"{path}: {error} when looked at; it is damaged, or far too large for a look")
        ) from None
    if "refused" in said:
        raise REFUSALS[said["refused"]](one_line(said["message"]))
    facts: dict[str, Any] = said["facts"]
    return facts
