"""Keeping each organ's largest connected part."""

import numpy as np
from scipy import ndimage


def largest_components(labels_DHW: np.ndarray, organ_count: int) -> np.ndarray:
    """The labels with every organ's voxels beyond its largest face-connected part set to background."""
    kept = np.zeros_like(labels_DHW)
    for label, box in enumerate(ndimage.find_objects(labels_DHW, organ_count), start=1):
        if box is None:
            continue
        parts, count = ndimage.label(labels_DHW[box] == label)
        largest = 1 + int(np.argmax(np.bincount(parts.ravel(), minlength=count + 1)[1:]))
        kept[box][parts == largest] = label
    return kept
