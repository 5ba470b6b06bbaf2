"""Where along the body the new organs lie in the training cases, for the veto of a decoder (Continual Segment)."""

from dataclasses import replace

import numpy as np

from organincrement.contract.channels import Range
from organincrement.contract.job import JobFolder
from organincrement.contract.model import MultiDecoderHead
from organincrement.imaging.body_axis import organ_slices_mm
from organincrement.imaging.safe_read import read_image, read_labels
from organincrement.imaging.volume import Volume
from organincrement.inference.body_range import body_range
from organincrement.methods.protocol import Product
from organincrement.workflows.setup import PlannedCase, Setup

Slices = list[tuple[np.ndarray, float]]


def with_ranges(product: Product, setup: Setup, job: JobFolder) -> Product:
    """The product with the ranges of its newest decoder's organs, where the method's setting asks for them."""
    if not getattr(setup.config, "body_range", False) or not isinstance(product.head, MultiDecoderHead):
        return product
    *old, new = product.head.decoders
    found: dict[str, Slices] = {organ: [] for organ in new.organs}
    for planned in setup.cases:
        if planned.case.label is not None and planned.id not in setup.plan.validation.cases:
            _measure(planned, setup, job, found)
    measured = {organ: _range(slices) for organ, slices in found.items()}
    ranges = {organ: span for organ, span in measured.items() if span is not None}
    return replace(product, head=MultiDecoderHead(decoders=(*old, replace(new, range_mm=ranges or None))))


def _measure(planned: PlannedCase, setup: Setup, job: JobFolder, found: dict[str, Slices]) -> None:
    labels = _labels(planned, job)
    for value, organ_id in enumerate(setup.organ_ids(planned.dataset.label_space), start=1):
        if organ_id in found:
            found[organ_id].append(organ_slices_mm(labels, value))


def _labels(planned: PlannedCase, job: JobFolder) -> Volume:
    """The cache has no origin: the label's own file is read again, and that is logged again."""
    dataset, case = planned.dataset, planned.case
    for digest in (case.image_sha256, case.label_sha256):
        job.log_read(planned.id, digest or "")
    image = read_image(dataset.image_path(case))
    return read_labels(dataset.label_path(case), allowed=dataset.label_values, like=image)


def _range(slices: Slices) -> Range | None:
    found = body_range([mm for mm, _ in slices], [thickness for _, thickness in slices])
    return None if found is None else (round(found[0], 2), round(found[1], 2))
