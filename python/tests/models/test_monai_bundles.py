"""MONAI bundles: labels as MONAI's own transforms and inferer give them, voxel for voxel; the rest refused by name."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai_bundles import (
    AFTER,
    ARGMAX,
    BEFORE,
    INVERSE,
    NETWORK,
    SAVE,
    SCALED,
    SOFTMAX,
    WINDOWS,
    as_monai_segments,
    inference,
    metadata,
    network,
    phantom,
    write_bundle,
)

from organincrement.contract.model import Normalisation
from organincrement.imaging.volume import Volume
from organincrement.inference.predict import PredictionSettings, predict_volume
from organincrement.models.errors import ModelError
from organincrement.models.formats import monai_bundle
from organincrement.models.formats.foreign import ImportOptions
from organincrement.models.package import LoadedModel, Provenance, load_package, save_package

MADE = Provenance(method="imported", dataset_sha256="", made="2026-11-21")


def compose(*transforms: dict[str, Any]) -> dict[str, Any]:
    return {"_target_": "Compose", "transforms": list(transforms)}


def imported(bundle: Path, package: Path) -> LoadedModel:
    foreign = monai_bundle.read(bundle, ImportOptions())
    save_package(package, foreign.manifest, foreign.members, MADE)
    return load_package(package)


def segmented(model: LoadedModel, scan: Path) -> np.ndarray:
    image = Volume.from_sitk(sitk.ReadImage(str(scan)))
    network_ = model.network.eval()
    return predict_volume(network_, model.manifest, image, torch.device("cpu"), PredictionSettings()).labels_DHW


NEAREST = {**INVERSE, "nearest_interp": True}
ANISOTROPIC, TIES = (1.2, 1.3, 3.3), (0.75, 0.75, 4.0)  # at 1.5, 1.5, 2 mm the latter lies half-way between voxels
VARIANTS: dict[str, tuple[dict[str, Any], tuple[float, float, float], str]] = {
    "softmax, then inverted": ({}, ANISOTROPIC, "LPS"),
    "stored as RAS": ({}, ANISOTROPIC, "RAS"),
    "logits inverted": ({"postprocessing": compose(INVERSE, ARGMAX, SAVE)}, TIES, "LPS"),
    "labels inverted": ({"postprocessing": compose(ARGMAX, NEAREST, SAVE)}, TIES, "LPS"),
    "inverted to the nearest": ({"postprocessing": compose(SOFTMAX, NEAREST, ARGMAX, SAVE)}, ANISOTROPIC, "RAS"),
    "constant windows": ({"inferer": {**WINDOWS, "mode": "constant", "overlap": 0.25}}, ANISOTROPIC, "LPS"),
    "larger windows than the scan": ({"inferer": {**WINDOWS, "roi_size": 48}}, ANISOTROPIC, "LPS"),
    "z-scores of what is not 0": (
        {"preprocessing": compose(
            *BEFORE[:4], {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True}
        )}, ANISOTROPIC, "LPS",
    ),
    "clipped, then to the nearest": (
        {"preprocessing": compose(*BEFORE[:3], SCALED, {**BEFORE[3], "mode": "nearest"})}, TIES, "RAS"
    ),
    "spacing kept along an axis, not turned": (
        {"preprocessing": compose(*BEFORE[:2], {**BEFORE[3], "pixdim": [1.5, -1, 2]}, SCALED)}, ANISOTROPIC, "LPS"
    ),
    "a spacing that nearly fits": ({}, (1.5004, 3.0, 2.0), "LPS"),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_bundle_segments_as_monai_does(variant, tmp_path):
    changes, spacing_mm, stored = VARIANTS[variant]
    config, scan = inference(**changes), tmp_path / "scan.nii.gz"
    sitk.WriteImage(phantom((41, 33, 19), spacing_mm, stored), str(scan))
    bundle = write_bundle(tmp_path / "bundle", config)
    expected = as_monai_segments(config, bundle, scan)
    found = segmented(imported(bundle, tmp_path / "package"), scan)
    assert np.array_equal(found, expected)
    assert all((expected == label).sum() > 300 for label in range(3))


def test_a_zip_of_a_bundle_is_the_same_bundle(tmp_path):
    bundle = write_bundle(tmp_path / "two_organs")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "two_organs"))
    assert monai_bundle.recognise(bundle) and monai_bundle.recognise(packed)
    folder, zipped = (imported(path, tmp_path / path.stem) for path in (bundle, packed))
    assert replace(zipped.manifest, weights=folder.manifest.weights) == folder.manifest
    weights = folder.network.state_dict()
    assert all(torch.equal(weights[name], other) for name, other in zipped.network.state_dict().items())


def test_what_metadata_says_is_kept(tmp_path):
    manifest = imported(write_bundle(tmp_path / "b", about=metadata(license="CC BY 4.0")), tmp_path / "p").manifest
    assert [(organ.id, organ.name) for organ in manifest.organs] == [("liver", "liver"), ("spleen", "spleen")]
    assert (manifest.name, manifest.licence, manifest.citation) == ("Two organs", "CC BY 4.0", "A. Author: A paper")
    scale = Normalisation(kind="ct", clip_hu=(-57, 164), mean=-57, std=221)
    assert (manifest.preprocessing.normalisation, manifest.preprocessing.order) == (scale, "resample-then-normalise")
    assert manifest.preprocessing.spacing_mm == (1.5, 1.5, 2.0) and manifest.inference.patch == (16, 24, 20)


NETWORKS: dict[str, dict[str, Any]] = {
    "SegResNet": {"_target_": "SegResNet", "init_filters": 8, "in_channels": 1, "out_channels": 3, "dropout_prob": 0.2,
                  "blocks_down": [1, 2], "blocks_up": [1]},
    "DynUNet": {"_target_": "monai.networks.nets.DynUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3,
                "kernel_size": [[3, 3, 1], 3, 3], "strides": [1, [2, 2, 1], 2], "upsample_kernel_size": [[2, 2, 1], 2],
                "filters": [4, 8, 8], "deep_supervision": True, "deep_supr_num": 1, "res_block": True},
    "UNet": {**NETWORK, "num_res_units": 0, "norm": ["instance", {"affine": True}], "act": "relu", "dropout": 0.1},
    "BasicUNet": {"_target_": "BasicUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3,
                  "features": [4, 4, 8, 8, 8, 4], "norm": ["GROUP", {"num_groups": 2}]},
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_of_bundles_answer_as_monai_s_own(name, tmp_path):
    definition = NETWORKS[name]
    stock = network({**definition, "_target_": name})
    bundle = write_bundle(tmp_path / "b")
    torch.save({"model": stock.state_dict()}, bundle / "models" / "model.pt")
    (bundle / "configs" / "inference.json").unlink()
    write = inference(network_def=definition, inferer={**WINDOWS, "roi_size": [16, 16, 16]})
    (bundle / "configs" / "inference.json").write_text(json.dumps(write), encoding="utf-8")
    found = imported(bundle, tmp_path / "p").network.eval()
    image_BCDHW = torch.randn(1, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(found(image_BCDHW), stock(image_BCDHW))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "sigmoid": ({"postprocessing": compose({**SOFTMAX, "softmax": False, "sigmoid": True}, *AFTER[1:])}, "sigmoid"),
    "no argmax": ({"postprocessing": compose(SOFTMAX, INVERSE, SAVE)}, "no AsDiscreted with argmax"),
    "no Invertd": ({"postprocessing": compose(SOFTMAX, ARGMAX, SAVE)}, "no Invertd"),
    "averaged labels": ({"postprocessing": compose(ARGMAX, INVERSE, SAVE)}, "labels are averaged"),
    "largest part": (
        {"postprocessing": compose(*AFTER, {"_target_": "KeepLargestConnectedComponentd", "keys": "pred"})},
        "KeepLargestConnectedComponentd",
    ),
    "cropped": (
        {"preprocessing": compose(*BEFORE, {"_target_": "CropForegroundd", "keys": "image", "source_key": "image"})},
        "CropForegroundd",
    ),
    "cubic": ({"preprocessing": compose(*BEFORE[:3], {**BEFORE[3], "mode": 3}, SCALED)}, "Spacingd: mode: 3"),
    "simple": ({"inferer": {"_target_": "SimpleInferer"}}, "SimpleInferer"),
    "reflected": ({"inferer": {**WINDOWS, "padding_mode": "reflect"}}, "padding_mode: 'reflect'"),
    "unknown network": ({"network_def": {**NETWORK, "_target_": "SwinUNETR"}}, "'SwinUNETR' is none of"),
    "other outputs": ({"network_def": {**NETWORK, "out_channels": 4}}, "has 4 outputs, and 3 are named"),
    "another engine": ({"evaluator": {"_target_": "EnsembleEvaluator"}}, "EnsembleEvaluator"),
    "another step order": ({"preprocessing": compose(*BEFORE[:2], BEFORE[3], BEFORE[2])}, "Orientationd"),
    "expression": ({"inferer": {**WINDOWS, "overlap": "$1 - 0.5"}}, r"overlap: '\$1 - 0.5' is an expression"),
    "macro": ({"inferer": {**WINDOWS, "roi_size": "%other.json::size"}}, "is a macro"),
}


@pytest.mark.parametrize(("softmax", "resampled"), [(True, "probabilities"), (False, "averages")])
def test_probabilities_are_resampled_only_where_a_softmax_is_asked_for(softmax, resampled, tmp_path):
    bundle = write_bundle(tmp_path / "b")
    after = compose({**SOFTMAX, "softmax": softmax}, *AFTER[1:])
    (bundle / "configs" / "inference.json").write_text(json.dumps(inference(postprocessing=after)), encoding="utf-8")
    assert monai_bundle.read(bundle, ImportOptions()).manifest.inference.resampled == resampled


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_understood_is_refused_by_name(case, tmp_path):
    changes, said = REFUSED[case]
    bundle = write_bundle(tmp_path / "b")
    (bundle / "configs" / "inference.json").write_text(json.dumps(inference(**changes)), encoding="utf-8")
    with pytest.raises(ModelError, match=said) as refused:
        monai_bundle.read(bundle, ImportOptions())
    assert "\n" not in str(refused.value)


def test_missing_files_are_named(tmp_path):
    bundle = write_bundle(tmp_path / "b")
    (bundle / "models" / "model.pt").rename(bundle / "models" / "model.ts")
    with pytest.raises(ModelError, match=r"only the program models/model\.ts; import that file itself"):
        monai_bundle.read(bundle, ImportOptions())
    (bundle / "configs" / "inference.json").rename(bundle / "configs" / "inference.yaml")
    with pytest.raises(ModelError, match="YAML is not read"):
        monai_bundle.read(bundle, ImportOptions())
    (bundle / "configs" / "inference.yaml").unlink()
    assert monai_bundle.recognise(bundle)
    with pytest.raises(ModelError, match=r"configs/inference\.json is missing"):
        monai_bundle.read(bundle, ImportOptions())


@pytest.mark.parametrize("strange", ["empty.zip", "text.zip", "nothing"])
def test_strange_paths_are_no_bundles(strange, tmp_path):
    (tmp_path / "text.zip").write_text("no zip at all", encoding="utf-8")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    assert not monai_bundle.recognise(tmp_path / strange)
