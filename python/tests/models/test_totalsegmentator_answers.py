"""Imported TotalSegmentator weights answer as the tool does: against its steps written out plainly, on odd scans."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_models.totalsegmentator_folder import Part, window, write_weights
from foreign_models.totalsegmentator_reference import segmented
from scipy import ndimage

from organincrement.imaging.geometry import to_orientation
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import Prediction, PredictionSettings, predict_volume
from organincrement.models.formats import totalsegmentator
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.formats.totalsegmentator_tasks import TASKS
from organincrement.models.package import Provenance, load_package, save_package

MADE = Provenance(method="imported", dataset_sha256="", made="2026-01-01")
RAS, LPS = np.diag([-1.0, -1, 1]), np.eye(3)
# x to the feet, y to the left, z to the back
TURNED = np.array([[0.0, 1, 0], [0, 0, 1], [-1, 0, 0]])
TOTAL = [
    Part(number=number, classes=names, window=window(number - 291)) for number, names in TASKS["total"].parts.items()
]


def scan(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], direction: np.ndarray, border: int = 0
) -> Volume:
    """Smooth blobs between -200 and 300 HU in a border of zeros."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=shape), 1.5)
    array = np.round(60 + 250 * blobs / np.abs(blobs).max()).astype(np.int16)
    if border:
        inside = np.zeros(shape, bool)
        inside[border:-border, border:, border : -border - 1] = True
        array[~inside] = 0
    return Volume(array, spacing_mm, (5.0, -7.0, 11.0), direction)


def answer(tmp_path: Path, foreign: Foreign, image: Volume, settings: PredictionSettings | None = None) -> Prediction:
    save_package(tmp_path / "package", foreign.manifest, foreign.members, MADE)
    loaded = load_package(tmp_path / "package")
    with torch.inference_mode():
        return predict_volume(
            loaded.network, loaded.manifest, image, torch.device("cpu"), settings or PredictionSettings()
        )


def expected(image: Volume, parts: Sequence[Part], step: float, hair: float = 0) -> np.ndarray:
    ras = to_orientation(image, "RAS")
    labels = segmented(ras.array_DHW, ras.spacing_mm, parts, step, hair)
    back = to_orientation(Volume(labels, ras.spacing_mm, ras.origin_mm, ras.direction), "LPS")
    return to_orientation(back, _code(image)).array_DHW


def _code(image: Volume) -> str:
    return {RAS.tobytes(): "RAS", LPS.tobytes(): "LPS", TURNED.tobytes(): "ILP"}[image.direction.tobytes()]


CASES = {
    "stored RAS": ((8, 13, 12), (2.9, 1.7, 1.3), RAS, 0),
    "stored LPS, a border of zeros": ((12, 15, 14), (2.1, 1.9, 2.3), LPS, 3),
    "turned axes": ((13, 8, 11), (1.2, 3.1, 1.6), TURNED, 0),
    "smaller than the patch": ((3, 12, 13), (1.9, 1.7, 1.3), RAS, 0),
    "its own spacing": ((9, 12, 10), (1.5, 1.5, 1.5), LPS, 2),
}


@pytest.mark.parametrize(("shape", "spacing_mm", "direction", "border"), CASES.values(), ids=CASES)
def test_all_117_organs_are_those_of_the_tool(tmp_path, shape, spacing_mm, direction, border):
    foreign = totalsegmentator.read(write_weights(tmp_path / "weights", TOTAL), ImportOptions())
    image = scan(shape, spacing_mm, direction, border)
    wanted = expected(image, TOTAL, 0.8)
    found = answer(tmp_path, foreign, image).labels_DHW
    parts_seen = np.unique(np.digitize(np.unique(wanted[wanted > 0]), np.cumsum([24, 26, 18, 23, 26]), right=True))
    assert len(parts_seen) >= 3, "the test needs organs of several parts"
    # of voxels that lie on the scan's own, the tool's rounding decides by 1 HU now and then
    assert (found != wanted).mean() <= 5e-3
    assert (found != expected(image, TOTAL, 0.8, hair=1e-3)).mean() <= 5e-4


@pytest.mark.parametrize(("task", "number", "mm"), [("total_fast", 297, 3.0), ("total_fastest", 298, 6.0)])
def test_one_coarse_network_for_all_organs(tmp_path, task, number, mm):
    part = Part(number=number, classes=TASKS[task].parts[number], spacing_mm=mm)
    foreign = totalsegmentator.read(write_weights(tmp_path / "weights", [part]), ImportOptions())
    image = scan((14, 24, 28), (3.7, 2.6, 2.2), LPS, border=2)
    wanted = expected(image, [part], 0.5)
    assert len(np.unique(wanted)) > 5
    assert (answer(tmp_path, foreign, image).labels_DHW != wanted).mean() <= 5e-4


def test_a_small_budget_and_uncertainty_change_no_label(tmp_path):
    foreign = totalsegmentator.read(write_weights(tmp_path / "weights", TOTAL), ImportOptions())
    image = scan((8, 13, 12), (2.9, 1.7, 1.3), RAS, border=1)
    whole = answer(tmp_path, foreign, image).labels_DHW
    tiled = answer(tmp_path, foreign, image, PredictionSettings(budget_bytes=400_000, uncertainty="entropy"))
    np.testing.assert_array_equal(tiled.labels_DHW, whole)
    assert tiled.uncertainty_DHW is not None
    assert tiled.uncertainty_DHW.max() > 20
