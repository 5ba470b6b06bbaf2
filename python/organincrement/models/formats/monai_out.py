"""Writing a package as a MONAI bundle, which `python -m monai.bundle run` runs.

Where MONAI's own transforms do what the package does, they are named. Where not (other rules of cropping, resampling or
windows), copies of our modules that do it lie in the bundle, and it names them.
"""

import ast
import json
from importlib import resources
from pathlib import Path
from typing import Any

from organincrement.contract import codec
from organincrement.contract.model import STORED, Inference, ModelManifest, Normalisation, Preprocessing, SoftmaxHead
from organincrement.models.errors import ModelError
from organincrement.models.formats import monai_bundle_text as text
from organincrement.models.formats.monai_files import INFERENCE, METADATA, WEIGHTS
from organincrement.models.formats.monai_networks import UNETS
from organincrement.models.formats.monai_transforms import NO_CLIP, OWN
from organincrement.models.formats.nnunet2_out import architecture
from organincrement.models.formats.onnx_out import instead
from organincrement.models.package import LoadedModel
from organincrement.models.torch_file import write_torch_file
from organincrement.networks.monai_nets import ARGUMENTS

_NNUNET = ("PlainConvUNet", "ResidualEncoderUNet")
_STEPS = "organincrement.inference.monai_steps"
_PACKAGE = "organincrement"


def write(model: LoadedModel, folder: Path) -> tuple[str, ...]:
    """Write the bundle. Returns: what the user should know. Raises: ModelError where a bundle has no place for it."""
    manifest = model.manifest
    _check_expressible(model)
    stock = _is_stock(manifest)
    for name in ("configs", "models", "docs"):
        (folder / name).mkdir()
    for name, content in ((METADATA, text.as_words(text.metadata(manifest))), (INFERENCE, _inference(model, stock))):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    write_torch_file({name: weight.cpu() for name, weight in model.network.state_dict().items()}, folder / WEIGHTS)
    (folder / "docs" / "README.md").write_text(text.readme(manifest, stock), encoding="utf-8")
    (folder / "LICENSE").write_text(text.licence(manifest) + "\n", encoding="utf-8")
    if not stock:
        _copy_steps(folder)
    return text.notes(manifest, stock)


def _check_expressible(model: LoadedModel) -> None:
    manifest, kind = model.manifest, model.manifest.network.kind
    if not isinstance(manifest.head, SoftmaxHead):
        raise ModelError(
            f"{manifest.name}: a MONAI bundle has one softmax over all organs, and this model has a "
            f"{manifest.head.kind} head; {instead(manifest.head)}"
        )
    if kind not in ARGUMENTS and kind not in _NNUNET:
        known = ", ".join((*sorted(ARGUMENTS), *_NNUNET))
        raise ModelError(f"{manifest.name}: MONAI can build {known}, and this network is a {kind}; export it to ONNX")
    members = getattr(model.network, "members", None)
    if members is not None:
        raise ModelError(
            f"{manifest.name}: is an ensemble of {len(members)} networks, and a MONAI bundle holds one; "
            "import one fold alone, or teach a student from it"
        )


def _is_stock(manifest: ModelManifest) -> bool:
    """Whether MONAI's own transforms and inferer do all that the package does."""
    preprocessing, inference = manifest.preprocessing, manifest.inference
    turned = preprocessing.orientation != STORED or tuple(preprocessing.axis_order) == (2, 1, 0)
    plain = not inference.mirror_axes and inference.average == "logits"
    return preprocessing.convention == "monai" and turned and plain and preprocessing.image_resampling != "cubic"


def _inference(model: LoadedModel, stock: bool) -> dict[str, Any]:
    manifest = model.manifest
    before = [{"_target_": "LoadImaged", "keys": "image"}, {"_target_": "EnsureChannelFirstd", "keys": "image"}]
    invert: dict[str, Any] = {
        "_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "image",
        "nearest_interp": manifest.preprocessing.output_resampling == "nearest", "to_tensor": True,
    }  # fmt: skip
    after = [invert, {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}, text.save(manifest)]
    if stock:
        before += _stock_steps(manifest.preprocessing)
        inferer = _stock_windows(manifest.inference)
        if manifest.inference.resampled == "probabilities":
            after.insert(0, {"_target_": "Activationsd", "keys": "pred", "softmax": True})
    else:
        before.append(_own_steps(manifest))
        inferer = {
            "_target_": f"{OWN}Windows", "inference": text.as_words(codec.to_json(manifest.inference)),
            "convention": manifest.preprocessing.convention, "channels": manifest.network.args["out_channels"],
        }  # fmt: skip
    return text.workflow() | {
        "network_def": _network(model),
        "preprocessing": {"_target_": "Compose", "transforms": before},
        "inferer": inferer,
        "postprocessing": {"_target_": "Compose", "transforms": after},
    }


def _stock_steps(preprocessing: Preprocessing) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    if preprocessing.orientation != STORED:
        # of image axes x, y, z the letters, in the network's order of axes
        letters = "".join(preprocessing.orientation[2 - axis] for axis in preprocessing.axis_order)
        steps.append({"_target_": "Orientationd", "keys": "image", "axcodes": letters})
    scaled = _scaled(preprocessing.normalisation)
    kept = preprocessing.keep_axes
    resampled: list[dict[str, Any]] = []
    if set(kept) != {0, 1, 2}:
        mode = "nearest" if preprocessing.image_resampling == "nearest" else "bilinear"
        pixdim = [-1.0 if axis in kept else mm for axis, mm in enumerate(preprocessing.spacing_mm)]
        resampled = [{"_target_": "Spacingd", "keys": "image", "pixdim": pixdim, "mode": mode}]
    first = preprocessing.order == "normalise-then-resample"
    return steps + (scaled + resampled if first else resampled + scaled)


def _scaled(normalisation: Normalisation) -> list[dict[str, Any]]:
    if normalisation.kind == "none":
        return []
    clip, mean, std = normalisation.clip_hu, normalisation.mean, normalisation.std
    if clip is None or mean is None or std is None:
        return [{"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": normalisation.masked}]
    if tuple(clip) == NO_CLIP:
        return [{"_target_": "NormalizeIntensityd", "keys": "image", "subtrahend": mean, "divisor": std}]
    low, high = clip
    return [{
        "_target_": "ScaleIntensityRanged", "keys": "image", "a_min": low, "a_max": high, "b_min": (low - mean) / std,
        "b_max": (high - mean) / std, "clip": True,
    }]  # fmt: skip


def _stock_windows(inference: Inference) -> dict[str, Any]:
    return {
        "_target_": "SlidingWindowInferer", "roi_size": list(inference.patch), "sw_batch_size": 1,
        "overlap": 1 - inference.step, "mode": inference.window,
    }  # fmt: skip


def _own_steps(manifest: ModelManifest) -> dict[str, Any]:
    return {
        "_target_": f"{OWN}Prepared", "keys": "image",
        "preprocessing": text.as_words(codec.to_json(manifest.preprocessing)),
        "patch": list(manifest.inference.patch),
        "probabilities": "probabilities" in (manifest.inference.average, manifest.inference.resampled),
    }  # fmt: skip


def _network(model: LoadedModel) -> dict[str, Any]:
    manifest = model.manifest
    kind, args = manifest.network.kind, manifest.network.args
    if kind in ARGUMENTS:
        return {"_target_": kind, **text.as_words(ARGUMENTS[kind](**args))}
    described = text.as_words(architecture(manifest, model.network, False)["arch_kwargs"])
    # what the plans name becomes what MONAI evaluates
    layers = {key: f"${value}" if _is_layer(value) else value for key, value in described.items()}
    outputs = {"input_channels": args["in_channels"], "num_classes": args["out_channels"]}
    return {"_target_": f"{UNETS}{kind}", **outputs, **layers, "deep_supervision": False}


def _is_layer(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("torch.nn.")


def _copy_steps(folder: Path) -> None:
    """Our steps as scripts/organincrement_steps.py, and the modules that they need as organincrement/."""
    scripts = folder / OWN.split(".")[0]
    scripts.mkdir()
    (scripts / "__init__.py").write_text("", encoding="utf-8")
    sources = _needed(_STEPS)
    (scripts / f"{OWN.split('.')[1]}.py").write_text(sources.pop(_STEPS), encoding="utf-8")
    for module, source in sources.items():
        target = folder.joinpath(*module.split(".")).with_suffix(".py")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(source, encoding="utf-8")
        for parent in target.relative_to(folder).parents:
            if parent.parts:
                (folder / parent / "__init__.py").touch()


def _needed(module: str) -> dict[str, str]:
    """The source of a module of ours and of all of ours that it imports, by name."""
    found: dict[str, str] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        source = _source(name)
        if name in found or source is None:
            continue
        found[name] = source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                above = name.split(".")[: -node.level] if node.level else []
                base = ".".join((*above, *((node.module,) if node.module else ())))
                if base.split(".")[0] == _PACKAGE:
                    pending += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found


def _source(module: str) -> str | None:
    """None for what is no module, but a package or a name in one."""
    package, *inside = module.split(".")
    file = resources.files(package).joinpath(*inside[:-1], f"{inside[-1]}.py") if inside else None
    return file.read_text(encoding="utf-8") if file is not None and file.is_file() else None
