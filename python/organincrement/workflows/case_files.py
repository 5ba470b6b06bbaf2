"""A case of a dataset as it lies on the disk: its files, whether they are those recorded, and what its labels say."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from organincrement.contract.dataset import Case, DatasetFolder
from organincrement.contract.files import sha256_file
from organincrement.imaging.safe_read import read_labels
from organincrement.imaging.volume import Volume
from organincrement.workflows.errors import WorkflowError


def check_unchanged(
    dataset: DatasetFolder, case: Case, remedy: str, opened: Callable[[str], None] = lambda sha256: None
) -> None:
    """Refuse a file that has changed since the dataset recorded it.

    Args: remedy: what to do then. opened: told the present hash of each file. Raises: WorkflowError.
    """
    for path, expected in _recorded(dataset, case):
        digest = sha256_file(path)
        opened(digest)
        if digest != expected:
            raise WorkflowError(f"{path.name}: has changed since the dataset recorded it; {remedy}")


def _recorded(dataset: DatasetFolder, case: Case) -> list[tuple[Path, str | None]]:
    """The case's files with the hashes that the dataset recorded; a scan without a label has one."""
    files: list[tuple[Path, str | None]] = [(dataset.image_path(case), case.image_sha256)]
    return files if case.label is None else [*files, (dataset.label_path(case), case.label_sha256)]


def case_labels(dataset: DatasetFolder, case: Case, image: Volume) -> Volume:
    """The stored labels on the scan's grid, all 0 where there are none. Raises: ImageError."""
    if case.label is None:
        return image.with_array(np.zeros(image.shape_DHW, np.uint8))
    return read_labels(dataset.label_path(case), allowed=dataset.label_values, like=image)


def renumbered(stored_DHW: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Stored labels by other numbers, int16. Args: numbers: of the dataset's organs, in order; all else becomes 0."""
    number_of = np.zeros(1 + max(len(numbers), int(stored_DHW.max(initial=0))), np.int16)
    number_of[1 : 1 + len(numbers)] = numbers
    return number_of[stored_DHW]
