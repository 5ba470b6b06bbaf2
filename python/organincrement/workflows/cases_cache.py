"""Preparing a job's cases: read, checked, brought to the network's grid, cached. reads.log lists every file opened."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from organincrement.contract import codec
from organincrement.contract.errors import ContractError
from organincrement.contract.job import CACHE, JobFolder
from organincrement.contract.model import Preprocessing
from organincrement.imaging.cache import CachedCase, image_file, private_folder, write_case
from organincrement.imaging.conventions import CONVENTIONS
from organincrement.imaging.patches import UNLABELLED
from organincrement.imaging.preprocessing import canonical_grid, preprocess_pair
from organincrement.imaging.safe_read import read_image
from organincrement.imaging.volume import Volume
from organincrement.workflows.case_files import case_labels, check_unchanged, renumbered
from organincrement.workflows.setup import PlannedCase, Setup
from organincrement.workflows.shared_cases import CaseOnGrid, SharedCases

_PERCENTILES = (0.5, 50.0, 99.5)
_WHERE_CHANGED = "submit the case again and make a new plan"


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

    One case at a time is in memory. Into the job's own cache come also cases that another job beside it prepared.
    Raises: WorkflowError where a file has changed since the dataset recorded it; ImageError where it cannot be read.
    """
    shared = SharedCases(job.path.parent) if folder == job.path / CACHE else None  # what only tries a plan shares none
    prepared = {}
    private_folder(folder)
    for planned in setup.cases:
        between()
        prepared[planned.id] = _prepare(setup, planned, job, folder, shared)
    return prepared


def _prepare(
    setup: Setup, planned: PlannedCase, job: JobFolder, folder: Path, shared: SharedCases | None
) -> tuple[CachedCase, Prepared]:
    note, case = folder / f"{planned.id}.json", planned.case
    known = _cached(note, planned, setup)
    if known is not None:
        return CachedCase(id=planned.id, folder=folder, shape=known.shape), known
    check_unchanged(planned.dataset, case, _WHERE_CHANGED, opened=lambda sha256: job.log_read(planned.id, sha256))
    packed_image = image_file(folder, planned.id)
    values = planned.dataset.label_values
    shared = None if planned.old else shared  # copies of old data stay in the job
    found = shared.take(case, values, setup.preprocessing, packed_image) if shared else None
    made = found or _made(setup, planned)
    cached = write_case(
        folder, planned.id, made.image_DHW, local_labels(made.labels_DHW, planned, setup), seed=setup.plan.seed
    )
    known = Prepared(
        image_sha256=case.image_sha256,
        label_sha256=case.label_sha256 or "",
        preprocessing=setup.preprocessing,
        annotated=setup.annotated_as(planned),
        shape=cached.shape,
        spacing_mm=made.spacing_mm,
        percentiles=made.percentiles,
        fill=made.fill,
    )
    codec.write(known, note)
    if shared and not found:
        shared.keep(case, values, setup.preprocessing, made, packed_image)
    return cached, known


def _made(setup: Setup, planned: PlannedCase) -> CaseOnGrid:
    image = read_image(planned.dataset.image_path(planned.case))
    labels = case_labels(planned.dataset, planned.case, image)
    image_DHW, labels_DHW = preprocess_pair(image, labels, setup.preprocessing)
    rules = CONVENTIONS[setup.preprocessing.convention]
    return CaseOnGrid(
        image_DHW=image_DHW, labels_DHW=labels_DHW, spacing_mm=_spacing_mm(image, setup.preprocessing),
        percentiles=_percentiles(image), fill=float(image_DHW.min()) if rules.padding == "lowest" else 0.0,
    )  # fmt: skip


def _cached(note: Path, planned: PlannedCase, setup: Setup) -> Prepared | None:
    """What an earlier process prepared; None where it is not whole, or was made of other files."""
    try:
        known = codec.read(Prepared, note)
    except ContractError:
        return None
    case = planned.case
    made_of = (known.image_sha256, known.label_sha256, known.preprocessing, known.annotated)
    fits = made_of == (
        case.image_sha256, case.label_sha256 or "", setup.preprocessing, setup.annotated_as(planned)
    )  # fmt: skip
    cached = CachedCase(id=planned.id, folder=note.parent, shape=known.shape)
    return known if fits and cached.is_whole() else None


def local_labels(labels_DHW: np.ndarray, planned: PlannedCase, setup: Setup) -> np.ndarray:
    """Stored labels as the losses want them: int16, numbered by `Setup.label_values`, 0 background, -1 unknown.

    In a case in which not every organ was looked for, what is not labelled is unknown rather than background, unless
    the method takes it for what it is: none of the organs that were looked for. An organ that the plan does not label
    is background, as everywhere else.
    """
    values = setup.label_values
    ids = setup.organ_ids(planned.dataset.label_space)
    labels = renumbered(labels_DHW, [values.get(organ_id, 0) for organ_id in ids])
    labels[labels_DHW == planned.dataset.manifest.ignore_value] = UNLABELLED
    if planned.case.label is None:  # then `case_labels` gave background
        labels[:] = UNLABELLED
    if not setup.needs.partial and len(planned.case.annotated) < len(values):
        labels[labels_DHW == 0] = UNLABELLED
    return labels


def _spacing_mm(image: Volume, preprocessing: Preprocessing) -> tuple[float, float, float]:
    _, spacing_mm = canonical_grid(image, preprocessing.orientation)
    return tuple(round(float(spacing_mm[axis]), 4) for axis in preprocessing.axis_order)  # type: ignore[return-value]


def _percentiles(image: Volume) -> tuple[float, float, float]:
    """Of the brighter part of the scan, so that the air around the patient does not count."""
    values = image.array_DHW[image.array_DHW > image.array_DHW.mean()]
    return tuple(float(v) for v in np.percentile(values if values.size else image.array_DHW, _PERCENTILES))  # type: ignore[return-value]
