"""MONAI bundles as MONAI's users write them, and what MONAI's own transforms make of a scan with the same settings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from monai.bundle import ConfigParser
from monai.networks import nets

DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
NETWORK = {
    "_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [8, 16, 32],
    "strides": [2, 2], "num_res_units": 1, "norm": "batch",
}  # fmt: skip
WINDOWS = {
    "_target_": "SlidingWindowInferer", "roi_size": [16, 24, 20], "sw_batch_size": 4, "overlap": 0.375,
    "mode": "gaussian",
}  # fmt: skip
SCALED = {
    "_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1,
    "clip": True,
}  # fmt: skip
BEFORE: list[dict[str, Any]] = [
    {"_target_": "LoadImaged", "keys": "image"},
    {"_target_": "EnsureChannelFirstd", "keys": "image"},
    {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
    {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"},
    SCALED,
    {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
]
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
INVERSE = {
    "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
    "meta_key_postfix": "meta_dict", "nearest_interp": False, "to_tensor": True,
}  # fmt: skip
ARGMAX = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
SAVE = {
    "_target_": "SaveImaged", "keys": "pred", "meta_keys": "pred_meta_dict", "output_dir": "@output_dir",
    "separate_folder": False, "resample": False, "print_log": False, "output_dtype": "uint8",
}  # fmt: skip
AFTER: list[dict[str, Any]] = [SOFTMAX, INVERSE, ARGMAX, SAVE]


def metadata(**changes: Any) -> dict[str, Any]:
    """Of a model of two organs."""
    outputs = {"pred": {"type": "image", "format": "segmentation", "num_channels": 3, "channel_def": {
        "0": "background", "1": "liver", "2": "spleen"}}}  # fmt: skip
    inputs = {"image": {"type": "image", "modality": "CT", "num_channels": 1, "spatial_shape": [16, 24, 20]}}
    return {
        "version": "0.1.0", "monai_version": "1.6.1", "name": "Two organs", "task": "segmentation",
        "network_data_format": {"inputs": inputs, "outputs": outputs}, "references": ["A. Author: A paper"], **changes,
    }  # fmt: skip


def inference(**changes: Any) -> dict[str, Any]:
    """Of a bundle such as those of MONAI's model zoo."""
    handlers = [{"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'", "load_dict": {
        "model": "@network"}}]  # fmt: skip
    parts = {name: f"@{name}" for name in ("device", "network", "inferer", "postprocessing")}
    return {
        "imports": ["$import glob", "$import os"], "bundle_root": ".", "image_key": "image",
        "output_dir": "$@bundle_root + '/eval'", "dataset_dir": "/workspace/data", "device": DEVICE,
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii.gz')))", "network_def": NETWORK,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": BEFORE},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": WINDOWS,
        "postprocessing": {"_target_": "Compose", "transforms": AFTER}, "handlers": handlers,
        "evaluator": {"_target_": "SupervisedEvaluator", "val_data_loader": "@dataloader",
                      "val_handlers": "@handlers", "amp": True, **parts},
        "evaluating": ["$setattr(torch.backends.cudnn, 'benchmark', True)", "$@evaluator.run()"], **changes,
    }  # fmt: skip


def network(definition: dict[str, Any], seed: int = 0) -> torch.nn.Module:
    """MONAI's own, with outputs far from even."""
    torch.manual_seed(seed)
    made = getattr(nets, definition["_target_"])(**{k: v for k, v in definition.items() if k != "_target_"}).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(1.5)
    return made


def write_bundle(folder: Path, config: dict[str, Any] | None = None, about: dict[str, Any] | None = None) -> Path:
    """A bundle on disk."""
    config = inference() if config is None else config
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "configs" / "metadata.json").write_text(
        json.dumps(metadata() if about is None else about), encoding="utf-8"
    )
    torch.save(network(config["network_def"]).state_dict(), folder / "models" / "model.pt")
    return folder


def phantom(
    shape_xyz: tuple[int, int, int], spacing_mm: tuple[float, float, float], stored: str, seed: int = 0
) -> sitk.Image:
    """A smooth scan in HU with noise, its axes stored as LPS or RAS."""
    noise = np.random.default_rng(seed).normal(size=shape_xyz[::-1])
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(noise, 2)
    array = (smooth / smooth.std() * 120 + 40 + 10 * noise).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm)
    image.SetOrigin((-31.5, 12.25, 101.0))
    if stored == "RAS":
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


def as_monai_segments(config: dict[str, Any], bundle: Path, scan: Path) -> np.ndarray:
    """Labels (D, H, W) on the scan's grid, by the bundle's own transforms and inferer as MONAI makes them."""
    parser = ConfigParser({**config, "bundle_root": str(bundle)})
    before, after = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("postprocessing")
    after.transforms = after.transforms[:-1]  # nothing is written
    model = parser.get_parsed_content("network_def").eval()
    model.load_state_dict(torch.load(bundle / "models" / "model.pt", weights_only=True))
    with torch.no_grad():
        data = before({"image": str(scan)})
        pred = parser.get_parsed_content("inferer")(data["image"][None], model)
    labels = after({"image": data["image"], "pred": pred[0]})["pred"]
    return np.asarray(labels[0]).transpose(2, 1, 0).astype(np.uint8)
