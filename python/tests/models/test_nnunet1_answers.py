"""An imported nnU-Net v1 model answers as v1 itself does: against its steps written out plainly, on odd scans."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_models.nnunet1_folder import Nnunet1, network_of, write_folder
from foreign_models.nnunet1_reference import segmented
from scipy import ndimage

from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.models.formats import nnunet1
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.package import Provenance, load_package, save_package

RAS, LPS = np.diag([-1.0, -1, 1]), np.eye(3)
MADE = Provenance(method="imported", dataset_sha256="", made="2026-01-01")


def scan(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], border: int, direction: np.ndarray
) -> Volume:
    """Smooth blobs between -200 and 300, a hole of zeros in them, in a border of zeros."""
    blobs = ndimage.gaussian_filter(np.random.default_rng(5).normal(size=shape), 1.5)
    array = (60 + 250 * blobs / np.abs(blobs).max()).astype(np.float32)
    array[tuple(slice(n // 2, n // 2 + 2) for n in shape)] = 0
    if border:
        inside = np.zeros(shape, bool)
        inside[border:-border, border:, border : -border - 1] = True
        array[~inside] = 0
    return Volume(array, spacing_mm, (5.0, -7.0, 11.0), direction)


def answer(tmp_path: Path, foreign: Foreign, image: Volume) -> np.ndarray:
    save_package(tmp_path / "package", foreign.manifest, foreign.members, MADE)
    loaded = load_package(tmp_path / "package")
    with torch.inference_mode():
        return predict_volume(
            loaded.network, loaded.manifest, image, torch.device("cpu"), PredictionSettings()
        ).labels_DHW  # fmt: skip


PLAIN = Nnunet1()
EVEN = replace(PLAIN, pools=((2, 2, 2),), kernels=((3, 3, 3), (3, 3, 3)), patch=(8, 8, 8))
SLICES = Nnunet1(
    configuration="2d", patch=(16, 8), pools=((2, 2),), kernels=((3, 3), (3, 3)), spacing_mm=(9.0, 2.0, 2.5)
)
CASES = {
    "a scan of odd sizes": (PLAIN, (11, 17, 19), (3.3, 1.7, 2.1), 0),
    "a border of zeros": (PLAIN, (14, 18, 21), (3.0, 2.2, 2.2), 3),
    "its own spacing": (EVEN, (13, 18, 15), (3.0, 2.0, 2.0), 0),
    "a scan smaller than the patch": (PLAIN, (5, 13, 9), (3.1, 1.9, 2.0), 0),
    "thick slices, each for itself": (EVEN, (6, 18, 17), (9.0, 2.1, 1.8), 0),
    "thick slices of the network": (replace(EVEN, spacing_mm=(8.0, 2.0, 2.4)), (17, 14, 15), (2.5, 2.2, 2.0), 0),
    "thick slices of both, along other axes": (replace(EVEN, spacing_mm=(2.0, 2.0, 8.0)), (6, 14, 19),
                                               (7.0, 2.1, 2.1), 0),
    "turned axes": (replace(EVEN, transpose=(1, 2, 0), spacing_mm=(2.0, 2.3, 3.0)), (12, 18, 15), (3.3, 2.0, 2.0), 2),
    "z-score": (replace(EVEN, scheme="nonCT"), (12, 16, 13), (3.3, 2.2, 2.0), 2),
    "z-score of what is not 0": (replace(EVEN, scheme="nonCT", masked=True), (12, 16, 13), (3.3, 2.2, 2.0), 2),
    "z-score of thick slices": (replace(EVEN, scheme="nonCT", masked=True), (6, 16, 13), (9.9, 2.2, 2.0), 2),
    "three convolutions a level": (replace(EVEN, convolutions=3), (9, 12, 13), (3.3, 2.2, 2.0), 0),
    "batch normalisation": (replace(EVEN, norm="batch", trainer="nnUNetTrainerV2_BN", seed=7), (9, 12, 13),
                            (3.3, 2.2, 2.0), 0),
    "another slope": (replace(EVEN, slope=0.2, trainer="nnUNetTrainerV2_LReLU_slope_2en1"), (9, 12, 13),
                      (3.3, 2.2, 2.0), 0),
    "slices": (SLICES, (7, 21, 17), (4.0, 2.3, 2.2), 0),
    "slices smaller than the patch": (SLICES, (4, 9, 14), (4.0, 2.3, 2.2), 0),
}  # fmt: skip


@pytest.mark.parametrize(("model", "shape", "spacing_mm", "border"), CASES.values(), ids=CASES)
def test_labels_are_those_of_nnunet_v1(tmp_path, model, shape, spacing_mm, border):
    check_answers(tmp_path, model, scan(shape, spacing_mm, border, LPS))


@pytest.mark.parametrize("name", ["a border of zeros", "slices"])
def test_a_scan_is_taken_as_its_file_stores_it(tmp_path, name):
    model, shape, spacing_mm, border = CASES[name]
    check_answers(tmp_path, model, scan(shape, spacing_mm, border, RAS))


def check_answers(tmp_path: Path, model: Nnunet1, image: Volume) -> None:
    foreign = nnunet1.read(write_folder(tmp_path / "v1", model), ImportOptions())
    expected = segmented(image.array_DHW, image.spacing_mm, [network_of(model)], model)
    found = answer(tmp_path, foreign, image)
    assert sorted(np.bincount(expected.ravel(), minlength=3))[1] > 0.04 * expected.size, "the test needs two labels"
    assert (found != expected).mean() <= 5e-4  # single against double precision decides a voxel now and then


@pytest.mark.parametrize("legacy", [True, False], ids=["file of before torch 1.6", "zip file"])
def test_folds_are_averaged_as_probabilities(tmp_path, legacy):
    model = replace(EVEN, folds=("fold_0", "fold_1", "fold_3"), legacy=legacy)
    foreign = nnunet1.read(write_folder(tmp_path / "v1", model), ImportOptions())
    assert len(foreign.members) == 3
    image = scan((9, 12, 13), (3.3, 2.2, 2.0), 0, LPS)
    expected = segmented(image.array_DHW, (3.3, 2.2, 2.0), [network_of(model, n) for n in range(3)], model)
    one = segmented(image.array_DHW, (3.3, 2.2, 2.0), [network_of(model)], model)
    assert (expected != one).mean() > 0.05
    assert (answer(tmp_path, foreign, image) != expected).mean() <= 5e-4


def test_a_model_that_was_not_mirrored_in_training_is_not_mirrored(tmp_path):
    model = replace(EVEN, trainer="nnUNetTrainerV2_noMirroring")
    foreign = nnunet1.read(write_folder(tmp_path / "v1", model), ImportOptions())
    image = scan((9, 12, 13), (3.3, 2.2, 2.0), 0, LPS)
    expected = segmented(image.array_DHW, (3.3, 2.2, 2.0), [network_of(model)], model, mirror=False)
    assert (answer(tmp_path, foreign, image) != expected).mean() <= 5e-4
