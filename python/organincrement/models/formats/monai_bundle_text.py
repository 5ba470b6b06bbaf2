"""What a MONAI bundle of ours says beside its preprocessing and network: metadata, workflow, README and licence."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from organincrement.contract.model import STORED, ModelManifest
from organincrement.models.formats.nnunet2_out import label_names

RUN = (
    "python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir IMAGES "
    "--output_dir OUT"
)
_OF_NNUNET = ("PlainConvUNet", "ResidualEncoderUNet")
_USE = "Research use only, not a medical device."
_MOST_UINT8 = 255
_MEANS_MORE = re.compile(r"^[\s$@%]+|[@%](?=#|::)")  # starts of what MONAI evaluates, looks up or reads from files


def as_words(value: Any) -> Any:
    """JSON values whose texts MONAI takes as they are: a stranger's model may be called `$` and a line of Python."""
    if isinstance(value, str):
        return _MEANS_MORE.sub("", value)
    if isinstance(value, dict):
        return {as_words(key): as_words(inner) for key, inner in value.items()}
    return [as_words(inner) for inner in value] if isinstance(value, list | tuple) else value


def metadata(manifest: ModelManifest) -> dict[str, Any]:
    """metadata.json."""
    organs, patch = label_names(manifest.label_space), list(manifest.inference.patch)
    packages = {"pytorch-ignite": "0.5.5", "nibabel": _version("nibabel"), "scipy": _version("scipy")}
    if manifest.network.kind in _OF_NNUNET:
        packages["dynamic-network-architectures"] = _version("dynamic-network-architectures")
    image = {
        "type": "image", "format": "hounsfield" if manifest.trained_on.modality == "CT" else "magnitude",
        "modality": manifest.trained_on.modality, "num_channels": 1, "spatial_shape": patch, "dtype": "float32",
        "value_range": [], "is_patch_data": True, "channel_def": {"0": "image"},
    }  # fmt: skip
    pred = {
        "type": "image", "format": "segmentation", "num_channels": 1 + len(organs), "spatial_shape": patch,
        "dtype": "float32", "value_range": [0, len(organs)], "is_patch_data": True,
        "channel_def": {"0": "background", **{str(label): name for label, name in enumerate(organs, 1)}},
    }  # fmt: skip
    return {
        "version": "1.0.0", "changelog": {"1.0.0": "written by OrganIncrement"}, "monai_version": _version("monai"),
        "pytorch_version": _version("torch"), "numpy_version": _version("numpy"),
        "required_packages_version": packages, "name": manifest.name, "task": "segmentation of organs",
        "description": f"Segments {', '.join(organs)}. {_USE}", "authors": "", "copyright": "",
        "license": licence(manifest), "references": [manifest.citation] if manifest.citation else [],
        "intended_use": _USE, "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}},
    }  # fmt: skip


def workflow() -> dict[str, Any]:
    """What inference.json says of files and of the engine that goes over them."""
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii.gz')))",
        "network": "$@network_def.to(@device)",
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {
            "_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False, "num_workers": 0,
        },
        "handlers": [{
            "_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"}, "map_location": "@device",
        }],
        "evaluator": {
            "_target_": "SupervisedEvaluator", "device": "@device", "val_data_loader": "@dataloader",
            "network": "@network", "inferer": "@inferer", "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "run": ["$@evaluator.run()"],
    }  # fmt: skip


def save(manifest: ModelManifest) -> dict[str, Any]:
    """The transform that writes the labels."""
    return {
        "_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_postfix": "seg",
        "separate_folder": False, "resample": False,
        "output_dtype": "$np.uint8" if len(manifest.organs) <= _MOST_UINT8 else "$np.uint16",
    }  # fmt: skip


def licence(manifest: ModelManifest) -> str:
    """One line."""
    return manifest.licence or "The licence of this model is not stated; ask those who trained it."


def notes(manifest: ModelManifest, stock: bool) -> tuple[str, ...]:
    """What the user should know, one line each."""
    lines = [f"run it in the bundle's folder with: {RUN}; it needs {_needs(manifest)}"]
    if not stock:
        lines.append(
            "how it prepares scans and places windows is not in MONAI: the bundle brings these steps along, as Python "
            "in scripts/ and organincrement/"
        )
    if manifest.preprocessing.orientation == STORED:
        lines.append("it takes a scan's axes as they are stored: all scans must lie as its own training scans did")
    return tuple(lines)


def readme(manifest: ModelManifest, stock: bool) -> str:
    """docs/README.md."""
    organs = "\n".join(f"{label}. {name}" for label, name in enumerate(label_names(manifest.label_space), 1))
    steps = (
        "Preprocessing, windows and postprocessing are MONAI's own."
        if stock
        else "Preprocessing and windows are those of OrganIncrement, which MONAI's transforms do not take exactly. "
        "`scripts/organincrement_steps.py` names them to MONAI; `organincrement/` holds the modules that it needs "
        "(Apache-2.0)."
    )
    return (
        f"# {manifest.name}\n\n{_USE}\n\nLabels, 0 being the background:\n\n{organs}\n\n"
        f"## Run\n\nIn this folder, with scans as `.nii.gz` in IMAGES:\n\n    {RUN}\n\nIt needs {_needs(manifest)}.\n\n"
        f"## Steps\n\n{steps}\n\n## Licence\n\n{licence(manifest)}\n"
        + (f"\n## Reference\n\n{manifest.citation}\n" if manifest.citation else "")
    )


def _needs(manifest: ModelManifest) -> str:
    packages = "monai[fire,ignite,nibabel] and scipy"
    if manifest.network.kind not in _OF_NNUNET:
        return packages
    return f"{packages}, and dynamic-network-architectures for its network"


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return ""
