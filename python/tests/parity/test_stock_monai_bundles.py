"""Bundles of ours on a made-up scan: `python -m monai.bundle run`, offline, gives this engine's labels."""

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import stock

from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.models.formats import monai_out

sys.path[:0] = [str(stock.HERE.parent), str(stock.HERE.parent / "models")]

import torch  # noqa: E402
from monai_bundles import phantom  # noqa: E402
from test_monai_export import MONAI, NNUNET, loaded  # noqa: E402


@pytest.mark.parametrize("steps", [MONAI, NNUNET], ids=["monai", "nnunet"])
def test_monai_runs_a_bundle_of_ours_to_our_labels(steps: dict, tmp_path: Path):
    model, bundle, given, out = loaded(steps=steps), tmp_path / "bundle", tmp_path / "in", tmp_path / "out"
    for folder in (bundle, given):
        folder.mkdir()
    monai_out.write(model, bundle)
    image = phantom((41, 33, 19), (1.2, 1.3, 3.3), "LPS")
    sitk.WriteImage(image, str(given / "case.nii.gz"))
    stock.run(
        tmp_path, sys.executable, "-m", "monai.bundle", "run", "--config_file", bundle / "configs" / "inference.json",
        "--bundle_root", bundle, "--dataset_dir", given, "--output_dir", out,
    )  # fmt: skip
    written = sitk.ReadImage(str(next(out.rglob("case*.nii.gz"))))
    expected = predict_volume(
        model.network.eval(), model.manifest, Volume.from_sitk(image), torch.device("cpu"), PredictionSettings()
    ).labels_DHW
    assert np.array_equal(sitk.GetArrayFromImage(written), expected) and len(np.unique(expected)) > 1
    assert np.allclose(written.GetOrigin(), image.GetOrigin(), atol=1e-3)
