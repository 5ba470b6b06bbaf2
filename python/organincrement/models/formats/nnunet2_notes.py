"""What a user should know of a package that was written as an nnU-Net v2 folder: how to run it, what will differ."""

import math

from organincrement.contract.model import STORED, ModelManifest
from organincrement.imaging.conventions import CONVENTIONS

_STOCK_STEP = 0.5
_TURNED_BY_ITS_READER = "RAS"
# of each rule of a convention: what nnU-Net does, where the package's own convention does otherwise
_STOCK = {
    "region": "runs over all of a scan but a margin of zeros",
    "alignment": "resamples by the edges of the grid",
    "antialias": "does not smooth before it makes a grid coarser",
    "snap_mm": "resamples scans whose spacing is nearly the network's, too",
    "whole_numbers": "does not cut resampled values to whole numbers",
    "within_input": "keeps resampled values within those of the scan",
    "starts": "places its windows by whole steps",
    "weight": "weights windows by a Gaussian from voxel patch // 2",
}


def notes(manifest: ModelManifest, members: int, flat: bool) -> tuple[str, ...]:
    """One line each. Args: members: of the ensemble, each a fold. flat: written as a 2d configuration."""
    folds = " ".join(map(str, range(members)))
    step = manifest.inference.step
    option = "" if math.isclose(step, _STOCK_STEP) else f" -step_size {step:g}"
    lines = [
        f"run it with: nnUNetv2_predict_from_modelfolder -m FOLDER -f {folds}{option} -i IMAGES -o OUT; "
        "images are named case_0000.nii.gz"
    ]
    differing = _differing(manifest, flat)
    if differing:
        lines.append(f"results will differ at some voxels, mostly at borders: nnU-Net {'; '.join(differing)}")
    orientation = manifest.preprocessing.orientation
    if orientation not in (STORED, _TURNED_BY_ITS_READER):
        lines.append(
            f"nnU-Net takes a scan's axes as they are stored: give it scans stored as {orientation} "
            "(here any scan is turned by itself)"
        )
    return tuple(lines)


def _differing(manifest: ModelManifest, flat: bool) -> list[str]:
    preprocessing, inference = manifest.preprocessing, manifest.inference
    ours, stock = CONVENTIONS[preprocessing.convention], CONVENTIONS["nnunet"]
    found = [said for rule, said in _STOCK.items() if getattr(ours, rule) != getattr(stock, rule)]
    if preprocessing.order == "resample-then-normalise":
        found.append("normalises before it resamples")
    if inference.average == "probabilities":
        found.append("averages logits, not probabilities")
    elif inference.resampled == "probabilities":
        found.append("resamples logits, not probabilities")
    if inference.window != "gaussian":
        found.append("weights windows by a Gaussian")
    if flat and 0 not in preprocessing.keep_axes:
        found.append("leaves the distance of slices as it is")
    elif not flat and len(preprocessing.keep_axes) in (1, 2):
        found.append("resamples every axis")
    return found
