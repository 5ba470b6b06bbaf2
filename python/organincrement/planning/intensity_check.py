"""Are these the intensities that the teacher was trained on? Air, tissue and noise, in HU."""

import numpy as np

from organincrement.contract.model import ModelManifest
from organincrement.planning.findings import Finding
from organincrement.planning.scan_facts import ScanFacts

DOUBTFUL_HU, UNUSABLE_HU = 55.0, 100.0
NOISE = 0.7  # roughness; scans of patients reach 0.35, white noise 1
DARKEST_OF_CT = -300.0  # a CT shows air around the patient, unless it was cut from the inside of one
DARKEST_OF_FAT = -50.0  # and then it still shows fat
LEAST_BODY_ML = 20.0
_WEIGHTS = {"0.5": 0.25, "50": 0.5, "99.5": 0.25}  # of the quantiles, as the trapezium rule between them


def intensity_distance(scan: ScanFacts, manifest: ModelManifest) -> float | None:
    """Mean shift between the scan's intensities and the teacher's, in HU: their earth mover's distance.

    Measured between the three quantiles that a package records, after the network's clipping, so that metal, which it
    never sees, does not count. None where the package records none or normalises each scan by itself.
    """
    known, clip = manifest.trained_on.intensity_percentiles, manifest.preprocessing.normalisation.clip_hu
    if not set(_WEIGHTS) <= set(known) or manifest.preprocessing.normalisation.kind == "zscore":
        return None
    mine = np.array(scan.percentiles)
    teachers = np.array([known[name] for name in _WEIGHTS])
    low, high = clip or (teachers.min(), teachers.max())
    shift = np.abs(np.clip(mine, low, high) - np.clip(teachers, low, high))
    return float(shift @ np.array(list(_WEIGHTS.values())))


def intensity_findings(scan: ScanFacts, manifest: ModelManifest) -> list[Finding]:
    """What is wrong with the intensities; nothing of the rest is worth looking at when one of these is `unusable`."""
    darkest, brightest = scan.range
    if darkest == brightest:
        return [_unusable(f"every voxel has the value {darkest:g}: the scan is empty; export it again")]
    if scan.body_ml < LEAST_BODY_ML:
        return [_unusable("shows nothing but air: no body of any size; check that it is the right series")]
    if scan.roughness is not None and scan.roughness > NOISE:
        return [_unusable("is noise: neighbouring voxels are hardly more alike than distant ones; export it again")]
    distance = intensity_distance(scan, manifest)
    far = distance is not None and distance >= DOUBTFUL_HU
    airless = darkest > DARKEST_OF_FAT or (darkest > DARKEST_OF_CT and far)
    if airless and manifest.trained_on.modality == "CT":
        words = f"is no CT in HU: its darkest voxel is {round(darkest)}, where a CT shows air near -1000"
        return [_unusable(f"{words}; it may be another modality, or lack the rescale to HU")]
    if distance is None or distance < DOUBTFUL_HU:
        return []
    median, usual = scan.percentiles[1], manifest.trained_on.intensity_percentiles["50"]
    words = (
        f"intensities lie {distance:.0f} HU from the teacher's training scans (median {median:.0f}, there {usual:.0f})"
    )
    if distance < UNUSABLE_HU:
        return [Finding(verdict="doubtful", words=f"{words}; check contrast phase, reconstruction and rescale")]
    return [_unusable(f"{words}: another modality, or not in HU")]


def _unusable(words: str) -> Finding:
    return Finding(verdict="unusable", words=words)
