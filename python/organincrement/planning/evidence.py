"""Measuring one case: the scan by itself, the teacher's view of it, the label beside both."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from organincrement.contract.labels import LabelSpace
from organincrement.evaluation.story import SlicePicture
from organincrement.imaging.geometry import orientation_code, to_orientation
from organincrement.imaging.resampling import resample
from organincrement.imaging.volume import Volume
from organincrement.planning.findings import CaseEvidence, worst
from organincrement.planning.geometry_check import TURNS, extent_findings, spacings_to_try
from organincrement.planning.intensity_check import intensity_findings
from organincrement.planning.label_facts import label_conflicts, label_facts
from organincrement.planning.scan_facts import body_mask, scan_facts
from organincrement.planning.scan_pictures import coronal_picture
from organincrement.planning.teacher_view import Asked, Reading, TeacherView, on_model_grid, read_as, view_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A case and what is left of its voxels to be shown.

    on_grid: the scan on the model's grid, body_DHW on it; None where the header alone told enough. teacher_DHW: the
    teacher's labels on the scan's own grid in the model's orientation; None where it was not asked. label_DHW: on
    `on_grid`, after the teacher's organs.
    """

    evidence: CaseEvidence
    on_grid: Volume | None = None
    body_DHW: np.ndarray | None = None
    teacher_DHW: np.ndarray | None = None
    label_DHW: np.ndarray | None = None


def measure_scan(case_id: str, image: Volume, asked: Asked) -> Measured:
    """Measure a scan; the teacher is asked only where the scan is one that it could know at all."""
    preprocessing = asked.manifest.preprocessing
    image = to_orientation(image, preprocessing.orientation)
    d, h, w = (n * mm for n, mm in zip(image.shape_DHW, image.spacing_mm, strict=True))
    evidence = CaseEvidence(
        id=case_id, orientation=orientation_code(image), stored_spacing_mm=image.spacing_mm, stored_extent_mm=(d, h, w)
    )  # fmt: skip
    if worst(extent_findings((d, h, w), image.spacing_mm)) == "unusable":
        return Measured(evidence=evidence)
    on_grid = on_model_grid(image, preprocessing)
    body_DHW = body_mask(on_grid.array_DHW, ct=_is_ct(asked))
    scan = scan_facts(on_grid, body_DHW)
    evidence = replace(evidence, scan=scan)
    if worst(intensity_findings(scan, asked.manifest)) == "unusable":
        return Measured(evidence=evidence, on_grid=on_grid, body_DHW=body_DHW)
    stored, teacher_DHW = _stored_view(image, on_grid, body_DHW, asked)
    looks = [partial(_turned_view, on_grid, body_DHW, turn, asked) for turn in TURNS]
    looks += [
        partial(_scaled_view, image, reading, asked)
        for reading in spacings_to_try(image.spacing_mm, scan, asked.manifest)
    ]
    evidence = replace(evidence, views=(stored, *asked.counted(looks)))
    return Measured(evidence=evidence, on_grid=on_grid, body_DHW=body_DHW, teacher_DHW=teacher_DHW)


def measured_with_label(
    measured: Measured, labels: Volume, space: LabelSpace, asked: Asked, ignore_value: int
) -> Measured:
    """The same case with its label. Args: labels: on the grid of the image as it was read, 1.. of `space`."""
    if measured.on_grid is None or measured.body_DHW is None or measured.teacher_DHW is None:
        return measured
    labels = to_orientation(labels, asked.manifest.preprocessing.orientation)
    known = labels.with_array(np.where(labels.array_DHW == ignore_value, 0, labels.array_DHW))
    small_DHW = resample(known.array_DHW, measured.on_grid.shape_DHW, kind="nearest")
    teachers = asked.manifest.label_space
    evidence = replace(
        measured.evidence,
        labels=label_facts(measured.on_grid, small_DHW, space, measured.body_DHW),
        conflicts=label_conflicts(known, space, measured.teacher_DHW, teachers),
    )
    shown_DHW = np.where(small_DHW > 0, small_DHW.astype(np.int32) + len(teachers), 0)
    return replace(measured, evidence=evidence, label_DHW=shown_DHW)


def picture_of(measured: Measured) -> SlicePicture | None:
    """A slice with the teacher's organs and the label's; None where nothing was read."""
    if measured.on_grid is None or measured.body_DHW is None:
        return None
    overlays = []
    if measured.teacher_DHW is not None:
        small_DHW = resample(measured.teacher_DHW, measured.on_grid.shape_DHW, kind="nearest")
        overlays.append(("The teacher's organs", small_DHW))
    if measured.label_DHW is not None:
        overlays.append(("The label", measured.label_DHW))
    return coronal_picture(measured.on_grid, measured.body_DHW, title=measured.evidence.id, overlays=overlays)


def _is_ct(asked: Asked) -> bool:
    return asked.manifest.trained_on.modality == "CT"


def _stored_view(image: Volume, on_grid: Volume, body_DHW: np.ndarray, asked: Asked) -> tuple[TeacherView, np.ndarray]:
    """What the teacher says of the scan as it is, summed up on the model's grid; and its labels on the scan's grid."""
    prediction = asked.predict(image, share=0.5)
    if prediction.uncertainty_DHW is None:
        raise ValueError("the prediction has no uncertainty")
    shrunk = replace(
        prediction,
        labels_DHW=resample(prediction.labels_DHW, on_grid.shape_DHW, kind="nearest"),
        uncertainty_DHW=resample(prediction.uncertainty_DHW, on_grid.shape_DHW, kind="nearest"),
    )
    return view_of(shrunk, on_grid, body_DHW, Reading(), len(asked.manifest.organs)), prediction.labels_DHW


def _turned_view(on_grid: Volume, body_DHW: np.ndarray, reading: Reading, asked: Asked) -> TeacherView:
    image = read_as(on_grid, reading)
    body = np.flip(body_DHW, reading.flipped)
    return view_of(asked.predict(image, coarse=True), image, body, reading, len(asked.manifest.organs))


def _scaled_view(image: Volume, reading: Reading, asked: Asked) -> TeacherView:
    """From the scan's own voxels: on the model's grid under a wrong spacing, too few of them may be left."""
    on_grid = on_model_grid(read_as(image, reading), asked.manifest.preprocessing)
    body_DHW = body_mask(on_grid.array_DHW, ct=_is_ct(asked))
    return view_of(asked.predict(on_grid, coarse=True), on_grid, body_DHW, reading, len(asked.manifest.organs))
