"""What a case's label tells beside its scan: its place, what lies in it, and where the teacher says otherwise."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import LabelConflict
from organincrement.imaging.safe_read import label_counts
from organincrement.imaging.volume import Volume
from organincrement.planning.scan_facts import AIR_HU

Triple = tuple[float, float, float]
_LEAST_SHARE = 0.005  # thinner contacts are the rims of neighbours, drawn by two hands


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """One labelled organ of one case.

    centre_mm: D, H, W from the scan's first voxel. off_body_share: of it that is air outside the body.
    """

    organ: str
    volume_mm3: float
    centre_mm: Triple
    mean: float
    off_body_share: float


def label_facts(
    image: Volume, labels_DHW: np.ndarray, space: LabelSpace, body_DHW: np.ndarray
) -> tuple[LabelFacts, ...]:
    """Measure every labelled organ. Args: image: in the model's orientation; labels_DHW, body_DHW: on its grid."""
    boxes = ndimage.find_objects(labels_DHW, max_label=len(space))
    found = []
    for label, (organ, box) in enumerate(zip(space.ids, boxes, strict=True), start=1):
        if box is None:
            continue
        mask = labels_DHW[box] == label
        values = image.array_DHW[box][mask]
        d, h, w = (
            float((places.mean() + part.start) * mm)
            for places, part, mm in zip(np.nonzero(mask), box, image.spacing_mm, strict=True)
        )
        found.append(
            LabelFacts(
                organ=organ, volume_mm3=float(mask.sum() * np.prod(image.spacing_mm)), centre_mm=(d, h, w),
                mean=float(values.mean()), off_body_share=float(((values < AIR_HU) & ~body_DHW[box][mask]).mean()),
            )
        )  # fmt: skip
    return tuple(found)


def label_conflicts(
    labels: Volume, new: LabelSpace, teacher_DHW: np.ndarray, old: LabelSpace
) -> tuple[LabelConflict, ...]:
    """Where labelled organs lie on other organs of the teacher, the largest first.

    Not a conflict: the same organ, an anomaly in its host, and an overlap of less than half a per cent of the label.
    Args: labels: 1.. of `new`; teacher_DHW: on its grid, 1.. of `old`.
    """
    both = (labels.array_DHW > 0) & (labels.array_DHW <= len(new)) & (teacher_DHW > 0)
    # one number for each pair of organs: sorting pairs of columns would take far longer
    codes, counts = np.unique(
        labels.array_DHW[both].astype(np.int64) * (1 + len(old)) + teacher_DHW[both], return_counts=True
    )
    voxels = label_counts(labels.array_DHW)
    voxel_mm3 = float(np.prod(labels.spacing_mm))
    found = []
    for code, count in zip(codes, counts, strict=True):
        label, teachers = divmod(int(code), 1 + len(old))
        mine, other = new.organs[label - 1], old.organs[teachers - 1]
        fraction = float(count / voxels[label])
        inside_host = mine.host is not None and mine.host == other.id
        if mine.same_as(other) or inside_host or fraction < _LEAST_SHARE:
            continue
        found.append(
            LabelConflict(
                new=mine.id, old=other.id, volume_mm3=round(float(count) * voxel_mm3, 1), fraction=round(fraction, 4)
            )
        )
    return tuple(sorted(found, key=lambda conflict: -conflict.volume_mm3))
