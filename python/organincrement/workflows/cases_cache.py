"""Preparing a job's cases: read, checked, brought to the network's grid, cached. reads.log lists every file opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from organincrement.contract import codec
from organincrement.contract.dataset import Case
from organincrement.contract.errors import ContractError
from organincrement.contract.files import sha256_file
from organincrement.contract.job import JobFolder
from organincrement.contract.model import Preprocessing
from organincrement.imaging.cache import CachedCase, write_case
from organincrement.imaging.patches import UNLABELLED
from organincrement.imaging.preprocessing import canonical_grid, preprocess_pair
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.workflows.errors import WorkflowError
from organincrement.workflows.setup import Setup

_PERCENTILES = (0.5, 50.0, 99.5)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """One case on the network's grid, and what the package will say of the data. spacing_mm: in network axis order."""

    schema: ClassVar[str] = "organincrement/prepared/1"
    image_sha256: str
    label_sha256: str
    preprocessing: Preprocessing
    annotated: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    percentiles: tuple[float, float, float]
    fill: float


def prepare_cases(
    setup: Setup, job: JobFolder, folder: Path, between: Callable[[], None]
) -> dict[str, tuple[CachedCase, Prepared]]:
    """Every case of the plan in the cache; a case that is there already, with the same hashes, is not read again.

    Raises: WorkflowError where a file has changed since the dataset recorded it; ImageError where it cannot be read.
    """
    prepared = {}
    for case in setup.cases:
        between()
        prepared[case.id] = _prepare(setup, case, job, folder)
    return prepared


def _prepare(setup: Setup, case: Case, job: JobFolder, folder: Path) -> tuple[CachedCase, Prepared]:
    note = folder / f"{case.id}.json"
    known = _cached(note, case, setup)
    if known is not None:
        return CachedCase(id=case.id, folder=folder, shape=known.shape), known
    image_path, label_path = setup.dataset.image_path(case), setup.dataset.label_path(case)
    for path, expected in ((image_path, case.image_sha256), (label_path, case.label_sha256)):
        digest = sha256_file(path)
        job.log_read(case.id, digest)
        if digest != expected:
            raise WorkflowError(
                f"{path.name}: has changed since the dataset recorded it; submit the case again and make a new plan"
            )
    image = read_image(image_path)
    labels = read_labels(label_path, allowed=setup.dataset.label_values, like=image)
    image_DHW, labels_DHW = preprocess_pair(image, labels, setup.preprocessing)
    cached = write_case(folder, case.id, image_DHW, local_labels(labels_DHW, case, setup), seed=setup.plan.seed)
    known = Prepared(
        image_sha256=case.image_sha256,
        label_sha256=case.label_sha256 or "",
        preprocessing=setup.preprocessing,
        annotated=case.annotated,
        shape=cached.shape,
        spacing_mm=_spacing_mm(image, setup.preprocessing),
        percentiles=_percentiles(image),
        fill=float(image_DHW.min()),
    )
    codec.write(known, note)
    return cached, known


def _cached(note: Path, case: Case, setup: Setup) -> Prepared | None:
    """What an earlier process prepared; None where it is not whole, or was made of other files."""
    try:
        known = codec.read(Prepared, note)
    except ContractError:
        return None
    made_of = (known.image_sha256, known.label_sha256, known.preprocessing)
    fits = made_of == (case.image_sha256, case.label_sha256, setup.preprocessing) and known.annotated == case.annotated
    return known if fits and CachedCase(id=case.id, folder=note.parent, shape=known.shape).is_whole() else None


def local_labels(labels_DHW: np.ndarray, case: Case, setup: Setup) -> np.ndarray:
    """Stored labels as the losses want them: int16, 1..N, 0 background, -1 where nobody looked.

    In a case in which not every organ was looked for, what is not labelled is unknown rather than background.
    """
    labels = labels_DHW.astype(np.int16)
    labels[labels_DHW == setup.dataset.manifest.ignore_value] = UNLABELLED
    if len(case.annotated) < len(setup.dataset.label_space):
        labels[labels_DHW == 0] = UNLABELLED
    return labels


def _spacing_mm(image: Volume, preprocessing: Preprocessing) -> tuple[float, float, float]:
    _, spacing_mm = canonical_grid(image, preprocessing.orientation)
    return tuple(round(float(spacing_mm[axis]), 4) for axis in preprocessing.axis_order)  # type: ignore[return-value]


def _percentiles(image: Volume) -> tuple[float, float, float]:
    """Of the brighter part of the scan, so that the air around the patient does not count."""
    values = image.array_DHW[image.array_DHW > image.array_DHW.mean()]
    return tuple(float(v) for v in np.percentile(values if values.size else image.array_DHW, _PERCENTILES))  # type: ignore[return-value]
