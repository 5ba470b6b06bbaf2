"""An imported nnU-Net v2 model segments as its own tool does, rule by rule, against that written out plainly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_models.nnunet2_folder import Nnunet2, network_of, write_folder
from foreign_models.nnunet2_reference import segmented
from scipy import ndimage

from organincrement.imaging.volume import Volume
from organincrement.inference.predict import Prediction, PredictionSettings, predict_volume
from organincrement.models.formats import nnunet2
from organincrement.models.formats.foreign import Foreign, ImportOptions
from organincrement.models.package import with_all_names
from organincrement.networks.build import build_network


def scan(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], border: int = 0) -> Volume:
    """Smooth blobs between -200 and 300, a hole of zeros in them, in a border of zeros, its axes turned round."""
    noise = np.random.default_rng(5).normal(size=shape)
    blobs = ndimage.gaussian_filter(noise, 1.5)
    array = (60 + 250 * blobs / np.abs(blobs).max()).astype(np.float32)
    array[tuple(slice(n // 2, n // 2 + 2) for n in shape)] = 0
    if border:
        inner = array[border:-border, border:, border : -border - 1].copy()
        array[:] = 0
        array[border:-border, border:, border : -border - 1] = inner
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, -1]])
    return Volume(array, spacing_mm, (5.0, -7.0, 11.0), turned)


def imported(folder: Path, options: ImportOptions | None = None) -> Foreign:
    return nnunet2.read(folder, options or ImportOptions())


def answer(foreign: Foreign, image: Volume, **settings: Any) -> Prediction:
    described = foreign.manifest.network
    network = build_network(described.kind, described.args)
    weights = {name: tensor.read() for name, tensor in foreign.members[0].items()}
    network.load_state_dict(with_all_names(network, weights))
    with torch.inference_mode():
        asked = PredictionSettings(**settings)
        return predict_volume(network.eval(), foreign.manifest, image, torch.device("cpu"), asked)


PLAIN = Nnunet2()
SLICES = Nnunet2(patch=(12, 8), spacing_mm=(2.0, 2.5), configuration="2d")
FORCED = {
    value: replace(
        PLAIN,
        of_configuration={
            f"resampling_fn_{what}_kwargs": {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": value}
            for what, order in (("data", 3), ("probabilities", 1))
        },
    )
    for value in (False, True)
}
CASES = {
    "a scan of odd sizes": (PLAIN, (11, 17, 19), (3.3, 1.7, 2.1), 0),
    "a border of zeros": (PLAIN, (16, 18, 21), (3.0, 2.2, 2.2), 3),
    "a finer scan": (PLAIN, (21, 25, 23), (1.4, 0.9, 1.1), 0),
    "its own spacing": (PLAIN, (13, 18, 15), (3.0, 2.0, 2.0), 0),
    "a scan smaller than the patch": (replace(PLAIN, patch=(16, 16, 16)), (5, 18, 9), (3.1, 1.9, 2.0), 0),
    "thick slices, each for itself": (PLAIN, (6, 18, 17), (9.0, 2.1, 1.8), 0),
    "thick slices of the network": (replace(PLAIN, spacing_mm=(8.0, 2.0, 2.4)), (17, 14, 15), (2.5, 2.2, 2.0), 0),
    "thick slices, all at once": (FORCED[False], (6, 18, 17), (9.0, 2.1, 1.8), 0),
    "thin slices, each for itself": (FORCED[True], (12, 18, 17), (3.3, 2.1, 1.8), 0),
    "two thick axes": (PLAIN, (8, 9, 24), (8.0, 8.0, 2.0), 0),
    "thick along another axis": (replace(PLAIN, transpose=(2, 0, 1)), (16, 17, 5), (2.0, 1.5, 8.0), 0),
    "turned axes": (replace(PLAIN, transpose=(1, 2, 0), spacing_mm=(2.0, 2.3, 3.0)), (12, 18, 15), (3.3, 2.0, 2.0), 2),
    "mirrored": (replace(PLAIN, mirror_axes=(0, 1, 2)), (10, 14, 13), (3.0, 2.2, 2.0), 0),
    "mirrored along one axis": (replace(PLAIN, mirror_axes=(1,)), (10, 14, 13), (3.0, 2.2, 2.0), 0),
    "residual": (replace(PLAIN, residual=True), (10, 14, 13), (3.0, 2.2, 2.0), 0),
    "batch normalisation": (replace(PLAIN, batch_norm=True), (10, 14, 13), (3.0, 2.2, 2.0), 0),
    "z-score": (replace(PLAIN, scheme="ZScoreNormalization"), (12, 16, 13), (3.0, 2.2, 2.0), 2),
    "z-score of what is not 0": (replace(PLAIN, scheme="ZScoreNormalization", masked=True), (12, 16, 13),
                                 (3.0, 2.2, 2.0), 2),
    "slices": (SLICES, (7, 21, 17), (4.0, 2.3, 2.2), 0),
    "slices smaller than the patch": (SLICES, (4, 9, 14), (4.0, 2.3, 2.2), 0),
    "mirrored slices along another axis": (replace(SLICES, transpose=(1, 0, 2), mirror_axes=(0, 1)), (15, 6, 17),
                                           (2.3, 3.0, 2.2), 2),
}  # fmt: skip


@pytest.mark.parametrize(("model", "shape", "spacing_mm", "border"), CASES.values(), ids=CASES)
def test_labels_are_those_of_nnunet(tmp_path, model, shape, spacing_mm, border):
    foreign = imported(write_folder(tmp_path / "model", model))
    image = scan(shape, spacing_mm, border)
    expected = segmented(image.array_DHW, spacing_mm, [network_of(model)], model)
    found = answer(foreign, image).labels_DHW
    assert sorted(np.bincount(expected.ravel(), minlength=3))[1] > 0.05 * expected.size, "the test needs two labels"
    # single against double precision decides a voxel now and then
    assert (found != expected).mean() <= 5e-4


def test_a_small_budget_and_uncertainty_change_no_label(tmp_path):
    foreign = imported(write_folder(tmp_path / "model", replace(PLAIN, spacing_mm=(8.0, 2.0, 2.4))))
    image = scan((17, 14, 15), (2.5, 2.2, 2.0), border=2)
    whole = answer(foreign, image)
    tiles = answer(foreign, image, budget_bytes=6000, uncertainty="perturbation")
    np.testing.assert_array_equal(tiles.labels_DHW, whole.labels_DHW)
    assert whole.uncertainty_DHW is None
    assert tiles.uncertainty_DHW.shape == image.shape_DHW
    assert tiles.uncertainty_DHW.max() > 20
    assert not tiles.uncertainty_DHW[:2].any(), "nothing is unsure where there was nothing to look at"


def test_axes_are_taken_as_stored_unless_the_user_knows_better(tmp_path):
    folder = write_folder(tmp_path / "model", PLAIN)
    image = scan((10, 14, 13), (3.0, 2.2, 2.0))
    stored = answer(imported(folder), image).labels_DHW
    turned = answer(imported(folder, ImportOptions(orientation="LPS")), image).labels_DHW
    assert stored.shape == turned.shape == image.shape_DHW
    assert (stored != turned).mean() > 0.05


def test_a_reader_that_turns_scans_is_followed(tmp_path):
    model = replace(PLAIN, reader="NibabelIOWithReorient")
    foreign = imported(write_folder(tmp_path / "model", model))
    assert foreign.manifest.preprocessing.orientation == "RAS"
    image = scan((10, 14, 13), (3.0, 2.0, 2.0))
    # of this scan x runs to the back, y to the right, z to the feet: as RAS, x and y change places, y and z turn round
    as_ras = image.array_DHW.transpose(0, 2, 1)[::-1, ::-1]
    expected = segmented(as_ras, (3.0, 2.0, 2.0), [network_of(model)], model)
    back = expected[::-1, ::-1].transpose(0, 2, 1)
    assert (answer(foreign, image).labels_DHW != back).mean() <= 5e-4
