"""What a segmentation's report says of each organ."""

import numpy as np

from organincrement.contract.labels import LabelSpace
from organincrement.contract.results import SegmentedOrgan
from organincrement.imaging.volume import Volume


def organ_rows(labels: Volume, percent_DHW: np.ndarray | None, organs: LabelSpace) -> tuple[SegmentedOrgan, ...]:
    """Volume (mm³) and mean uncertainty of every organ, in the order of `organs`.

    Args: percent_DHW: uncertainty in per cent. None without it, as the mean over an organ that is not there, is None.
    """
    counts, sums = np.zeros(1 + len(organs)), np.zeros(1 + len(organs))
    for d, labels_HW in enumerate(labels.array_DHW):  # slice by slice: bincount makes eight-byte copies
        counts += np.bincount(labels_HW.ravel(), minlength=counts.size)
        if percent_DHW is not None:
            sums += np.bincount(labels_HW.ravel(), percent_DHW[d].ravel(), minlength=sums.size)
    voxel_mm3 = float(np.prod(labels.spacing_mm))
    return tuple(
        SegmentedOrgan(
            id=organ, volume_mm3=round(float(counts[i] * voxel_mm3), 2),
            mean_uncertainty=None if percent_DHW is None or not counts[i] else round(float(sums[i] / counts[i]), 3),
        )
        for i, organ in enumerate(organs.ids, start=1)
    )  # fmt: skip
